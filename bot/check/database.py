"""A database that exists: its revision, its permissions and its ledger."""

import asyncio
import os
from pathlib import Path

from bot.check.report import DATABASE, Line, ok, size_text, warning, wrong
from bot.database_address import label_of
from bot.store.audit import Verification, verify
from bot.store.backends import inspected
from bot.store.database import REVISION, EmptyDatabase, OlderDatabase


async def check_existing(url: str, path: Path | None) -> list[Line]:
    """Check a file, or without a `path` the database of a server. StartupError."""
    try:
        return await (_server(url) if path is None else _file(path, url))
    except OlderDatabase as error:
        tool = "pg_dump" if path is None else "`easel backup`"
        return [warning(DATABASE, str(error), f"Copy it first with {tool}.")]


async def _server(url: str) -> list[Line]:
    try:
        found = await _verified(url)
    except EmptyDatabase as error:
        return [ok(DATABASE, str(error).removeprefix("DATABASE_URL: "))]
    return [ok(DATABASE, f"{label_of(url)}, revision {REVISION}"), _ledger(found)]


async def _file(path: Path, url: str) -> list[Line]:
    found = await _verified(url)
    size = (await asyncio.to_thread(path.stat)).st_size
    lines = [ok(DATABASE, f"{path}, revision {REVISION}, {size_text(size)}")]
    folder = path.parent / "pictures"
    if open_to_others := await asyncio.to_thread(_open_to_others, path, folder):
        remedy = "Prompts and pictures are private: `chmod -R go= FOLDER` closes them."
        named = ", ".join(str(each) for each in open_to_others)
        lines.append(warning("permissions", f"other users may read {named}", remedy))
    return [*lines, _ledger(found)]


async def _verified(url: str) -> Verification:
    async with inspected(url) as database, database.reading() as view:
        return await verify(view)


def _ledger(found: Verification) -> Line:
    if found.findings:
        remedy = "`easel ledger verify` lists them. Make a backup before you change anything."
        return wrong("ledger", found.summary, remedy)
    return ok("ledger", found.summary)


def _open_to_others(database: Path, pictures: Path) -> list[Path]:
    """Return the database and the folder of the pictures, if others of this machine may read them.

    Files of earlier versions were made with the usual permissions.
    """
    if os.name != "posix" or not database.parent.stat().st_mode & 0o011:
        return []  # nobody else enters the folder
    found = [each for each in (database, pictures) if each.exists()]
    return [each for each in found if each.stat().st_mode & 0o077]
