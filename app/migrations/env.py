"""Alembic's entry: runs the steps on the connection that `app.migrate` hands over, or writes SQL."""

from __future__ import annotations

from alembic import context

from app.schema import METADATA

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        target_metadata=METADATA,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        transaction_per_migration=True,  # a long chain must not hold one lock until its end
    )
    with context.begin_transaction():
        context.run_migrations()
