"""Pictures stored once by their SHA-256, as files: `pictures/ab/abcd….png`."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import ProviderError, Reason
from bot.jobs import Picture
from bot.pictures.header import MAX_PIXELS, NotAPicture, measure, sniff


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored picture. `touched` is the time of the last `store`; `size` is in bytes."""

    path: Path
    sha256: str
    size: int
    touched: datetime


class PictureStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, picture: Picture) -> Path:
        """Return the file of a picture, which retention may have removed."""
        name = f"{picture.sha256}.{picture.kind}"
        return self._folder / picture.sha256[:2] / name

    async def store(self, data: bytes) -> Picture:
        """Store a picture durably, and return its description.

        Raises ProviderError(MALFORMED) if the bytes are not a picture, or of too many pixels.
        """
        return await asyncio.to_thread(self._store, data)

    async def read(self, picture: Picture) -> bytes:
        """Return the bytes of a picture. Raises FileNotFoundError."""
        return await asyncio.to_thread(self.path(picture).read_bytes)

    def files(self) -> list[StoredFile]:
        """Return all stored files. Blocking: call in a thread."""
        found = []
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):
                stat = path.stat()
                touched = datetime.fromtimestamp(stat.st_mtime, UTC)
                found.append(StoredFile(path, path.stem, stat.st_size, touched))
        return found

    def remove(self, files: Iterable[StoredFile]) -> None:
        """Remove files that may be gone already. Blocking: call in a thread."""
        for file in files:
            file.path.unlink(missing_ok=True)

    def copy_to(self, target: Path) -> int:
        """Copy the files that `target` lacks, and return their number. Blocking."""
        copied = 0
        for file in self.files():
            copy = target / file.path.relative_to(self._folder)
            if copy.exists() and copy.stat().st_size == file.size:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            unfinished = copy.with_suffix(".part")
            with suppress(FileNotFoundError):  # retention has just removed the file
                shutil.copyfile(file.path, unfinished)
                unfinished.replace(copy)
                copied += 1
        return copied

    def _store(self, data: bytes) -> Picture:
        picture = _judge(data)
        path = self.path(picture)
        if path.exists() and path.stat().st_size == len(data):
            path.touch()  # retention leaves files alone that were touched just now
            return picture
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written under another name first: a crash leaves a whole picture or nothing.
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        return picture


def _judge(data: bytes) -> Picture:
    kind = sniff(data)
    if kind is None:
        raise ProviderError(Reason.MALFORMED, "not a picture")
    try:
        width, height = measure(data)
    except NotAPicture as error:
        raise ProviderError(Reason.MALFORMED, f"not a picture: {error}") from error
    if width * height > MAX_PIXELS:
        raise ProviderError(Reason.MALFORMED, f"a picture of {width}x{height} pixels")
    return Picture(hashlib.sha256(data).hexdigest(), kind, len(data), width, height)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
