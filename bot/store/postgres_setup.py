"""The checks of a PostgreSQL server, and the tables of an empty database.

PostgreSQL databases begin at revision 0009: an empty database gets the tables as bot.store.tables
has them, later revisions come by the migrations. One process at a time does either.
"""

from sqlalchemy import func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import StartupError
from bot.store.database import REVISION, EmptyDatabase, OlderDatabase, refuse_newer, revision_of
from bot.store.tables import metadata

OLDEST = 15  # the oldest version of PostgreSQL that Easel is tested with
SETUP = 0x6561_7365_6C_01  # the key of the advisory lock
SETUP_SECONDS = 60
SERVER = text(
    "SELECT current_setting('server_version_num')::int / 10000 AS version, "
    "current_setting('server_encoding') AS encoding, "
    "pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS replica, "
    "current_schema() AS schema, current_user AS member, "
    "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates"
)
APPEND_ONLY = "the ledger is append-only"
TRIGGERED = f"BEGIN RAISE integrity_constraint_violation USING MESSAGE = '{APPEND_ONLY}'; END"
QUARTER = "to_timestamp(floor(extract(epoch FROM NEW.counted_at) / 900) * 900)"
ADDED = (  # to bot.store.tables.sums
    "BEGIN IF NEW.kind <> 'grant' THEN "  # noqa: S608  # no value of anybody
    f"INSERT INTO sums (scope, begins_at, amount) VALUES ('bot', {QUARTER}, NEW.amount), "
    f"('provider:' || NEW.provider, {QUARTER}, NEW.amount), "
    f"('server:' || NEW.server_id, {QUARTER}, NEW.amount) "
    "ON CONFLICT (scope, begins_at) DO UPDATE SET amount = sums.amount + excluded.amount; "
    "END IF; RETURN NULL; END"
)
# The one change that an append-only table allows: a member's id becomes a pseudonym. In the texts
# of `changes`, a mention of the member goes too.
TO_PSEUDONYM = "OLD.user_id > 0 AND NEW.user_id < 0"
ANONYMISED = (
    f"BEGIN IF {TO_PSEUDONYM} AND to_jsonb(NEW) - 'user_id' = to_jsonb(OLD) - 'user_id' "
    f"THEN RETURN NEW; END IF; RAISE integrity_constraint_violation "
    f"USING MESSAGE = '{APPEND_ONLY}'; END"
)
WITHOUT_MENTION = " AND ".join(
    f"(NEW.{name} = OLD.{name} OR (OLD.{name} ~ '<@[0-9]' AND NEW.{name} LIKE '%deleted member%'))"
    for name in ("subject", "before", "after")
)
CHANGES_ANONYMISED = (
    f"BEGIN IF (NEW.user_id = OLD.user_id OR {TO_PSEUDONYM}) AND {WITHOUT_MENTION} "
    "AND NEW.id = OLD.id AND NEW.server_id = OLD.server_id AND NEW.created_at = OLD.created_at "
    f"THEN RETURN NEW; END IF; RAISE integrity_constraint_violation "
    f"USING MESSAGE = '{APPEND_ONLY}'; END"
)
FUNCTIONS = {
    "ledger_refuses": TRIGGERED,
    "ledger_allows_pseudonyms": ANONYMISED,
    "changes_allow_pseudonyms": CHANGES_ANONYMISED,
    "ledger_adds": ADDED,
}
TRIGGERS = (
    *(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"
        for name, body in FUNCTIONS.items()
    ),
    *(
        f"CREATE TRIGGER {table}_refuses_{action.lower()} BEFORE {action} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
        for table, action in (
            *(("ledger", "DELETE"), ("ledger", "TRUNCATE")),
            ("changes", "DELETE"),
        )
    ),
    "CREATE TRIGGER ledger_refuses_update BEFORE UPDATE ON ledger "
    "FOR EACH ROW EXECUTE FUNCTION ledger_allows_pseudonyms()",
    "CREATE TRIGGER changes_refuses_update BEFORE UPDATE ON changes "
    "FOR EACH ROW EXECUTE FUNCTION changes_allow_pseudonyms()",
    "CREATE TRIGGER ledger_adds AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_adds()",
)


async def check_server(connection: AsyncConnection, label: str) -> None:
    """Raise StartupError for a server that Easel cannot use."""
    found = (await connection.execute(SERVER)).one()
    about = f"DATABASE_URL: {label}"
    if found.version < OLDEST:
        raise StartupError(
            f"{about} is PostgreSQL {found.version}. Install PostgreSQL {OLDEST} or newer."
        )
    if found.encoding != "UTF8":
        raise StartupError(
            f"{about} has the encoding {found.encoding}. Create the database with ENCODING 'UTF8'."
        )
    if found.replica:
        raise StartupError(
            f"{about} is read-only, as a replica is. Name the primary server in the address."
        )
    if found.schema is None:
        raise StartupError(f"{about} has no schema to use. Create the schema “public” again.")


async def check_revision(connection: AsyncConnection, label: str) -> None:
    """Raise StartupError unless the database has this version's revision."""
    found = await connection.run_sync(revision_of)
    if found is None:
        creates = (await connection.execute(SERVER)).one()
        if not creates.creates:
            raise StartupError(_may_not_create(label, creates.member, creates.schema))
        await _refuse_strange(connection, label)
        raise EmptyDatabase(
            f"DATABASE_URL: {label} has no tables of Easel yet. The first `easel run` creates them."
        )
    _refuse_other(label, found)


async def set_up(connection: AsyncConnection, label: str) -> None:
    """Create the tables in an empty database; StartupError for another revision."""
    await _one_at_a_time(connection)
    found = await connection.run_sync(revision_of)
    if found is None:
        await _create(connection, label)
    else:
        _refuse_other(label, found)


async def migrate(connection: AsyncConnection, label: str) -> str | None:
    """Bring the database to this version's revision, and return the revision found."""
    await _one_at_a_time(connection)
    found = await connection.run_sync(revision_of)
    if found is None:
        await _create(connection, label)
    elif found != REVISION:
        refuse_newer(label, found)
        from bot.store.migrations import upgrade  # costs a fifth of a second, as in sqlite

        await connection.run_sync(upgrade)
    return found


async def _one_at_a_time(connection: AsyncConnection) -> None:
    """Wait for another process that sets the database up; the transaction's end ends the lock."""
    for name in ("lock_timeout", "statement_timeout"):
        await connection.execute(select(func.set_config(name, f"{SETUP_SECONDS}s", True)))
    await connection.execute(select(func.pg_advisory_xact_lock(SETUP)))


async def _create(connection: AsyncConnection, label: str) -> None:
    found = (await connection.execute(SERVER)).one()
    if not found.creates:
        raise StartupError(_may_not_create(label, found.member, found.schema))
    await _refuse_strange(connection, label)
    from bot.store.migrations import stamp

    await connection.run_sync(metadata.create_all)
    for statement in TRIGGERS:
        await connection.execute(text(statement))
    await connection.run_sync(stamp, REVISION)


async def _refuse_strange(connection: AsyncConnection, label: str) -> None:
    """Raise StartupError for a table of another program that has the name of one of Easel's."""
    tables = await connection.run_sync(lambda each: inspect(each).get_table_names())
    if strange := sorted({*tables} & {*metadata.tables}):
        raise StartupError(
            f"DATABASE_URL: {label} has the table “{strange[0]}” of another program. Name a "
            "database of Easel's own."
        )


def _refuse_other(label: str, found: str) -> None:
    refuse_newer(label, found)
    if found != REVISION:
        raise OlderDatabase(
            f"DATABASE_URL: {label} was written by an older Easel (revision {found}; this version "
            f"needs {REVISION}). Stop every process of Easel, then run `easel migrate`."
        )


def _may_not_create(label: str, member: str, schema: str) -> str:
    return (
        f"DATABASE_URL: the user {member} may not create tables in {label}. Run there: "
        f'GRANT CREATE ON SCHEMA "{schema}" TO "{member}".'
    )
