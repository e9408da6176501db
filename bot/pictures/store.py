"""PictureStore: pictures stored once by their SHA-256, in files or in a bucket.

Nobody else knows which of the two: a store lends local files for the time of a block.
"""

import asyncio
import hashlib
import mmap
import os
import re
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.errors import NotNow, ProviderError, Reason, StartupError
from bot.jobs import Picture, PictureKind
from bot.pictures.attempts import Attempts
from bot.pictures.header import MAX_PIXELS, Data, NotAPicture, measure, sniff

SHA256_LENGTH = 64  # in a name
UNFINISHED = ".part"
NAME = re.compile(r"[0-9a-f]{64}(-\d+)?\.\w+")  # of a stored file; a copy has its limit in it


class PicturesUnavailable(NotNow):
    """The stored pictures cannot be read or written now: retry. The store has logged the cause."""

    def __init__(self, detail: str) -> None:
        """`detail` holds no credentials."""
        super().__init__()
        self.detail = detail


class StoreAway(StartupError):
    """The place of the pictures does not answer a start, which may go on all the same."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored picture, or a reduced copy of one. `size` is in bytes.

    `touched` is the time of the last `store`, or a little later.
    """

    name: str
    size: int
    touched: datetime

    @property
    def sha256(self) -> str:
        """The hash of the original, with which the name begins."""
        return self.name[:SHA256_LENGTH]

    @property
    def is_original(self) -> bool:
        return self.name[SHA256_LENGTH] == "."


@dataclass(frozen=True, slots=True)
class Staged:
    """A picture in a temporary file, until `keep` or `discard`."""

    picture: Picture
    path: Path


class PictureStore(ABC):
    """The bytes of pictures and of their reduced copies.

    Every method may raise PicturesUnavailable. A picture that was removed is FileNotFoundError,
    which a store raises only if it surely does not have the picture.
    """

    def __init__(self, disk: Path, *, shared: bool) -> None:
        """`disk` is the local folder of temporary files; `shared` is with other processes."""
        self.disk = disk
        self.shared = shared
        self.attempts = Attempts(disk / "attempts")  # of the decoder

    @abstractmethod
    async def store(self, data: bytes) -> Picture:
        """Store a picture durably, and return its description.

        Raises ProviderError(MALFORMED) if the bytes are not a picture, or of too many pixels.
        """

    async def stage(self, data: bytes) -> Staged:
        """Write a picture to a temporary file. Raises as `store`."""
        return await asyncio.to_thread(self.write_staged, data)

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[Path]:
        """Lend an empty temporary file for a picture on its way, until the end of the block."""
        path = await asyncio.to_thread(temporary_in, self.disk, "arriving-")
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @abstractmethod
    async def keep(self, staged: Staged) -> Picture:
        """Store a staged picture."""

    def discard(self, staged: Staged) -> None:
        """Remove the temporary file, if it is left."""
        staged.path.unlink(missing_ok=True)

    @abstractmethod
    async def read(self, picture: Picture) -> bytes:
        """Return the bytes of a picture. Raises FileNotFoundError."""

    @abstractmethod
    async def find(self, name: str) -> StoredFile | None:
        """Return the file of this name; None if there is none."""

    @abstractmethod
    def local(self, file: StoredFile) -> AbstractAsyncContextManager[Path]:
        """Lend a file with these bytes, for reading during the block. Raises FileNotFoundError."""

    @abstractmethod
    async def add(self, path: Path, name: str) -> None:
        """Store a reduced copy, made by `temporary`, which may be moved."""

    @abstractmethod
    async def files(self, sha256: str = "") -> list[StoredFile]:
        """Return all stored files, or those of one picture."""

    @abstractmethod
    async def remove(self, files: Iterable[StoredFile]) -> None:
        """Remove files that may be gone already.

        A file that was stored again since it was listed stays.
        """

    @abstractmethod
    async def copy_to(self, target: Path) -> int:
        """Copy the pictures that the folder `target` lacks, and return their number.

        The notes of deletions are copied too, and what they list as removed goes from the folder.
        """

    @abstractmethod
    async def note_erasure(self, name: str, content: bytes = b"") -> None:
        """Store a note of a deletion, durably; a second time does nothing."""

    @abstractmethod
    async def erasures(self) -> Mapping[str, bytes]:
        """Return the contents of all notes of deletions, by their names."""

    @abstractmethod
    async def prepare(self) -> None:
        """Remove temporary files of earlier runs."""

    @abstractmethod
    async def probe(self) -> None:
        """Write and delete something small. StartupError names PICTURES_URL and the remedy.

        StoreAway if the same may succeed later.
        """

    @abstractmethod
    def temporary(self, picture: Picture) -> Path:
        """Create a temporary file for a picture, or for a copy. Blocking: call in a thread."""

    def free_bytes(self) -> int:
        """Return the free space of the disk. Blocking: call in a thread."""
        folders = (self.disk.absolute(), *self.disk.absolute().parents)
        return shutil.disk_usage(next(each for each in folders if each.exists())).free

    def write_copy(self, source: Path, pieces: Iterable[bytes]) -> Staged:
        """Write the parts of a picture to a temporary file, durably, and describe the picture.

        They are those of `source`, apart from metadata. Blocking: call in a thread. Raises
        ProviderError(MALFORMED) if the source is not a picture, or of too many pixels.
        """
        kind, width, height = _judge_file(source)
        path, digest, size = temporary_in(self.disk, "copy-"), hashlib.sha256(), 0
        try:
            with path.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Staged(Picture(digest.hexdigest(), kind, size, width, height), path)

    def write_staged(
        self, data: bytes, judged: Picture | None = None, *, durably: bool = False
    ) -> Staged:
        """Write a picture to a temporary file. Blocking: call in a thread."""
        picture = judged or judge(data)
        path = self.temporary(picture)
        try:
            with path.open("wb") as file:
                file.write(data)
                if durably:
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Staged(picture, path)


def name_of(picture: Picture) -> str:
    return f"{picture.sha256}.{picture.kind}"


def temporary_in(folder: Path, prefix: str) -> Path:
    """Create an empty file, and the folder first. Blocking: call in a thread."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=UNFINISHED)
    os.close(handle)
    return Path(name)


def judge(data: bytes) -> Picture:
    """Describe a picture by its bytes. Raises ProviderError(MALFORMED)."""
    kind, width, height = _look(data)
    return Picture(hashlib.sha256(data).hexdigest(), kind, len(data), width, height)


def _judge_file(path: Path) -> tuple[PictureKind, int, int]:
    if not path.stat().st_size:  # which cannot be mapped
        return _look(b"")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _look(data)


def _look(data: Data) -> tuple[PictureKind, int, int]:
    """Return kind, width and height of a picture. Raises ProviderError(MALFORMED)."""
    kind = sniff(data[:16])
    if kind is None:
        raise ProviderError(Reason.MALFORMED, "not a picture")
    try:
        width, height = measure(data)
    except NotAPicture as error:
        raise ProviderError(Reason.MALFORMED, f"not a picture: {error}") from error
    if width * height > MAX_PIXELS:
        raise ProviderError(Reason.MALFORMED, f"a picture of {width}x{height} pixels")
    return kind, width, height
