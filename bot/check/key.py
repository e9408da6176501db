"""The key of the pseudonyms: there, and the one by which data was deleted before."""

import asyncio
from collections.abc import Callable

from bot.check.report import Line, ok, warning, wrong
from bot.database_address import database_path, is_postgres
from bot.errors import NotNow, StartupError
from bot.settings import Settings

KEY = "pseudonyms"


async def check_key(settings: Settings) -> list[Line]:
    """Check the key, if there is a database: the first start with a SQLite file makes it."""
    url = settings.database_url
    try:
        if not is_postgres(url) and not await asyncio.to_thread(database_path(url).exists):
            return []
    except StartupError:  # reported by the database's line
        return []
    from bot.pictures import open_store  # only where used: these import SQLAlchemy
    from bot.pseudonym_key import UNSET, key_of, key_path, problem_of
    from bot.store.backends import inspected

    try:
        key = await asyncio.to_thread(key_of, settings)
    except StartupError as error:
        return [_line(str(error), wrong)]
    try:
        async with inspected(url) as database, database.reading() as view:
            problem = await problem_of(settings, view, open_store(settings), key)
    except (StartupError, NotNow):  # reported by the lines of the database and of the pictures
        return []
    if problem:
        return [_line(problem, warning if problem == UNSET else wrong)]
    path = key_path(settings)
    if path is None:
        return [ok(KEY, "PSEUDONYM_KEY is set")]
    there = f"{path}: copy it to a place apart from the backups"
    return [ok(KEY, there if key is not None else f"{path} will be created")]


def _line(problem: str, kind: Callable[[str, str, str], Line]) -> Line:
    """Return a line of a sentence with the event, and of those after it, the remedy."""
    event, _, remedy = problem.partition(". ")
    return kind(KEY, event, remedy)
