"""Rename columns of jobs to the terms of the glossary; store each job's provider.

`provider` takes the value of `model`: before this revision each API offered one model, under the
API's own key. The fallback of a delivery is decided by the time since the first attempt, which was
not stored before: jobs that are being delivered get the time of their settlement, or of their
overdue result.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RENAMED = {
    "server_id": "account_server_id",
    "message_id": "status_message_id",
    "model_chosen": "model_auto",
    "inputs_kept": "inputs_stored",
    "deliveries": "delivery_attempts",
    "told_late": "final_status_sent",
    "late_at": "overdue_at",
}


def upgrade() -> None:
    for old, new in RENAMED.items():
        op.execute(f"ALTER TABLE jobs RENAME COLUMN {old} TO {new}")
    op.add_column(
        "jobs", sa.Column("provider", sa.String(length=32), nullable=False, server_default="")
    )
    op.execute("UPDATE jobs SET provider = model")
    op.add_column("jobs", sa.Column("delivery_started_at", sa.DateTime(timezone=True)))
    op.execute(
        "UPDATE jobs SET delivery_started_at = coalesce(overdue_at, settled_at) "
        "WHERE delivery_attempts > 0 AND delivered_at IS NULL"
    )
