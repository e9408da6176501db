"""BucketStore: pictures as objects of a bucket: `prefix/ab/abcd….png`.

Several processes store and remove, and a bucket has no locks. The protocol that replaces them is
in docs/internals/design.md (Pictures in a bucket).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from secrets import token_hex

from bot.jobs import Picture
from bot.pictures.bucket_access import not_usable
from bot.pictures.erasures import ERASED, note_in, remove_copies, removed_in
from bot.pictures.files import OLD_SECONDS, is_copied
from bot.pictures.objects import BucketUnavailable, Entry, Failure, Objects, Problem
from bot.pictures.store import (
    NAME,
    SHA256_LENGTH,
    UNFINISHED,
    PictureStore,
    Staged,
    StoredFile,
    judge,
    name_of,
    temporary_in,
)

AT_ONCE = 8  # requests for many objects
BATCH = 500  # objects that are removed under one mark
REMOVING = "removing"  # the folder of the marks
PROBE = "probe"  # the folder of the objects that a start writes and deletes
REMOVAL_SECONDS = 20.0  # for a batch, after which nothing more is removed
MARK_LIFE = timedelta(seconds=60)  # after which a mark is left over, and its requests have ended
MARK_KEEP = timedelta(hours=1)  # of a mark that is left over
MARK_WAIT = 0.25  # seconds between looks at the marks
# S3 counts whole seconds, and the clock of a bucket is not Easel's.
YOUNG = timedelta(seconds=30)
TRIES = 3  # of a picture that is removed each time
SPARE_BYTES = 64 * 1024 * 1024  # of the disk of temporary files
PROBE_SECONDS = 15.0  # for each request of the probe


class BucketStore(PictureStore):
    def __init__(self, objects: Objects, staging: Path) -> None:
        """`staging` is the local folder of temporary files."""
        super().__init__(staging, shared=True)
        self._objects = objects

    async def store(self, data: bytes) -> Picture:
        picture = await asyncio.to_thread(judge, data)
        await self._write(name_of(picture), data)
        return picture

    async def keep(self, staged: Staged) -> Picture:
        await self._write(name_of(staged.picture), await asyncio.to_thread(staged.path.read_bytes))
        return staged.picture

    async def read(self, picture: Picture) -> bytes:
        try:
            return await self._objects.read(_key(name_of(picture)))
        except FileNotFoundError:
            raise await self._gone(name_of(picture)) from None

    async def find(self, name: str) -> StoredFile | None:
        if entry := await self._objects.head(_key(name)):
            return _stored(entry)
        # The answer to HEAD has no text, and may mean that there is no bucket.
        found = await self.files(name[:SHA256_LENGTH])
        return next((each for each in found if each.name == name), None)

    @asynccontextmanager
    async def local(self, file: StoredFile) -> AsyncIterator[Path]:
        path = await asyncio.to_thread(self._room_for, file)
        try:
            await self._download(file, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    async def add(self, path: Path, name: str) -> None:
        await self._objects.write(_key(name), await asyncio.to_thread(path.read_bytes))

    async def files(self, sha256: str = "") -> list[StoredFile]:
        if not sha256:
            found = [each async for each in self._objects.all()]
        else:
            found = await self._objects.first(sha256[:2], after=_key(sha256))
        stored = [_stored(each) for each in found if _is_picture(each)]
        return [each for each in stored if each.name.startswith(sha256)]

    async def remove(self, files: Iterable[StoredFile]) -> None:
        listed = list(files)
        for at in range(0, len(listed), BATCH):
            try:
                async with asyncio.timeout(REMOVAL_SECONDS):
                    mark = await self._remove(listed[at : at + BATCH])
            except TimeoutError:
                raise self._objects.unavailable(Failure(Problem.AWAY)) from None
            # A request without an answer may be executed later: then the mark is left.
            await self._objects.delete([mark])

    async def copy_to(self, target: Path) -> int:
        self._objects.quiet = True  # the command reports the failure
        places = asyncio.Semaphore(AT_ONCE)

        async def copy(file: StoredFile) -> bool:
            async with places:
                return await self._copy(file, target / _key(file.name))

        originals = [each for each in await self.files() if each.is_original]
        copied = sum(await asyncio.gather(*(copy(each) for each in originals)))
        notes = await self.erasures()
        await asyncio.to_thread(note_in, target, notes)
        gone = removed_in(notes) - {each.sha256 for each in originals}
        await asyncio.to_thread(remove_copies, target, gone)
        return copied

    async def note_erasure(self, name: str, content: bytes = b"") -> None:
        await self._objects.create(f"{ERASED}/{name}", content)

    async def erasures(self) -> Mapping[str, bytes]:
        found = [each async for each in self._objects.all(ERASED)]
        return {
            each.key.rpartition("/")[2]: await self._objects.read(each.key) if each.size else b""
            for each in found
        }

    async def prepare(self) -> None:
        await asyncio.to_thread(self._remove_unfinished)

    def temporary(self, picture: Picture) -> Path:
        return temporary_in(self.disk, f"{picture.sha256}-")

    async def probe(self) -> None:
        """Write, list, read and delete a small object. StartupError names the first refusal."""
        key = f"{PROBE}/{token_hex(8)}"
        self._objects.quiet = True
        try:
            await self._probed("may not be written to", self._objects.create(key, b"Easel"))
            await self._probed("may not be listed", self._objects.first(PROBE, after=""))
            await self._probed("may not be read", self._objects.read(key))
            await self._probed("allows no deletes", self._delete_probe(key))
        finally:
            self._objects.quiet = False

    async def _probed(self, refusal: str, request: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await request
        except BucketUnavailable as error:
            failure = error.failure
        except (TimeoutError, FileNotFoundError):
            failure = Failure(Problem.AWAY)
        else:
            return
        raise not_usable(
            self._objects.url, failure, refusal, has_credentials=self._objects.has_credentials
        )

    async def _delete_probe(self, key: str) -> None:
        await self._objects.delete([key])
        if await self._objects.head(key):
            raise BucketUnavailable(Failure(Problem.REFUSED))

    async def _write(self, name: str, data: bytes) -> None:
        """Write a picture, or renew its time; return when no removal can hit it any more."""
        for _ in range(TRIES):
            if not await self._objects.create(_key(name), data):
                await self._objects.write(_key(name), data)
            if await self._survives(name):
                return
        raise self._objects.unavailable(Failure(Problem.ODD, "removed while stored"))

    async def _survives(self, name: str) -> bool:
        """Wait until every removal that may not know of the write has ended."""
        began = time.monotonic()
        while True:
            marks = [each async for each in self._objects.all(REMOVING)]
            found = await self._objects.head(_key(name))
            if found is None:
                return False
            now = found.written + timedelta(seconds=time.monotonic() - began)
            if left := [mark.key for mark in marks if now - mark.written > MARK_KEEP]:
                await self._objects.delete(left)
            if all(now - mark.written > MARK_LIFE for mark in marks):
                return True
            await asyncio.sleep(MARK_WAIT)

    async def _remove(self, files: Sequence[StoredFile]) -> str:
        """Remove the files that were not stored again, and return the key of the mark."""
        mark = f"{REMOVING}/{token_hex(8)}"
        await self._objects.write(mark, b"")
        begun = await self._objects.head(mark)
        places = asyncio.Semaphore(AT_ONCE)

        async def look(file: StoredFile) -> bool:
            async with places:
                found = await self._objects.head(_key(file.name))
            if found is None or begun is None:
                return False
            return _stored(found).touched <= file.touched and begun.written - found.written > YOUNG

        unchanged = await asyncio.gather(*(look(each) for each in files))
        keys = [_key(each.name) for each, same in zip(files, unchanged, strict=True) if same]
        if keys:
            await self._objects.delete(keys)
        return mark

    async def _download(self, file: StoredFile, path: Path) -> None:
        try:
            await self._objects.download(_key(file.name), path)
        except FileNotFoundError:
            raise await self._gone(file.name) from None

    async def _gone(self, name: str) -> Exception:
        """Return the error for an object that was not found: only the list is believed."""
        if await self.find(name) is None:
            return FileNotFoundError(name)
        return self._objects.unavailable(Failure(Problem.ODD, "listed, and not found"))

    async def _copy(self, file: StoredFile, copy: Path) -> bool:
        if await asyncio.to_thread(is_copied, file, copy):
            return False
        await asyncio.to_thread(copy.parent.mkdir, parents=True, exist_ok=True)
        unfinished = copy.with_suffix(UNFINISHED)
        try:
            await self._download(file, unfinished)
        except FileNotFoundError:  # retention has just removed the picture
            return False
        await asyncio.to_thread(unfinished.replace, copy)
        return True

    def _room_for(self, file: StoredFile) -> Path:
        if self.free_bytes() < file.size + SPARE_BYTES:
            raise self._objects.unavailable(Failure(Problem.ODD, f"no space in {self.disk}"))
        return temporary_in(self.disk, f"{file.sha256}-")

    def _remove_unfinished(self) -> None:
        """Remove the old temporary files: other processes may use the younger ones."""
        before = time.time() - OLD_SECONDS
        for path in self.disk.glob(f"*{UNFINISHED}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()


def _key(name: str) -> str:
    return f"{name[:2]}/{name}"


def _is_picture(entry: Entry) -> bool:
    name = entry.key.rpartition("/")[2]
    return NAME.fullmatch(name) is not None and entry.key == _key(name)


def _stored(entry: Entry) -> StoredFile:
    return StoredFile(entry.key.rpartition("/")[2], entry.size, entry.written + YOUNG)
