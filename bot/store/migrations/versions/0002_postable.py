"""Whether the bot may post where a job was asked for; the whole bot's month in the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("postable", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.create_index("ix_ledger_month", "ledger", ["month"], unique=False)
