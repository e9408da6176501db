"""Store the duration of generations; add the indexes from which a server's report is read."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("generation_ms", sa.Integer()))
    op.create_index(
        "ix_jobs_account_server_id_created_at",
        "jobs",
        ["account_server_id", "created_at", "user_id", "model", "cost"],
    )
    op.create_index(
        "ix_ledger_beside_costs",
        "ledger",
        ["server_id", "counted_at", "user_id", "kind", "job_id", "amount"],
        sqlite_where=sa.text("kind IN ('adjustment', 'grant', 'loss')"),
        postgresql_where=sa.text("kind IN ('adjustment', 'grant', 'loss')"),
    )
