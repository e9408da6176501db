"""Index the jobs with an interaction token: expired ones are searched for every minute."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_tokens",
        "jobs",
        ["token_expires_at"],
        sqlite_where=sa.text("interaction_token IS NOT NULL"),
    )
