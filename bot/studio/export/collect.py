"""One export: everything about a member, written into one ZIP file after the other.

Rows come in pages and pictures from the store, one by one; no more than one ZIP file exists at a
time.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.data_export import Record, Table, Text, Zip, json_text, longest_text, size_with_headers
from bot.errors import NotNow
from bot.jobs import Picture
from bot.pictures import PictureStore
from bot.pictures.store import StoredFile, name_of
from bot.store import exporting
from bot.store.exporting import Listing, MemberRows, StoredRow
from bot.studio.export import records
from bot.studio.export.readme import README, Missing

README_NAME = "README.txt"
LEFT_OUT = "left-out"  # the table of what none of the files has
MOST_LISTED = 10_000  # lines of this table
TABLES: Mapping[str, Listing] = {
    "requests": exporting.REQUESTS,
    "ledger": exporting.ENTRIES,
    "favourites": exporting.FAVOURITES,
    "rights": exporting.RIGHTS,
    "changes": exporting.CHANGES,
    "warnings": exporting.WARNINGS,
    "stopped": exporting.STOPPED,
    "taken": exporting.TAKEN,
}

NewFile = Callable[[], AbstractAsyncContextManager[Path]]


class ExportNotWritten(NotNow):
    """A file of an export cannot be written: the disk is full, or fails."""

    def __init__(self, detail: str) -> None:
        super().__init__()
        self.detail = detail


@dataclass
class Bounds:
    """The largest ZIP file in bytes, and the number of files.

    `most` may be lowered while the export goes on; None is no bound.
    """

    limit: int
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A finished ZIP file, which is there until the next one is asked for.

    `total` is the number of all, about right before the last; `left_out` is that of the pictures
    that none has, so far.
    """

    path: Path
    name: str
    size: int
    number: int
    total: int
    left_out: int

    @property
    def is_last(self) -> bool:
        return self.number == self.total


@dataclass(frozen=True, slots=True)
class Original:
    """A stored picture on its way into a ZIP file.

    `job_id` is the member's newest job with it; None of a picture that only others have used.
    """

    picture: Picture
    job_id: str | None

    @property
    def name(self) -> str:
        return records.file_of(self.picture)

    @property
    def size(self) -> int:
        return self.picture.size


Content = Text | Original  # of a ZIP file


class Export:
    """The export of one member, as it is written."""

    def __init__(
        self,
        rows: MemberRows,
        store: PictureStore,
        bounds: Bounds,
        now: datetime,
        new_file: NewFile,
    ) -> None:
        """`new_file` lends an empty file for a ZIP file."""
        self._rows = rows
        self._store = store
        self._bounds = bounds
        self._now = now
        self._new_file = new_file
        readme = README.format(day=f"{now:%Y-%m-%d %H:%M}", user_id=rows.user_id)
        self._readme = Text.of(README_NAME, readme.encode())
        self._room = bounds.limit - size_with_headers(README_NAME, self._readme.size) - 1024
        self._bytes_left = 0  # of pictures that have not had their turn
        self._left_out: list[Record] = []
        self._number_left_out = 0

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Yield the ZIP files in order.

        Raises ExportNotWritten, PicturesUnavailable, or NotNow if the database fails.
        """
        self._bytes_left = await self._rows.picture_bytes()
        number = 0
        async with aclosing(self._contents()) as contents:
            pending = await anext(contents, None)
            while pending is not None:
                number += 1
                async with self._new_file() as path:
                    pending = await self._write(path, contents, pending)
                    pending = await self._skip(contents, pending, number + 1)
                    yield Part(
                        path=path,
                        name=f"easel-data-{self._now:%Y-%m-%d}-{number}.zip",
                        size=(await asyncio.to_thread(path.stat)).st_size,
                        number=number,
                        total=number if pending is None else self._total(number, pending),
                        left_out=self._number_left_out,
                    )

    def _total(self, number: int, pending: Content) -> int:
        """Return the number of ZIP files as far as the rows tell, at least one more than now."""
        left = pending.size + max(self._bytes_left, 0)
        total = number + math.ceil(left / self._room)
        most = self._bounds.most
        return max(total if most is None else min(total, most), number + 1)

    async def _write(
        self, path: Path, contents: AsyncIterator[Content], first: Content
    ) -> Content | None:
        """Write a ZIP file, and return the first content that has no room; None after the last."""
        with _written():
            into = await asyncio.to_thread(Zip, path, self._bounds.limit, self._now)
        try:
            with _written():
                await asyncio.to_thread(into.add_text, self._readme)
            left: Content | None = first
            while left is not None:
                if into.fits(left.name, left.size):
                    await self._add(into, left)
                elif left is first:  # no other file would have room either
                    self._leave_out(left, Missing.TOO_LARGE)
                else:
                    break
                left = await anext(contents, None)
            with _written():
                await asyncio.to_thread(into.close)
        finally:
            into.abandon()
        return left

    async def _add(self, into: Zip, content: Content) -> None:
        if isinstance(content, Text):
            with _written():
                await asyncio.to_thread(into.add_text, content)
            return
        picture = content.picture
        file = StoredFile(name_of(picture), picture.size, self._now)
        try:
            async with self._store.local(file) as path:
                with _written():
                    await asyncio.to_thread(into.add_file, content.name, path)
        except FileNotFoundError:
            self._leave_out(content, Missing.GONE)

    async def _skip(
        self, contents: AsyncIterator[Content], pending: Content | None, number: int
    ) -> Content | None:
        """Leave out what may not begin the ZIP file of this number; return the first that may.

        The last file is for the table of what is left out.
        """
        most = self._bounds.most
        while pending is not None and most is not None and number >= most:
            if pending.name.startswith(LEFT_OUT):
                break
            self._leave_out(pending, Missing.TOO_MANY)
            pending = await anext(contents, None)
        return pending

    def _leave_out(self, content: Content, why: Missing) -> None:
        self._number_left_out += 1
        if len(self._left_out) < MOST_LISTED:
            self._left_out.append(
                {
                    "file": None if why is Missing.FOREIGN else content.name,
                    "job_id": content.job_id if isinstance(content, Original) else None,
                    "size": None if why is Missing.FOREIGN else content.size,
                    "reason": why.value,
                }
            )

    async def _contents(self) -> AsyncGenerator[Content, None]:
        """Yield all texts, then the pictures, the newest first, then what is left out."""
        yield await self._about_member()
        for name, listing in TABLES.items():
            async for text in self._table(name, listing):
                yield text
        async for original in self._originals():
            yield original
        for text in await asyncio.to_thread(self._list_left_out):
            yield text

    async def _about_member(self) -> Text:
        value = {
            "user_id": str(self._rows.user_id),
            "exported_at": self._now,
            "choices": await self._rows.one(exporting.PREFERENCES),
            "requested_deletion": await self._rows.one(exporting.ERASURE),
        }
        return json_text("member.json", value)

    async def _table(self, name: str, listing: Listing) -> AsyncIterator[Text]:
        table: Table | None = None
        async for rows in self._rows.pages(listing):
            read = await self._records(name, rows)
            if table is None:
                table = Table(name, [*read[0]], longest_text(self._room))
            for text in await asyncio.to_thread(table.extend, read):
                yield text
        if table is not None:
            for text in await asyncio.to_thread(table.end):
                yield text

    async def _records(self, name: str, rows: list[StoredRow]) -> list[Record]:
        match name:
            case "requests":
                ids = [row["id"] for row in rows]
                pictures = await self._rows.pictures_of(ids)
                generations = await self._rows.generations_of(ids)
                return await asyncio.to_thread(records.requests, rows, pictures, generations)
            case "rights":
                return records.rights(rows)
            case "changes":
                return records.changes(rows, self._rows.user_id)
            case "warnings":
                return records.warnings(rows)
            case "stopped":
                return records.stopped(rows)
            case "taken":
                return await asyncio.to_thread(records.taken, rows)
        return records.plain_records(rows)

    async def _originals(self) -> AsyncIterator[Original]:
        """Yield each picture once, with the newest job that has it."""
        async for rows in self._rows.pages(exporting.JOB_IDS):
            ids = [row["id"] for row in rows]
            pictures = records.by_job(await self._rows.pictures_of(ids))
            for job_id in ids:
                once = {row["sha256"]: row for row in pictures[job_id] if not row["again"]}
                for row in once.values():
                    original = Original(records.picture_of(row), job_id)
                    self._bytes_left -= original.size
                    if row["foreign"]:
                        self._leave_out(original, Missing.FOREIGN)
                    elif self._has_room(original):
                        yield original
        last = None
        async for rows in self._rows.pages(exporting.TAKEN):
            for row in rows:  # by the hash
                original = Original(records.picture_of(row), None)
                if row["sha256"] != last and not row["own"] and self._has_room(original):
                    yield original
                last = row["sha256"]

    def _has_room(self, original: Original) -> bool:
        """Return whether a file can hold a picture; else it is left out."""
        if size_with_headers(original.name, original.size) <= self._room:
            return True
        self._leave_out(original, Missing.TOO_LARGE)
        return False

    def _list_left_out(self) -> list[Text]:
        if not self._left_out:
            return []
        table = Table(LEFT_OUT, [*self._left_out[0]], longest_text(self._room))
        texts = table.extend(self._left_out)
        if self._number_left_out > len(self._left_out):
            rest = {"file": None, "job_id": None, "size": None, "reason": Missing.NOT_LISTED.value}
            texts += table.extend([rest])
        return [*texts, *table.end()]


@contextmanager
def _written() -> Iterator[None]:
    """Raise ExportNotWritten for a file that cannot be written."""
    try:
        yield
    except FileNotFoundError:  # a picture that retention has removed
        raise
    except OSError as error:
        raise ExportNotWritten(error.strerror or type(error).__name__) from error
