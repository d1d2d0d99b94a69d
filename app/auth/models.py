"""Tables sessions, refresh_tokens, link_codes, login_failures."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, func, text
from sqlalchemy.dialects.postgresql import BYTEA
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Entity, Row


class Session(Entity):
    """One login on one device, until it expires or is revoked. Address and device are sealed."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_user_id_idx", "user_id", postgresql_where=text("revoked_at IS NULL")),
        Index("sessions_expires_at_idx", "expires_at"),
    )

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    reauth_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ip_enc: Mapped[bytes | None] = mapped_column(BYTEA)
    ua_enc: Mapped[bytes | None] = mapped_column(BYTEA)


class _Once(Row):
    """A secret that works once; only its digest is stored."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    sha256: Mapped[bytes] = mapped_column(BYTEA, unique=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RefreshToken(_Once):
    """One link of a session's chain of refresh tokens."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("refresh_tokens_session_id_idx", "session_id"),)

    session_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("sessions.id", ondelete="CASCADE"))


class LinkCode(_Once):
    """What a person types into the bot to link their account."""

    __tablename__ = "link_codes"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))


class LoginFailures(Row):
    """Wrong passwords for an e-mail that nobody has, which is refused like a known one."""

    __tablename__ = "login_failures"
    __table_args__ = (Index("login_failures_updated_at_idx", "updated_at"),)

    email_hmac: Mapped[bytes] = mapped_column(BYTEA, primary_key=True)
    failed_attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)
    locked_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )
