"""Store the deletions that members request; let a pseudonym replace a member's id in the ledger.

The triggers of the append-only tables allow this one change. In the texts of `changes`, a mention
of the member goes with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

APPEND_ONLY = "the ledger is append-only"
LEDGER = (
    *("id", "job_id", "server_id", "kind", "amount", "granted", "provider", "counted_at"),
    *("reason", "details", "created_at"),
)
TO_PSEUDONYM = "OLD.user_id > 0 AND NEW.user_id < 0"
TEXTS = ("subject", "before", "after")
MENTIONS = {"sqlite": "GLOB '*<@[0-9]*'", "postgresql": "~ '<@[0-9]'"}  # of members, not of roles
SAME_CHANGE = (
    "NEW.id = OLD.id AND NEW.server_id = OLD.server_id AND NEW.created_at = OLD.created_at"
)


def _change_without_mention(dialect: str) -> str:
    texts = " AND ".join(
        f"(NEW.{name} = OLD.{name} OR (OLD.{name} {MENTIONS[dialect]} "
        f"AND NEW.{name} LIKE '%deleted member%'))"
        for name in TEXTS
    )
    return f"(NEW.user_id = OLD.user_id OR {TO_PSEUDONYM}) AND {texts} AND {SAME_CHANGE}"


ALLOWED = {
    "ledger": f"{TO_PSEUDONYM} AND " + " AND ".join(f"NEW.{name} IS OLD.{name}" for name in LEDGER),
    "changes": _change_without_mention("sqlite"),
}
FUNCTIONS = {
    "ledger": (
        "ledger_allows_pseudonyms",
        f"{TO_PSEUDONYM} AND to_jsonb(NEW) - 'user_id' = to_jsonb(OLD) - 'user_id'",
    ),
    "changes": ("changes_allow_pseudonyms", _change_without_mention("postgresql")),
}


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("with_results", sa.Boolean(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("erased", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_erasures")),
    )
    op.create_index(
        "ix_jobs_canceled_by",
        "jobs",
        ["canceled_by"],
        sqlite_where=sa.text("canceled_by IS NOT NULL"),
        postgresql_where=sa.text("canceled_by IS NOT NULL"),
    )
    op.add_column("preferences", sa.Column("changed_at", sa.DateTime(timezone=True)))
    op.add_column("job_pictures", sa.Column("author_id", sa.BigInteger()))
    op.create_index(
        "ix_job_pictures_author_id",
        "job_pictures",
        ["author_id"],
        sqlite_where=sa.text("author_id IS NOT NULL"),
        postgresql_where=sa.text("author_id IS NOT NULL"),
    )
    op.create_index("ix_reduced_copies_original", "reduced_copies", ["original"])
    replace = _in_sqlite if op.get_bind().dialect.name == "sqlite" else _in_postgresql
    for table in ("ledger", "changes"):
        replace(table)


def _in_sqlite(table: str) -> None:
    _run(f"DROP TRIGGER {table}_refuses_update")
    _run(
        f"CREATE TRIGGER {table}_refuses_update BEFORE UPDATE ON {table} "
        f"WHEN NOT ({ALLOWED[table]}) BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
    )


def _in_postgresql(table: str) -> None:
    name, allowed = FUNCTIONS[table]
    _run(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN IF {allowed} THEN RETURN NEW; END IF; RAISE integrity_constraint_violation "
        f"USING MESSAGE = '{APPEND_ONLY}'; END$$"
    )
    _run(f"DROP TRIGGER {table}_refuses_update ON {table}")
    _run(
        f"CREATE TRIGGER {table}_refuses_update BEFORE UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


def _run(statement: str) -> None:
    """Execute a statement as it is: colons and percent signs have no meaning."""
    op.get_bind().exec_driver_sql(statement)
