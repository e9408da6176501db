"""Store the models that a member's roles allow with each job: a failover asks no roles."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("allowed_models", sa.JSON()))
