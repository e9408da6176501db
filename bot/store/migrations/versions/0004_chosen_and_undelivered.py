"""Whether Easel chose a job's model (only then may it go to another), and why a delivery failed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("model_chosen", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("delivery_error", sa.Text()),
    ):
        op.add_column("jobs", column)
