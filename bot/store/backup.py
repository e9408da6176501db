"""Consistent copies of a database that is in use, without secrets."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from bot.errors import StartupError

WAIT_SECONDS = 30.0


def back_up(source: Path, target: Path) -> int:
    """Copy the database file `source` to `target`, and return the copy's size in bytes.

    Interaction tokens are blanked, and no byte of them is left. The copy is complete or absent.
    StartupError if the source is missing, or if the target exists or cannot be written.
    """
    if not source.is_file():
        raise StartupError(f"DATABASE_URL: there is no database at {source} to copy.")
    try:
        target.touch(exist_ok=False)  # reserves the name
    except FileExistsError:
        raise StartupError(f"{target} exists already. Name a file that does not.") from None
    except OSError as error:
        raise StartupError(f"The backup to {target} failed: {error}.") from error
    copy = target.with_name(f"{target.name}.unfinished")
    try:
        _copy(source, copy)
        copy.replace(target)
    except (OSError, sqlite3.Error) as error:
        target.unlink()
        raise StartupError(f"The backup to {target} failed: {error}.") from error
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            copy.with_name(copy.name + ending).unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, copy: Path) -> None:
    uri = f"{source.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS)) as live,
        closing(sqlite3.connect(copy, timeout=WAIT_SECONDS, isolation_level=None)) as there,
    ):
        live.backup(there)
        there.execute("PRAGMA journal_mode=DELETE")  # one file, without a log
        there.execute("UPDATE jobs SET interaction_token = NULL")
        there.execute("VACUUM")  # removes the blanked tokens from unused pages
    with copy.open("rb+") as file:
        os.fsync(file.fileno())
