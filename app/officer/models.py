"""Tables officers, officer_shifts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from asyncpg import Range
from geoalchemy2 import Geography
from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Entity, one_of


class Availability(StrEnum):
    """Whether an officer can be sent; `on_task` is set by the system alone."""

    AVAILABLE = "available"
    ON_TASK = "on_task"
    OFF_DUTY = "off_duty"
    UNAVAILABLE = "unavailable"


class Officer(Entity):
    """A person's place in the corps. A position is known together with its moment, or not at all."""

    __tablename__ = "officers"
    __table_args__ = (
        one_of("availability", Availability),
        CheckConstraint("(last_position IS NULL) = (position_at IS NULL)", name="position"),
        Index("officers_user_id_key", "user_id", unique=True, postgresql_where=text("deleted_at IS NULL")),
        Index(
            "officers_internal_code_key",
            "internal_code",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("officers_last_position_idx", "last_position", postgresql_using="gist"),
        Index(
            "officers_last_position_available_idx",
            "last_position",
            postgresql_using="gist",
            postgresql_where=text("deleted_at IS NULL AND availability = 'available'"),
        ),
        Index(
            "officers_internal_code_trgm_idx",
            "internal_code",
            postgresql_using="gin",
            postgresql_ops={"internal_code": "gin_trgm_ops"},
        ),
    )

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    internal_code: Mapped[str] = mapped_column(Text)
    rank: Mapped[str | None] = mapped_column(Text)
    unit: Mapped[str | None] = mapped_column(Text)
    specialty: Mapped[str | None] = mapped_column(Text)
    availability: Mapped[str] = mapped_column(Text, server_default=text("'available'"))
    last_position: Mapped[Any | None] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    position_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Shift(Entity):
    """When an officer is on duty. Shifts of one officer do not overlap."""

    __tablename__ = "officer_shifts"
    __table_args__ = (
        CheckConstraint(
            "NOT isempty(period) AND NOT lower_inf(period) AND NOT upper_inf(period)", name="period"
        ),
        ExcludeConstraint(
            ("officer_id", "="),
            ("period", "&&"),
            where=text("deleted_at IS NULL"),
            using="gist",
            name="officer_shifts_overlap_excl",
        ),
        Index("officer_shifts_officer_id_idx", "officer_id"),
    )

    officer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("officers.id"))
    period: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
