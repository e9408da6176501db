"""The instance lock: one Easel for each database file.

A second process would take the jobs of the first one for abandoned.
"""

import os
from pathlib import Path

from filelock import FileLock, Timeout

from bot.errors import StartupError


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
