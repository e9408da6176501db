"""Databases opened for inspection, also beside a running bot: never created or migrated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from bot.errors import StartupError
from bot.store.database import NEWER, REMEDY, REVISION, Database, revision_of


class OlderDatabase(StartupError):
    """The database has to be migrated, by the next start, before this version can read it."""


@asynccontextmanager
async def inspected(path: Path) -> AsyncIterator[Database]:
    """Yield a database for `reading()` only; StartupError unless it has this version's revision."""
    if not await asyncio.to_thread(path.is_file):
        raise StartupError(
            f"DATABASE_URL: there is no file {path} yet. The first `easel run` creates it."
        )
    database = Database(path)
    try:
        await _check_revision(database)
        yield database
    finally:
        await database.close()


async def _check_revision(database: Database) -> None:
    try:
        async with database.reading() as view:
            found = await view.run_sync(revision_of)
    except DatabaseError as error:
        problem = f"{database.path}: {error.orig}"
        raise StartupError(REMEDY.format(problem=problem)) from error
    if found == REVISION:
        return
    if found is None:
        problem = f"{database.path} is not a database of Easel"
        raise StartupError(REMEDY.format(problem=problem))
    if found > REVISION:
        raise StartupError(NEWER.format(path=database.path, found=found))
    raise OlderDatabase(
        f"DATABASE_URL: {database.path} was written by an older Easel (revision {found}; this "
        f"version needs {REVISION}). Start this version once with `easel run` to migrate the file."
    )
