"""The machine: the database file, and the free space on the disk."""

import asyncio
import os
import shutil
from pathlib import Path

from bot.check.report import Line, ok, warning, wrong
from bot.errors import StartupError
from bot.pictures.location import local_folder
from bot.settings import Settings
from bot.store.audit import Verification, verify
from bot.store.backends import inspected
from bot.store.database import REVISION, EmptyDatabase, OlderDatabase
from bot.store.postgres import is_postgres, label_of
from bot.store.sqlite import database_path

DATABASE, DISK = "database", "disk"
MIB = 1024 * 1024
GIB = 1024 * MIB


async def check_database(settings: Settings) -> list[Line]:
    try:
        if is_postgres(settings.database_url):
            return await _server(settings.database_url)
        path = database_path(settings.database_url)
        if not await asyncio.to_thread(path.exists):
            return [await asyncio.to_thread(_missing, path)]
        return await _file(path, settings.database_url)
    except OlderDatabase as error:
        tool = "pg_dump" if is_postgres(settings.database_url) else "`easel backup`"
        return [warning(DATABASE, str(error), f"Copy it first with {tool}.")]
    except StartupError as error:
        problem, _, remedy = str(error).partition(". ")
        return [wrong(DATABASE, problem, remedy)]


async def check_disk(settings: Settings) -> list[Line]:
    """Check the disk of the pictures, which is also that of a database file."""
    try:
        folder = await asyncio.to_thread(_existing_folder, local_folder(settings).parent)
        free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
    except StartupError:  # reported by the database's line
        return []
    space = f"{size_text(free)} free at {folder}"
    remedy = "Free some space, or lower KEEP_DAYS or KEEP_GB."
    if free < 100 * MIB:
        return [wrong(DISK, space, remedy)]
    if free < GIB:
        return [warning(DISK, space, remedy)]
    return [ok(DISK, space)]


def size_text(size: int) -> str:
    if size >= GIB:
        return f"{size / GIB:.1f} GiB"
    return f"{size / MIB:.1f} MiB"


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


def _missing(path: Path) -> Line:
    folder = _existing_folder(path.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "Set DATABASE_URL to a file that Easel may write."
        return wrong(DATABASE, f"{path} cannot be created: {folder} is not writable", remedy)
    return ok(DATABASE, f"{path} will be created")


def _existing_folder(folder: Path) -> Path:
    """Return the folder, or the nearest parent that exists."""
    folder = folder.absolute()
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)
