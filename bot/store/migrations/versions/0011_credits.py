"""Store grants' shares, rights of servers, roles and members, and sums of the ledger.

The ledger's new column `provider` is filled from the jobs. A trigger keeps the sums, so that a
budget is compared with a few rows instead of a month's entries.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SUBJECTS = "'default', 'tier', 'role', 'member'"
FILL = "UPDATE ledger SET provider = (SELECT provider FROM jobs WHERE jobs.id = ledger.job_id) {}"
QUARTER = {
    "sqlite": (
        "substr({0}, 1, 14) || printf('%02d', CAST(substr({0}, 15, 2) AS INTEGER) / 15 * 15) "
        "|| ':00.000000'"
    ),
    "postgresql": "to_timestamp(floor(extract(epoch FROM {0}) / 900) * 900)",
}
REFUSE = {
    "sqlite": (
        "CREATE TRIGGER {0}_refuses_{1} BEFORE {2} ON {0} "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    ),
    "postgresql": (
        "CREATE TRIGGER {0}_refuses_{1} BEFORE {2} ON {0} "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
    ),
}
ADD = (
    "INSERT INTO sums (scope, begins_at, amount) VALUES ('bot', {0}, NEW.amount), "
    "('provider:' || NEW.provider, {0}, NEW.amount), "
    "('server:' || NEW.server_id, {0}, NEW.amount) "
    "ON CONFLICT (scope, begins_at) DO UPDATE SET amount = sums.amount + excluded.amount;"
)


def upgrade() -> None:
    _add_columns()
    _create_tables()
    _fill()
    _add_trigger()
    for action in ("UPDATE", "DELETE"):
        _run(REFUSE[op.get_bind().dialect.name].format("changes", action.lower(), action))


def _run(statement: str) -> None:
    """Execute a statement as it is: colons and percent signs have no meaning."""
    op.get_bind().exec_driver_sql(statement)


def _add_columns() -> None:
    for column in (
        sa.Column("allowance", sa.BigInteger()),
        sa.Column("allowance_period", sa.String(length=8)),
        sa.Column("granted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("locale", sa.String(length=8)),
    ):
        op.add_column("jobs", column)
    for column in (
        sa.Column("granted", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("provider", sa.String(length=32), nullable=False, server_default=""),
    ):
        op.add_column("ledger", column)
    op.drop_index("ix_ledger_user_id_counted_at", "ledger")
    op.create_index(
        "ix_ledger_user_id_counted_at",
        "ledger",
        ["user_id", "counted_at", "server_id", "kind", "amount", "granted"],
    )
    op.create_index("ix_ledger_server_id_counted_at", "ledger", ["server_id", "counted_at"])
    op.create_index(
        "ix_ledger_granted",
        "ledger",
        ["user_id", "server_id", "granted"],
        sqlite_where=sa.text("granted <> 0"),
        postgresql_where=sa.text("granted <> 0"),
    )


def _create_tables() -> None:
    op.create_table(
        "sums",
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "begins_at", name=op.f("pk_sums")),
    )
    op.create_table(
        "servers",
        sa.Column("server_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", name=op.f("pk_servers")),
    )
    op.create_table(
        "rights",
        sa.Column("server_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("rights", sa.JSON(), nullable=False),
        sa.CheckConstraint(f"subject IN ({SUBJECTS})", name=op.f("ck_rights_subject")),
        sa.PrimaryKeyConstraint("server_id", "subject", "name", name=op.f("pk_rights")),
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("server_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
    )
    op.create_index("ix_changes_server_id", "changes", ["server_id", "id"])
    op.create_table(
        "warnings",
        sa.Column("scope", sa.String(length=60), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "begins_at", name=op.f("pk_warnings")),
    )


def _fill() -> None:
    """Fill the new column and the sums. The ledger's trigger is away for this one statement."""
    dialect = op.get_bind().dialect.name
    on_table = " ON ledger" if dialect == "postgresql" else ""
    _run(f"DROP TRIGGER ledger_refuses_update{on_table}")
    _run(FILL.format("WHERE job_id IN (SELECT id FROM jobs)"))
    _run(REFUSE[dialect].format("ledger", "update", "UPDATE"))
    quarter = QUARTER[dialect].format("counted_at")
    for scope in ("'bot'", "'provider:' || provider", "'server:' || server_id"):
        _run(
            f"INSERT INTO sums (scope, begins_at, amount) SELECT {scope}, {quarter}, sum(amount) "  # noqa: S608
            "FROM ledger WHERE kind <> 'grant' GROUP BY 1, 2"
        )


def _add_trigger() -> None:
    dialect = op.get_bind().dialect.name
    add = ADD.format(QUARTER[dialect].format("NEW.counted_at"))
    if dialect == "sqlite":
        _run(
            f"CREATE TRIGGER ledger_adds AFTER INSERT ON ledger WHEN NEW.kind <> 'grant' "
            f"BEGIN {add} END"
        )
        return
    _run(
        "CREATE FUNCTION ledger_adds() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN IF NEW.kind <> 'grant' THEN {add} END IF; RETURN NULL; END$$"
    )
    _run(
        "CREATE TRIGGER ledger_adds AFTER INSERT ON ledger FOR EACH ROW "
        "EXECUTE FUNCTION ledger_adds()"
    )
