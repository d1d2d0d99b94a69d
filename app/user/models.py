"""Tables users and subject_keys."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA, CITEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Entity, Row, one_of


class Level(IntEnum):
    """What a person may do; each includes the one before."""

    OFFICER = 1
    SUPERVISOR = 2
    ADMINISTRATOR = 3


NO_PASSWORD = "!"  # no hash has this form: the account cannot log in until a password is set  # noqa: S105


HIDDEN = "(deleted_at IS NOT NULL OR restricted_at IS NOT NULL)"
"""Whom lists, maps and statistics do not show; with an index of its own, as they are few."""


class User(Entity):
    """A person. DNI and phone are unreadable without the subject's key."""

    __tablename__ = "users"
    __table_args__ = (
        one_of("level", Level),
        Index("users_email_key", "email", unique=True, postgresql_where=text("deleted_at IS NULL")),
        Index("users_dni_hmac_key", "dni_hmac", unique=True, postgresql_where=text("deleted_at IS NULL")),
        Index(
            "users_telegram_id_key", "telegram_id", unique=True, postgresql_where=text("deleted_at IS NULL")
        ),
        Index("users_hidden_idx", "id", postgresql_where=text(HIDDEN)),
        *(
            Index(
                f"users_{column}_trgm_idx",
                column,
                postgresql_using="gin",
                postgresql_ops={column: "gin_trgm_ops"},
            )
            for column in ("first_name", "last_name", "email")
        ),
    )

    email: Mapped[str] = mapped_column(CITEXT)
    first_name: Mapped[str] = mapped_column(Text)
    last_name: Mapped[str] = mapped_column(Text)
    level: Mapped[int] = mapped_column(SmallInteger)
    password_hash: Mapped[str] = mapped_column(Text)
    verified: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    dni_enc: Mapped[bytes] = mapped_column(BYTEA)
    phone_enc: Mapped[bytes | None] = mapped_column(BYTEA)
    dni_hmac: Mapped[bytes | None] = mapped_column(BYTEA)
    telegram_id: Mapped[int | None] = mapped_column(BigInteger)
    failed_attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)
    locked_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    restricted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    erased_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class SubjectKey(Row):
    """One person's key, wrapped; destroyed (null) to make the person's data unreadable for ever."""

    __tablename__ = "subject_keys"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True)
    wrapped_dek: Mapped[bytes | None] = mapped_column(BYTEA)
