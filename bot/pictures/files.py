"""Bytes kept once by their SHA-256, as files: `pictures/ab/abcd….png`."""

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
from bot.pictures.header import NotAPicture, measure, sniff

MAX_PIXELS = 40_000_000  # of a picture that we are ready to decode


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`touched` is when it was kept, or kept again, last; `size` is in bytes."""

    path: Path
    sha256: str
    size: int
    touched: datetime


class PictureStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, picture: Picture) -> Path:
        name = f"{picture.sha256}.{picture.kind}"
        return self._folder / picture.sha256[:2] / name

    async def keep(self, data: bytes) -> Picture:
        """Keep these bytes; when this returns they are on the disk.

        ProviderError(MALFORMED) where they are no picture, or one too big to be shown.
        """
        return await asyncio.to_thread(self._keep, data)

    async def read(self, picture: Picture) -> bytes:
        return await asyncio.to_thread(self.path(picture).read_bytes)

    def files(self) -> list[StoredFile]:
        """All that is kept. Blocks: call it in a thread."""
        found = []
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):
                told = path.stat()
                touched = datetime.fromtimestamp(told.st_mtime, UTC)
                found.append(StoredFile(path, path.stem, told.st_size, touched))
        return found

    def remove(self, files: Iterable[StoredFile]) -> None:
        """Blocks: call it in a thread."""
        for file in files:
            file.path.unlink(missing_ok=True)

    def copy_to(self, target: Path) -> int:
        """Copy what is not there yet, and return how many files that were. Blocks."""
        copied = 0
        for file in self.files():
            copy = target / file.path.relative_to(self._folder)
            if copy.exists() and copy.stat().st_size == file.size:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            unfinished = copy.with_suffix(".part")
            with suppress(FileNotFoundError):  # it was just swept away
                shutil.copyfile(file.path, unfinished)
                unfinished.replace(copy)
                copied += 1
        return copied

    def _keep(self, data: bytes) -> Picture:
        picture = _judge(data)
        path = self.path(picture)
        if path.exists() and path.stat().st_size == len(data):
            path.touch()  # so that it is not swept away as old in this very moment
            return picture
        path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place when it is whole: a crash leaves a picture or nothing.
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
    """A rename is durable when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
