"""Allow losses in the ledger, and date its entries by their holds; store the origin of each job.

SQLite cannot alter a CHECK, so the ledger is copied to a new table, and every row is compared
before the old one is dropped. `counted_at` replaces `month`: the time of the job's hold, so that
the sum of any period is a range. An entry whose month differs from its job's, by a manual change,
is counted at the beginning of that month. Ids of the new table are never used twice, so that a
deleted entry leaves a gap.
"""

from itertools import zip_longest

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COPY = """
    INSERT INTO new_ledger (
        id, job_id, user_id, server_id, kind, amount, reason, details, created_at, counted_at
    )
    SELECT
        ledger.id, ledger.job_id, ledger.user_id, ledger.server_id, ledger.kind, ledger.amount,
        ledger.reason, ledger.details, ledger.created_at,
        CASE substr(coalesce(jobs.created_at, ledger.created_at), 1, 7)
            WHEN ledger.month THEN coalesce(jobs.created_at, ledger.created_at)
            ELSE ledger.month || '-01 00:00:00.000000'
        END
    FROM ledger LEFT JOIN jobs ON jobs.id = ledger.job_id
    ORDER BY ledger.id
"""
BEFORE = """
    SELECT id, job_id, user_id, server_id, kind, amount, reason, details, created_at, month
    FROM ledger ORDER BY id
"""
AFTER = """
    SELECT id, job_id, user_id, server_id, kind, amount, reason, details, created_at,
        substr(counted_at, 1, 7)
    FROM new_ledger ORDER BY id
"""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("origin_id", sa.BigInteger()))
    op.add_column("jobs", sa.Column("secret", sa.Integer()))
    op.create_index("ix_jobs_origin_id", "jobs", ["origin_id"], unique=True)
    op.create_index("ix_jobs_user_id_status", "jobs", ["user_id", "status"])
    op.create_index("ix_jobs_model_settled_at", "jobs", ["model", "settled_at"])
    op.create_index(
        "ix_generations_open", "generations", ["job_id"], sqlite_where=sa.text("state IS NULL")
    )
    _create_ledger()
    op.execute(COPY)
    _compare()
    op.drop_table("ledger")
    op.rename_table("new_ledger", "ledger")
    op.create_index("ix_ledger_user_id_counted_at", "ledger", ["user_id", "counted_at"])
    op.create_index("ix_ledger_counted_at", "ledger", ["counted_at"])
    op.create_index(
        "ix_ledger_losses", "ledger", ["created_at"], sqlite_where=sa.text("kind = 'loss'")
    )
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER ledger_refuses_{action.lower()} BEFORE {action} ON ledger "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )


def _create_ledger() -> None:
    op.create_table(
        "new_ledger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=16), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("server_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('hold', 'release', 'capture', 'grant', 'adjustment', 'loss')",
            name=op.f("ck_ledger_kind"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_ledger_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint("job_id", "kind", "reason", name=op.f("uq_ledger_job_id_kind_reason")),
        sqlite_autoincrement=True,
    )


def _compare() -> None:
    """Raise RuntimeError unless both tables have the same rows in every shared column."""
    connection = op.get_bind()
    old, new = (connection.execute(sa.text(query)) for query in (BEFORE, AFTER))
    for before, after in zip_longest(old, new):
        if before is None or after is None or tuple(before) != tuple(after):
            raise RuntimeError("the ledger was not copied exactly; nothing was changed")
