"""The map finds tasks among the active ones, and knows the few who are not shown; built without blocking
writers."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXES = (
    (
        "tasks_location_active_idx",
        "tasks USING gist (location)"
        " WHERE deleted_at IS NULL AND status IN ('programmed', 'in_progress', 'paused')",
    ),
    ("users_hidden_idx", "users (id) WHERE deleted_at IS NOT NULL OR restricted_at IS NOT NULL"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, on in INDEXES:
            # A build that was interrupted leaves an invalid index of this name.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {on}")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS tasks_location_idx")
    op.execute("UPDATE schema_info SET ordinal = 8")
