"""Databases of former revisions with rows, as the versions of that time left them."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, select

from bot.ledger import EntryKind
from bot.store.backends import open_database
from bot.store.database import Connection
from bot.store.migrations import upgrade
from bot.store.sqlite import SQLiteDatabase
from bot.store.tables import ledger, sums
from tests.support.books import write_books
from tests.support.cluster import Cluster

REVISIONS = ("0009", "0010", "0011", "0012", "0013")
# Before revision 0011, a change of the model was one entry with the difference.
FORMER_MOVES = (
    "DELETE FROM ledger WHERE reason LIKE 'moved from %'",
    "UPDATE ledger SET amount = amount + 7500 WHERE reason LIKE 'moved to %'",
)
UNDO_0014 = ("ALTER TABLE jobs DROP allowed_models",)
UNDO_0013 = (
    "DROP TABLE erasures",
    "ALTER TABLE preferences DROP changed_at",
    "ALTER TABLE job_pictures DROP author_id",
    "DROP INDEX ix_jobs_canceled_by, ix_reduced_copies_original",
    "DROP TRIGGER ledger_refuses_update ON ledger",
    "DROP TRIGGER changes_refuses_update ON changes",
    "DROP FUNCTION ledger_allows_pseudonyms, changes_allow_pseudonyms",
    *(
        f"CREATE TRIGGER {table}_refuses_update BEFORE UPDATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses()"
        for table in ("ledger", "changes")
    ),
)
UNDO_0012 = (
    "DROP INDEX ix_jobs_account_server_id_created_at, ix_ledger_beside_costs",
    "ALTER TABLE jobs DROP generation_ms",
)
UNDO_0011 = (
    "ALTER TABLE jobs DROP allowance, DROP allowance_period, DROP granted, DROP locale",
    "ALTER TABLE ledger DROP granted, DROP provider",  # and the indexes with these columns
    "CREATE INDEX ix_ledger_user_id_counted_at ON ledger (user_id, counted_at)",
    "DROP INDEX ix_ledger_server_id_counted_at",
    "DROP TRIGGER ledger_adds ON ledger",
    "DROP FUNCTION ledger_adds",
    "DROP TABLE sums, servers, rights, changes, warnings",
)
UNDO_0010 = (
    "DROP INDEX ix_jobs_result_message_id",
    "ALTER TABLE jobs DROP source_job_id, DROP expanded_prompt, DROP hidden_at, DROP spoiler, "
    "DROP notify, DROP reply_to_id, DROP result_channel_id, DROP slow_shown, DROP canceled_by",
    "DROP TABLE favourites, preferences, reduced_copies",
)
UNDO = {  # the newest first
    "0014": UNDO_0014,
    "0013": UNDO_0013,
    "0012": UNDO_0012,
    "0011": UNDO_0011,
    "0010": UNDO_0010,
}


async def write_old_postgres(cluster: Cluster, url: str, revision: str) -> None:
    """Store the books, and take back what later revisions have made of the tables."""
    await write_books(open_database(url), grants=_has_grants(revision))
    await cluster.execute(
        "SET session_replication_role = replica",
        *_former_moves(revision),
        "SET session_replication_role = DEFAULT",
        *(each for newer, undone in UNDO.items() if newer > revision for each in undone),
        f"UPDATE alembic_version SET version_num = '{revision}'",  # noqa: S608
        url=url,
    )


def _has_grants(revision: str) -> bool:
    return revision >= "0011"


def _former_moves(revision: str) -> tuple[str, ...]:
    return () if revision >= "0011" else FORMER_MOVES


async def write_old_file(path: Path, revision: str) -> None:
    """Store the books in the tables of a former revision."""
    newer = path.with_name("newer.db")
    newer.unlink(missing_ok=True)
    await write_books(SQLiteDatabase(newer), grants=_has_grants(revision))
    path.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection, revision)
    engine.dispose()
    with closing(sqlite3.connect(newer)) as source, closing(sqlite3.connect(path)) as old:
        source.executescript(
            "DROP TRIGGER ledger_refuses_update; DROP TRIGGER ledger_refuses_delete; "
            + "; ".join(_former_moves(revision))
        )
        for (table,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            # The trigger of the ledger writes the sums.
            if table.startswith("sqlite_") or table in {"alembic_version", "sums"}:
                continue
            names = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({table})"))
            number = "row_number() OVER (ORDER BY id)"  # without a gap
            read = names.replace("id", number, 1) if table == "ledger" else names
            rows = source.execute(f"SELECT {read} FROM {table} ORDER BY rowid").fetchall()  # noqa: S608
            marks = ", ".join("?" * (names.count(",") + 1))
            old.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
        old.commit()
    newer.unlink()


Sums = Mapping[tuple[str, str], int]  # by the scope and the beginning of the quarter of an hour


async def stored_sums(view: Connection) -> Sums:
    rows = await view.execute(select(sums.c.scope, sums.c.begins_at, sums.c.amount))
    return {(row.scope, f"{row.begins_at:%Y-%m-%d %H:%M:%S}"): row.amount for row in rows}


async def counted_sums(view: Connection) -> Sums:
    """Return the sums as recomputed from all entries."""
    found: Counter[tuple[str, str]] = Counter()
    for row in await view.execute(select(ledger)):
        if row.kind != EntryKind.GRANT:
            begins = row.counted_at.replace(minute=row.counted_at.minute // 15 * 15)
            begins_at = f"{begins:%Y-%m-%d %H:%M}:00"
            for scope in ("bot", f"provider:{row.provider}", f"server:{row.server_id}"):
                found[scope, begins_at] += row.amount
    return dict(found)
