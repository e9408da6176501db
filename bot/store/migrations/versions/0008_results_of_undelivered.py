"""Forget the messages of jobs that are being delivered.

From this revision on, an undelivered job with `result_message_id` has its result in that message,
and only the end of the status message is missing. Before, the id of an overdue success was that of
the message about the failure.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE jobs SET result_message_id = NULL WHERE delivered_at IS NULL")
