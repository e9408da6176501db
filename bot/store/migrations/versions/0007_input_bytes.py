"""Store the size of each job's inputs, and index the jobs with an interaction token.

Both are read often: a member's sizes of a day with each request, expired tokens every minute.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("input_bytes", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.execute(
        "UPDATE jobs SET input_bytes = coalesce("
        "(SELECT sum(json_extract(value, '$.size')) FROM json_each(jobs.inputs)), 0)"
    )
    op.create_index(
        "ix_jobs_tokens",
        "jobs",
        ["token_expires_at"],
        sqlite_where=sa.text("interaction_token IS NOT NULL"),
    )
