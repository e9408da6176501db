"""The choice of the database by DATABASE_URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.store.database import Database
from bot.store.postgres import PostgresDatabase, is_postgres
from bot.store.sqlite import SQLiteDatabase, database_path

WITHOUT_FILE = Path("data/pictures")  # beside the default of DATABASE_URL


def open_database(url: str) -> Database:
    """Return the database that DATABASE_URL names, to be opened by `async with`. StartupError."""
    return PostgresDatabase(url) if is_postgres(url) else SQLiteDatabase(database_path(url))


@asynccontextmanager
async def inspected(url: str) -> AsyncIterator[Database]:
    """Yield a database for `reading()` only; StartupError unless it has this version's revision."""
    database = open_database(url)
    try:
        await database.check()
        yield database
    finally:
        await database.close()


def pictures_folder(url: str) -> Path:
    """Return the folder of the pictures: beside a database file, else in the folder `data`."""
    return WITHOUT_FILE if is_postgres(url) else database_path(url).parent / "pictures"
