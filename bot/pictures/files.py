"""FileStore: pictures as files of a folder: `ab/abcd….png`."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from threading import Lock

from filelock import FileLock

from bot.errors import StartupError
from bot.jobs import Picture
from bot.pictures.erasures import note_in, notes_in, remove_copies, removed_in, sync_folder
from bot.pictures.store import (
    UNFINISHED,
    PictureStore,
    Staged,
    StoredFile,
    judge,
    name_of,
    temporary_in,
)

LOCK_SECONDS = 30.0  # for the lock between processes, which is held for moments
OLD_SECONDS = 3600.0  # after which no process uses a temporary file any more


class FileStore(PictureStore):
    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        """`shared` says that other processes of this machine have the folder too."""
        super().__init__(folder, shared=shared)
        # Between the look at a file's time and the removal, nobody may store the same bytes.
        self._lock = Lock()

    def path(self, picture: Picture) -> Path:
        """Return the file of a picture, which retention may have removed."""
        return self._path(name_of(picture))

    async def store(self, data: bytes) -> Picture:
        return await asyncio.to_thread(self._store, data)

    async def stage(self, data: bytes) -> Staged:
        return await asyncio.to_thread(self.write_staged, data, durably=True)

    async def keep(self, staged: Staged) -> Picture:
        return await asyncio.to_thread(self._keep, staged)

    async def read(self, picture: Picture) -> bytes:
        return await asyncio.to_thread(self.path(picture).read_bytes)

    async def find(self, name: str) -> StoredFile | None:
        with suppress(FileNotFoundError):
            return await asyncio.to_thread(_stored, self._path(name))
        return None

    @asynccontextmanager
    async def local(self, file: StoredFile) -> AsyncIterator[Path]:
        yield self._path(file.name)

    async def add(self, path: Path, name: str) -> None:
        await asyncio.to_thread(path.replace, self._path(name))

    async def files(self, sha256: str = "") -> list[StoredFile]:
        return await asyncio.to_thread(self._files, sha256)

    async def remove(self, files: Iterable[StoredFile]) -> None:
        await asyncio.to_thread(self._remove, files)

    async def copy_to(self, target: Path) -> int:
        return await asyncio.to_thread(self._copy_to, target)

    async def note_erasure(self, name: str, content: bytes = b"") -> None:
        await asyncio.to_thread(note_in, self.disk, {name: content})

    async def erasures(self) -> Mapping[str, bytes]:
        return await asyncio.to_thread(notes_in, self.disk)

    async def prepare(self) -> None:
        await asyncio.to_thread(self._remove_unfinished)

    async def probe(self) -> None:
        try:
            path = await asyncio.to_thread(temporary_in, self.disk, "probe-")
            await asyncio.to_thread(path.unlink)
        except OSError as error:
            raise StartupError(
                f"PICTURES_URL: {self.disk} cannot be written: {error.strerror}. "
                "Name a folder that Easel may write."
            ) from error

    def temporary(self, picture: Picture) -> Path:
        return temporary_in(self.path(picture).parent, f"{picture.sha256}-")

    def _path(self, name: str) -> Path:
        return self.disk / name[:2] / name

    def _files(self, sha256: str) -> list[StoredFile]:
        found = []
        for path in self.disk.glob(f"{sha256[:2] or '??'}/{sha256}*"):
            if path.suffix != UNFINISHED:
                with suppress(FileNotFoundError):
                    found.append(_stored(path))
        return found

    def _remove_unfinished(self) -> None:
        """Remove the temporary files of an earlier run; of a shared folder, the old ones."""
        before = time.time() - OLD_SECONDS
        unfinished = (self.disk.glob(f"{folder}*{UNFINISHED}") for folder in ("", "??/"))
        for path in chain.from_iterable(unfinished):
            with suppress(FileNotFoundError):
                if not self.shared or path.stat().st_mtime < before:
                    path.unlink()

    def _remove(self, files: Iterable[StoredFile]) -> None:
        for file in files:
            path = self._path(file.name)
            with self._locked(), suppress(FileNotFoundError):
                if _stored(path).touched <= file.touched:
                    path.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude every other thread, and every other process if the folder is shared."""
        between = FileLock(self.disk / ".lock", LOCK_SECONDS) if self.shared else nullcontext()
        with self._lock, between:
            yield

    def _copy_to(self, target: Path) -> int:
        copied = 0
        files = self._files("")
        for file in files:
            copy = target / file.name[:2] / file.name
            if not file.is_original or is_copied(file, copy):
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            unfinished = copy.with_suffix(UNFINISHED)
            with suppress(FileNotFoundError):  # retention has just removed the file
                shutil.copyfile(self._path(file.name), unfinished)
                unfinished.replace(copy)
                copied += 1
        notes = notes_in(self.disk)
        note_in(target, notes)
        remove_copies(target, removed_in(notes) - {file.sha256 for file in files})
        return copied

    def _store(self, data: bytes) -> Picture:
        picture = judge(data)
        if self._touch(picture):
            return picture
        return self._keep(self.write_staged(data, picture, durably=True))

    def _touch(self, picture: Picture) -> bool:
        """Keep a stored picture from retention for a time; return false if there is none."""
        path = self.path(picture)
        if not path.exists():
            return False
        with self._locked(), suppress(FileNotFoundError):
            if path.stat().st_size == picture.size:
                path.touch()
                return True
        return False

    def _keep(self, staged: Staged) -> Picture:
        # Written under another name first: a crash leaves a whole picture or nothing.
        path = self.path(staged.picture)
        path.parent.mkdir(exist_ok=True)
        with self._locked():
            os.utime(staged.path)
            staged.path.replace(path)
        sync_folder(path.parent)
        return staged.picture


def is_copied(file: StoredFile, copy: Path) -> bool:
    return copy.exists() and copy.stat().st_size == file.size


def _stored(path: Path) -> StoredFile:
    stat = path.stat()
    return StoredFile(path.name, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))
