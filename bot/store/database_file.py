"""The database file itself: the lock of the running instance, and consistent copies."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout

from bot.errors import StartupError
from bot.store.database import REVISION


def needs_migration(path: Path) -> bool:
    """Return whether a start would make or change the tables; False if the file is unreadable."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            table = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
            if not file.execute(table).fetchone()[0]:
                return True
            found = file.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:  # the start says what is wrong with the file
        return False
    return found is None or str(found[0]) < REVISION


class InstanceLock:
    """The lock from start to stop; the system releases it however the process ends.

    The holder's process id is written beside the lock, since each attempt empties the lock file.
    """

    def __init__(self, database: Path) -> None:
        self._lock = FileLock(f"{database}.lock", timeout=0)
        self._holder = Path(f"{database}.pid")
        self._database = database

    def __enter__(self) -> "InstanceLock":
        try:
            self._database.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise StartupError(
                f"DATABASE_URL: {self._database} is in use by another Easel{self._named()}. "
                "Stop that one first, or set another file."
            ) from None
        except OSError as error:
            raise StartupError(
                f"DATABASE_URL: {error}. Set it to a file that Easel may write."
            ) from error
        self._holder.write_text(str(os.getpid()))
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _named(self) -> str:
        try:
            return f" (process {int(self._holder.read_text())})"
        except (OSError, ValueError):
            return ""


WAIT_SECONDS = 30.0


def back_up(source: Path, target: Path) -> int:
    """Copy the database file `source` to `target`, and return the copy's size in bytes.

    Interaction tokens and the signatures of attachments' addresses are blanked, and no byte of them
    is left. The copy is complete or absent.
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
        there.create_function("unsigned", 1, _unsigned)
        there.execute("UPDATE jobs SET inputs = unsigned(inputs) WHERE inputs != '[]'")
        there.execute("VACUUM")  # removes the blanked tokens from unused pages
    with copy.open("rb+") as file:
        os.fsync(file.fileno())


def _unsigned(inputs: str) -> str:
    """Return attachments, as JSON, whose addresses lack their queries: they open the files."""
    found = json.loads(inputs)
    return json.dumps([{**each, "url": each["url"].partition("?")[0]} for each in found])
