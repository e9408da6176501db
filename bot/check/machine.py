"""The machine: the database file, and the free space on the disk."""

import asyncio
import os
import shutil
from pathlib import Path

from bot.check.report import DATABASE, GIB, MIB, Line, ok, size_text, warning, wrong
from bot.database_address import database_path, is_postgres
from bot.errors import StartupError
from bot.picture_folder import local_folder
from bot.settings import Settings

DISK = "disk"


async def check_database(settings: Settings) -> list[Line]:
    try:
        shared = is_postgres(settings.database_url)
        path = None if shared else database_path(settings.database_url)
        if path is not None and not await asyncio.to_thread(path.exists):
            return [await asyncio.to_thread(_missing, path)]
        from bot.check.database import check_existing  # only where used: it imports SQLAlchemy

        return await check_existing(settings.database_url, path)
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
