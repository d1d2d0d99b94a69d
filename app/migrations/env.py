"""Alembic's entry: runs the steps on the connection that `app.migrate` hands over, or writes SQL."""

from __future__ import annotations

from alembic import context

from app.db import Row
from app.officer import models as _officer  # noqa: F401 - fills the metadata
from app.user import models as _user  # noqa: F401

TARGET = Row.metadata

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql", target_metadata=TARGET, literal_binds=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=TARGET,
        transaction_per_migration=True,  # a long chain must not hold one lock until its end
    )
    with context.begin_transaction():
        context.run_migrations()
