"""Input pictures of a job, private jobs, and where in a server a job was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("guild_id", sa.BigInteger()),
        sa.Column("parent_id", sa.BigInteger()),
        sa.Column("inputs", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("inputs_kept", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("remark", sa.Text()),
        sa.Column("told_late", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("late_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("jobs", column)
