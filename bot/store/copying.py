"""`easel copy`: all rows of a SQLite file into an empty PostgreSQL database, in one transaction."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Row, Table, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import StartupError
from bot.jobs import plain
from bot.store.audit import Finding, verify
from bot.store.database import Connection, Database, Transaction
from bot.store.sqlite import SQLiteDatabase
from bot.store.tables import RowId, metadata, processes, sums

PAGE = 500
# Without the processes that live, and without the sums, which a trigger makes of the ledger.
TABLES = [table for table in metadata.sorted_tables if table not in (processes, sums)]
SET_SEQUENCE = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)")
# SQLite numbers the entries of the ledger by this, and never uses a number again. It has no row of
# other tables.
LAST_GIVEN = text("SELECT seq FROM sqlite_sequence WHERE name = :name")


async def copy_rows(source: SQLiteDatabase, target: Database) -> int:
    """Copy and compare all rows, audit the copy, and return the number of rows.

    StartupError if the target has rows, or if the copy differs: nothing is stored then.
    """
    async with source.reading() as view, target.transaction() as tx:
        # The file is read and audited within the transaction, for as long as that takes.
        await tx.execute(select(func.set_config("idle_in_transaction_session_timeout", "0", True)))
        await _refuse_rows(tx, target.label)
        copied = 0
        for table in TABLES:
            async for page in _pages(view, table):
                await tx.execute(table.insert(), [row._asdict() for row in page])
                copied += len(page)
            await _compare(view, tx, table)
            if table.c[0].type is RowId:
                await _set_sequence(view, tx, table)
        await _compare(view, tx, sums)
        await _audit(view, tx)
    return copied


async def _refuse_rows(tx: Transaction, label: str) -> None:
    for table in metadata.sorted_tables:
        if await _count(tx, table):
            raise StartupError(
                f"POSTGRES: {label} has rows already, in {table.name}. Name an empty database."
            )


async def _pages(view: Connection, table: Table) -> AsyncIterator[Sequence[Row[Any]]]:
    keys = list(table.primary_key)
    statement = select(table).order_by(*keys).limit(PAGE)
    page = (await view.execute(statement)).all()
    while page:
        yield page
        last = tuple_(*keys) > tuple(getattr(page[-1], key.name) for key in keys)
        page = (await view.execute(statement.where(last))).all()


async def _compare(view: Connection, tx: Transaction, table: Table) -> None:
    """Compare every row, found by the key; StartupError for the first that differs."""
    keys = list(table.primary_key)
    names = [key.name for key in keys]
    async for page in _pages(view, table):
        wanted = {tuple(getattr(row, name) for name in names): _values(row) for row in page}
        statement = select(table).where(tuple_(*keys).in_(list(wanted)))
        rows = (await tx.execute(statement)).all()
        found = {tuple(getattr(row, name) for name in names): _values(row) for row in rows}
        for key, values in wanted.items():
            if found.get(key) != values:
                raise StartupError(f"The copy of row {key} of {table.name} differs.")
    if await _count(view, table) != await _count(tx, table):
        raise StartupError(f"The copy of {table.name} has another number of rows.")


def _values(row: Row[Any]) -> list[object]:
    """Return the values of a row as PostgreSQL stores them: without NUL."""
    return [plain(value) if isinstance(value, str) else value for value in row]


async def _set_sequence(view: Connection, tx: Transaction, table: Table) -> None:
    newest = (await view.execute(select(func.max(table.c.id)))).scalar() or 0
    given = (await view.execute(LAST_GIVEN, {"name": table.name})).scalar() or 0
    if last := max(newest, given):
        await tx.execute(SET_SEQUENCE, {"name": table.name, "last": last})


async def _audit(view: Connection, tx: Transaction) -> None:
    """Audit both; StartupError for a finding that the source does not have."""
    known = {*(await verify(view)).findings}
    new: list[Finding] = [each for each in (await verify(tx)).findings if each not in known]
    if new:
        raise StartupError(f"The copy does not add up: {new[0]}. Report this to Easel's authors.")


async def _count(connection: AsyncConnection, table: Table) -> int:
    return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
