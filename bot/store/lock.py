"""One Easel for each database file: a second one would take the first one's jobs for abandoned."""

import os
from pathlib import Path

from filelock import FileLock, Timeout

from bot.errors import StartupError


class InstanceLock:
    """Held from start to stop; the system lets go of it however the process ends.

    Who holds it is written beside the lock, since the lock's own file is emptied by every try.
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
                "Stop that one first, or give this one a file of its own."
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
