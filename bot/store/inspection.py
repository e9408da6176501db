"""A database looked at as it is, also beside a running bot: nothing is made, locked or migrated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from bot.errors import StartupError
from bot.store.database import NEWER, REMEDY, REVISION, Database, revision_of


class OlderDatabase(StartupError):
    """It is migrated by the next start, and only then can it be read."""


@asynccontextmanager
async def inspected(path: Path) -> AsyncIterator[Database]:
    """For `reading()` only; StartupError where the file is not one of just this version's."""
    if not await asyncio.to_thread(path.is_file):
        raise StartupError(
            f"DATABASE_URL: there is no file {path} yet. The first `easel run` makes it."
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
        problem = f"{database.path} is no database of Easel's"
        raise StartupError(REMEDY.format(problem=problem))
    if found > REVISION:
        raise StartupError(NEWER.format(path=database.path, found=found))
    raise OlderDatabase(
        f"DATABASE_URL: {database.path} was written by an older Easel (revision {found}, and this "
        f"one works with {REVISION}). Start this version once with `easel run`: it migrates the "
        "file."
    )
