"""Table consents."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Boolean, DateTime, ForeignKey, Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Row, one_of


class Purpose(StrEnum):
    """What a person can agree to."""

    LOCATION_SHARING = "location_sharing"
    TELEGRAM_NOTICES = "telegram_notices"


class Consent(Row):
    """One answer of one person; the latest of a purpose rules. A trigger refuses every change."""

    __tablename__ = "consents"
    __table_args__ = (
        one_of("purpose", Purpose),
        Index("consents_user_id_purpose_at_idx", "user_id", "purpose", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    purpose: Mapped[str] = mapped_column(Text)
    notice_version: Mapped[str] = mapped_column(Text)
    granted: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
