"""The choice of the database by DATABASE_URL."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from bot.clock import elapsed
from bot.database_address import database_path, is_postgres
from bot.identify_permits import IdentifyPermits
from bot.store.coordination import Alone, Coordination, Role
from bot.store.database import Database
from bot.store.postgres import PostgresDatabase
from bot.store.sqlite import SQLiteDatabase

PERMIT_SECONDS = 300.0  # longer than any session of a shard takes to begin


def open_database(url: str) -> Database:
    """Return the database that DATABASE_URL names, to be opened by `async with`. StartupError."""
    return PostgresDatabase(url) if is_postgres(url) else SQLiteDatabase(database_path(url))


def open_coordination(
    database: Database, role: Role, clock: Callable[[], float] = elapsed
) -> Coordination:
    """Return the coordination with other processes on the same database, to be run."""
    if not isinstance(database, PostgresDatabase):
        return Alone()
    from bot.store.postgres_coordination import SILENCE, PostgresCoordination

    connect = partial(database.session, idle_seconds=SILENCE.total_seconds())
    return PostgresCoordination(connect, role, clock)


def open_permits(database: Database) -> IdentifyPermits | None:
    """Return the permits for sessions that all processes of a shared database have in common."""
    if not isinstance(database, PostgresDatabase):
        return None
    from bot.store.postgres_permits import PostgresPermits

    return PostgresPermits(partial(database.session, idle_seconds=PERMIT_SECONDS))


@asynccontextmanager
async def inspected(url: str) -> AsyncIterator[Database]:
    """Yield a database for `reading()` only; StartupError unless it has this version's revision."""
    database = open_database(url)
    try:
        await database.check()
        yield database
    finally:
        await database.close()
