"""Store what a job was made from, the prompt that was drawn, and the choices of members.

A result can be hidden, and has a channel of its own: a fallback may post it elsewhere.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SOURCE = "source_job_id IS NOT NULL"
RESULT = "result_message_id IS NOT NULL"


def upgrade() -> None:
    for column in (
        sa.Column("source_job_id", sa.String(length=16)),
        sa.Column("expanded_prompt", sa.Text()),
        sa.Column("hidden_at", sa.DateTime(timezone=True)),
        sa.Column("spoiler", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("notify", sa.String(length=8), nullable=False, server_default="ping"),
        sa.Column("reply_to_id", sa.BigInteger()),
        sa.Column("result_channel_id", sa.BigInteger()),
        sa.Column("slow_shown", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("canceled_by", sa.BigInteger()),
    ):
        op.add_column("jobs", column)
    for name, where in (("source_job_id", SOURCE), ("result_message_id", RESULT)):
        op.create_index(
            f"ix_jobs_{name}",
            "jobs",
            [name],
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    op.create_table(
        "favourites",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_favourites_job_id")),
        sa.PrimaryKeyConstraint("user_id", "job_id", name=op.f("pk_favourites")),
    )
    op.create_index("ix_favourites_user_id_created_at", "favourites", ["user_id", "created_at"])
    op.create_index("ix_favourites_job_id", "favourites", ["job_id"])
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("notify", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_preferences")),
    )
    op.create_table(
        "reduced_copies",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("original", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_reduced_copies")),
    )
