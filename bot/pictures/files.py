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
from threading import Lock

from bot.errors import ProviderError, Reason
from bot.jobs import Picture
from bot.pictures.attempts import Attempts
from bot.pictures.header import MAX_PIXELS, NotAPicture, measure, sniff

SHA256_LENGTH = 64  # in a name
UNFINISHED = ".part"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored picture, or a reduced copy of one. `size` is in bytes.

    `touched` is the time of the last `store`.
    """

    path: Path
    size: int
    touched: datetime

    @property
    def sha256(self) -> str:
        """The hash of the original, with which the name begins."""
        return self.path.name[:SHA256_LENGTH]


@dataclass(frozen=True, slots=True)
class Staged:
    """A picture in a temporary file, until `keep` or `discard`."""

    picture: Picture
    path: Path


class PictureStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.attempts = Attempts(folder / "attempts")  # of the decoder
        # Between the look at a file's time and the removal, nobody may store the same bytes.
        self._lock = Lock()

    def path(self, picture: Picture) -> Path:
        """Return the file of a picture, which retention may have removed."""
        return self.named(picture, f".{picture.kind}")

    def named(self, picture: Picture, rest: str) -> Path:
        """Return a file that belongs to a picture; `rest` follows on its SHA-256."""
        return self._folder / picture.sha256[:2] / f"{picture.sha256}{rest}"

    async def store(self, data: bytes) -> Picture:
        """Store a picture durably, and return its description.

        Raises ProviderError(MALFORMED) if the bytes are not a picture, or of too many pixels.
        """
        return await asyncio.to_thread(self._store, data)

    async def stage(self, data: bytes) -> Staged:
        """Write a picture to a temporary file, durably. Raises as `store`."""
        return await asyncio.to_thread(self._stage, data)

    async def keep(self, staged: Staged) -> Picture:
        """Store a staged picture."""
        return await asyncio.to_thread(self._keep, staged)

    def discard(self, staged: Staged) -> None:
        """Remove the temporary file, if it is left."""
        staged.path.unlink(missing_ok=True)

    async def read(self, picture: Picture) -> bytes:
        """Return the bytes of a picture. Raises FileNotFoundError."""
        return await asyncio.to_thread(self.path(picture).read_bytes)

    def files(self, sha256: str = "") -> list[StoredFile]:
        """Return all stored files, or those of one picture. Blocking: call in a thread."""
        found = []
        for path in self._folder.glob(f"{sha256[:2] or '??'}/{sha256}*"):
            if path.suffix != UNFINISHED:
                with suppress(FileNotFoundError):
                    found.append(_stored(path))
        return found

    def remove_unfinished(self) -> None:
        """Remove the temporary files of an earlier run. Blocking: call in a thread."""
        for path in self._folder.glob(f"??/*{UNFINISHED}"):
            path.unlink(missing_ok=True)

    def temporary(self, picture: Picture) -> Path:
        """Create a temporary file for a picture, or for a copy. Blocking: call in a thread."""
        folder = self.path(picture).parent
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f"{picture.sha256}-", suffix=UNFINISHED)
        os.close(handle)
        return Path(name)

    def remove(self, files: Iterable[StoredFile]) -> None:
        """Remove files that may be gone already. Blocking: call in a thread.

        A file that was stored again since it was listed stays.
        """
        for file in files:
            with self._lock, suppress(FileNotFoundError):
                if _stored(file.path).touched <= file.touched:
                    file.path.unlink()

    def free_bytes(self) -> int:
        """Return the free space of the disk. Blocking: call in a thread."""
        folders = (self._folder.absolute(), *self._folder.absolute().parents)
        return shutil.disk_usage(next(each for each in folders if each.exists())).free

    def copy_to(self, target: Path) -> int:
        """Copy the files that `target` lacks, and return their number. Blocking."""
        copied = 0
        for file in self.files():
            if file.path.stem != file.sha256:  # a reduced copy
                continue
            copy = target / file.path.relative_to(self._folder)
            if copy.exists() and copy.stat().st_size == file.size:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            unfinished = copy.with_suffix(UNFINISHED)
            with suppress(FileNotFoundError):  # retention has just removed the file
                shutil.copyfile(file.path, unfinished)
                unfinished.replace(copy)
                copied += 1
        return copied

    def _store(self, data: bytes) -> Picture:
        picture = _judge(data)
        return picture if self._touch(picture) else self._keep(self._stage(data, picture))

    def _touch(self, picture: Picture) -> bool:
        """Keep a stored picture from retention for a time; return false if there is none."""
        path = self.path(picture)
        with self._lock, suppress(FileNotFoundError):
            if path.stat().st_size == picture.size:
                path.touch()
                return True
        return False

    def _stage(self, data: bytes, judged: Picture | None = None) -> Staged:
        picture = judged or _judge(data)
        # Written under another name first: a crash leaves a whole picture or nothing.
        path = self.temporary(picture)
        try:
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Staged(picture, path)

    def _keep(self, staged: Staged) -> Picture:
        path = self.path(staged.picture)
        with self._lock:
            os.utime(staged.path)
            staged.path.replace(path)
        _sync_folder(path.parent)
        return staged.picture


def _stored(path: Path) -> StoredFile:
    stat = path.stat()
    return StoredFile(path, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))


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
