"""Search for officers by any part of a name or code; built without blocking writers."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXES = (
    ("users_first_name_trgm_idx", "users USING gin (first_name gin_trgm_ops)"),
    ("users_last_name_trgm_idx", "users USING gin (last_name gin_trgm_ops)"),
    ("users_email_trgm_idx", "users USING gin (email gin_trgm_ops)"),
    ("officers_internal_code_trgm_idx", "officers USING gin (internal_code gin_trgm_ops)"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, on in INDEXES:
            # A build that was interrupted leaves an invalid index of this name.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {on}")
    op.execute("UPDATE schema_info SET ordinal = 7")
