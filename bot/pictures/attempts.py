"""Attempts: a durable count of the times that the decoding of a file was begun.

A file that ends the whole program would do so again after each restart, because its job is still
queued then. So each attempt is counted on the disk before it begins, and the count is removed if
the decoder outlives the attempt. Counts that are left over refuse the file for a day.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from weakref import WeakValueDictionary

from bot.errors import EaselError

MAX_ATTEMPTS = 2
REFUSED_SECONDS = 24 * 60 * 60


class TriedTooOften(EaselError):
    """The decoding of this file was begun as often as allowed, and never ended."""


class DecoderEnded(EaselError):
    """The decoder has ended during an attempt."""


class Attempts:
    def __init__(self, folder: Path) -> None:
        """`folder` holds a file for each count, with one byte for each attempt."""
        self._folder = folder
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Wait until nobody else attempts this file, and run the block.

        Two members may attach the same file: one end of the program is one attempt then.
        """
        async with self._locks.setdefault(name, asyncio.Lock()):
            yield

    @asynccontextmanager
    async def count(self, name: str) -> AsyncIterator[None]:
        """Count one attempt during the block. Raises TriedTooOften.

        The count stays after DecoderEnded; a timeout counts as all attempts. Any other end
        removes the count: the program and the decoder are alive.
        """
        path = self._folder / name
        await asyncio.to_thread(_begin, path)
        try:
            yield
        except DecoderEnded:
            raise
        except TimeoutError:
            await asyncio.to_thread(path.write_bytes, b"x" * MAX_ATTEMPTS)
            raise
        except BaseException:
            path.unlink(missing_ok=True)  # at once: a cancelled task is not to wait for a thread
            raise
        await asyncio.to_thread(path.unlink, missing_ok=True)

    def sweep(self) -> None:
        """Remove counts that are older than a day. Blocking: call in a thread."""
        for path in self._folder.glob("*"):
            with suppress(FileNotFoundError):
                if _is_old(path):
                    path.unlink()


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > REFUSED_SECONDS


def _begin(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and _is_old(path):
        path.unlink()
    with path.open("ab") as file:
        if file.tell() >= MAX_ATTEMPTS:
            raise TriedTooOften
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
