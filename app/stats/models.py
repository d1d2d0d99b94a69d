"""Table task_metrics."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Float, Integer, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Row


class TaskMetric(Row):
    """How long tasks of one type and priority took, in hours without pauses; null where too few are known."""

    __tablename__ = "task_metrics"

    type: Mapped[str] = mapped_column(Text, primary_key=True)
    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    total: Mapped[int] = mapped_column(Integer)
    hours: Mapped[float | None] = mapped_column(Float)
    success_rate: Mapped[float | None] = mapped_column(Float)
    p25: Mapped[float | None] = mapped_column(Float)
    p50: Mapped[float | None] = mapped_column(Float)
    p75: Mapped[float | None] = mapped_column(Float)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
