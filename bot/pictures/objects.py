"""Objects: the requests to a bucket, each with a time limit, by the library obstore.

The library is imported on demand: only buckets need it. Its errors hold addresses, and those of
Azure hold a signature, so that nothing of their text but a code is repeated.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from bot.pictures.store import PicturesUnavailable

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

log = logging.getLogger(__name__)

REQUEST_SECONDS = 20.0  # for a request without a picture, with its repeats
TRANSFER_SECONDS = 60.0  # for a picture
NO_CONDITIONS = "NotImplemented"  # the answer of some services to a conditional write
PART = 1024 * 1024  # bytes of a download that are in memory at once
# Without credentials, the library requests those of the machine's role.
ROLES = re.compile(r"169\.254\.169\.254|latest/api/token|metadata\.google|performing token request")


class Problem(StrEnum):
    """The kind of a failure; the value completes a sentence that begins with the address."""

    NO_BUCKET = "does not exist"
    NO_CREDENTIALS = "needs credentials, and none are set"
    REFUSED = "refuses the request"
    AWAY = "does not answer"
    ODD = "answers with an error"


@dataclass(frozen=True, slots=True)
class Failure:
    """The part of a library's error that may be repeated."""

    problem: Problem
    code: str = ""

    def __str__(self) -> str:
        return f"{self.problem} ({self.code})" if self.code else str(self.problem)


class BucketUnavailable(PicturesUnavailable):
    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Entry:
    """An object: its key, without the bucket's prefix, and the bucket's time of the last write."""

    key: str
    size: int
    written: datetime


class Objects:
    def __init__(self, store: "ObjectStore", url: str, *, has_credentials: bool) -> None:
        """`url` names the bucket in the log. Without credentials, those of a role are requested."""
        self._store = store
        self.url = url
        self.has_credentials = has_credentials
        self.quiet = False  # true while somebody else reports the failures
        self._has_conditions = True
        self._failing = False

    async def create(self, key: str, data: bytes) -> bool:
        """Write an object; return false if one of this key exists.

        A service that knows no conditional writes writes over an object.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        if not self._has_conditions:
            await self.write(key, data)
            return True
        try:
            async with self._asking(TRANSFER_SECONDS):
                await obstore.put_async(self._store, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except BucketUnavailable as error:
            if error.failure.code != NO_CONDITIONS:
                raise
            self._has_conditions = False
            return await self.create(key, data)
        except FileNotFoundError:
            raise self.unavailable(Failure(Problem.NO_BUCKET)) from None
        return True

    async def write(self, key: str, data: bytes) -> None:
        """Write an object, or replace the one of this key."""
        import obstore

        try:
            async with self._asking(TRANSFER_SECONDS):
                await obstore.put_async(self._store, key, data, use_multipart=False)
        except FileNotFoundError:
            raise self.unavailable(Failure(Problem.NO_BUCKET)) from None

    async def read(self, key: str) -> bytes:
        """Return the bytes of an object. FileNotFoundError if the answer is "not found"."""
        import obstore

        async with self._asking(TRANSFER_SECONDS):
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())

    async def download(self, key: str, path: Path) -> None:
        """Write the bytes of an object to a file, in parts. FileNotFoundError as for `read`."""
        import obstore

        async with self._asking(TRANSFER_SECONDS):
            found = await obstore.get_async(self._store, key)
            with await asyncio.to_thread(path.open, "wb") as file:
                async for part in found.stream(min_chunk_size=PART):
                    await asyncio.to_thread(file.write, part)

    async def head(self, key: str) -> Entry | None:
        """Return the description of an object; None if the answer is "not found"."""
        import obstore

        try:
            async with self._asking(REQUEST_SECONDS):
                return _entry(await obstore.head_async(self._store, key))
        except FileNotFoundError:
            return None

    async def all(self, prefix: str = "") -> AsyncIterator[Entry]:
        """Yield the objects of a folder, or all, in order."""
        import obstore

        pages = aiter(obstore.list(self._store, prefix=prefix or None, chunk_size=1000))
        while page := await self._page(pages):
            for each in page:
                yield _entry(each)

    async def first(self, prefix: str, after: str) -> list[Entry]:
        """Return the first objects of a folder whose keys follow on `after`."""
        import obstore

        pages = aiter(obstore.list(self._store, prefix=prefix, offset=after, chunk_size=50))
        return [_entry(each) for each in await self._page(pages) or ()]

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects that may be gone already."""
        import obstore

        try:
            async with self._asking(REQUEST_SECONDS):
                await obstore.delete_async(self._store, list(keys))
        except FileNotFoundError:  # at some services
            return

    async def _page(
        self, pages: "AsyncIterator[Sequence[ObjectMeta]]"
    ) -> "Sequence[ObjectMeta] | None":
        try:
            async with self._asking(REQUEST_SECONDS):
                return await anext(pages, None)
        except FileNotFoundError:
            raise self.unavailable(Failure(Problem.NO_BUCKET)) from None

    @asynccontextmanager
    async def _asking(self, seconds: float) -> AsyncIterator[None]:
        """Bound a request, and raise BucketUnavailable for its failures.

        FileNotFoundError and AlreadyExistsError are answers.
        """
        from obstore.exceptions import AlreadyExistsError

        try:
            async with asyncio.timeout(seconds):
                yield
        except AlreadyExistsError:
            raise
        except Exception as error:  # the library's own, time limits, a full disk, a panic
            failure = failure_of(error)
            if isinstance(error, FileNotFoundError) and failure.problem is not Problem.NO_BUCKET:
                raise
            raise self.unavailable(failure) from None
        if self._failing:
            self._failing = False
            log.info("%s answers again", self.url)

    def unavailable(self, failure: Failure) -> BucketUnavailable:
        """Return the error for a failure, and log the first of several."""
        if not self.quiet:
            level = logging.DEBUG if self._failing else logging.WARNING
            log.log(level, "stored pictures cannot be used, retrying: %s %s", self.url, failure)
            self._failing = True
        return BucketUnavailable(failure)


def failure_of(error: Exception) -> Failure:
    """Return what may be repeated of an error, which may hold credentials."""
    text, kind = str(error), type(error).__name__
    status = _first(r"status code: (\d{3})", text)
    code = _first(r"<Code>(\w{1,60})</Code>", text) or status
    if code in {"NoSuchBucket", "ContainerNotFound"}:
        return Failure(Problem.NO_BUCKET)
    if isinstance(error, TimeoutError):
        return Failure(Problem.AWAY)
    if ROLES.search(text):
        return Failure(Problem.NO_CREDENTIALS)
    if kind in {"PermissionDeniedError", "UnauthenticatedError"} or status in {"401", "403"}:
        return Failure(Problem.REFUSED, code)
    if status.startswith("5") and code != NO_CONDITIONS:
        return Failure(Problem.AWAY, code)
    if isinstance(error, OSError) and error.strerror:  # of this machine, such as a full disk
        return Failure(Problem.ODD, error.strerror)
    if "incorrectly configured region" in text:
        return Failure(Problem.ODD, "of another region")
    if "error sending request" in text or "timed out" in text:
        return Failure(Problem.AWAY)
    return Failure(Problem.ODD, code or kind)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


def _entry(meta: "ObjectMeta") -> Entry:
    return Entry(meta["path"], meta["size"], meta["last_modified"])
