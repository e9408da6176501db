"""Retention: the space for pictures, by KEEP_DAYS and KEEP_GB. Only files are removed, never rows.

KEEP_GB holds whenever a picture is stored, KEEP_DAYS once a day. The inputs of a job that ended
uncharged go at once.
"""

import asyncio
import hashlib
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from bot.errors import NotNow
from bot.jobs import Picture
from bot.pictures.store import PictureStore, PicturesUnavailable, StoredFile
from bot.store import pictures
from bot.store.database import Database
from bot.store.pictures import Use

log = logging.getLogger(__name__)

MIN_FREE = 1024**3  # bytes of the disk, under which inputs are refused
UNCHARGED_INTERVAL = 5.0  # seconds between removals of the inputs of uncharged jobs
SWEEP_INTERVAL = timedelta(days=1)
RETRY_SECONDS = 3600.0
# More is removed than has to be, so that not every new picture needs a look at all files.
SPARE = 0.01
UNUSED_KEEP = timedelta(days=1)  # of a file without a row, which a crash left behind
# A file without a row may belong to a job that has not written its rows yet.
GRACE = timedelta(hours=1)
# Other processes add files to a shared store, of which an estimate knows nothing.
ESTIMATE_AGE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Limits of the stored pictures: the time since the last use, and the sum of all files."""

    keep: timedelta
    keep_bytes: int


@dataclass(frozen=True, slots=True)
class Group:
    """An original with its reduced copies, which go together."""

    sha256: str
    files: tuple[StoredFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def touched(self) -> datetime:
        """The time of the original, if that is left: a copy stays when it is stored again."""
        originals = [file.touched for file in self.files if file.is_original]
        return min(originals or [file.touched for file in self.files])


class Retention:
    def __init__(
        self,
        database: Database,
        store: PictureStore,
        policy: RetentionPolicy,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._store = store
        self._policy = policy
        self._now = now
        self._removing = asyncio.Lock()
        self._held: Counter[str] = Counter()  # pictures whose rows are not written yet
        self._claimed = 0  # bytes of the files that are being stored
        # Of all bytes, at least as many as there are; unknown before the first look.
        self._estimate: float = math.inf
        self._looked_at = now()
        self._too_new: dict[str, datetime] = {}  # unused pictures that stayed, until when
        self._uncharged_since = now() - SWEEP_INTERVAL

    async def run(self, is_due: Callable[[], bool] = lambda: True) -> None:
        """Remove until cancelled; sweep first after five minutes, when the start is over.

        Nothing is removed while `is_due` says that another process has this duty.
        """
        next_sweep = self._now() + timedelta(minutes=5)
        while True:
            if not is_due():
                await asyncio.sleep(UNCHARGED_INTERVAL)
                continue
            try:
                await self.remove_uncharged()
                if self._now() >= next_sweep:
                    await self.sweep()
                    next_sweep = self._now() + SWEEP_INTERVAL
                wait = UNCHARGED_INTERVAL
            except NotNow:  # the database, or the store, has logged the cause
                wait = UNCHARGED_INTERVAL
            except Exception:
                log.exception("old pictures not removed, retrying in an hour")
                wait = RETRY_SECONDS
            await asyncio.sleep(wait)

    async def sweep(self) -> int:
        """Remove the files over the limits, least recently used first, and return their number.

        Pictures of active jobs, and results that are not delivered, stay at any age.
        """
        await asyncio.to_thread(self._store.attempts.sweep)
        async with self._removing:
            return await self._remove(self._policy.keep_bytes - self._claimed)

    async def remove_uncharged(self) -> None:
        """Remove the inputs of jobs that ended uncharged and that no other job has."""
        now = self._now()
        async with self._database.reading() as view:
            found = await pictures.inputs_of_uncharged(view, self._uncharged_since)
        found += [sha for sha, until in self._too_new.items() if until <= now]
        await self.remove_unused(found, stored_before=GRACE)
        self._uncharged_since = now - timedelta(minutes=1)  # a commit takes a moment

    async def remove_unused(
        self, hashes: Iterable[str], *, stored_before: timedelta = timedelta(0)
    ) -> None:
        """Remove those of the pictures that belong to no job, or only to uncharged ones.

        A picture that was stored after the end of its jobs and within `stored_before` stays, until
        `remove_uncharged` finds that the time is over.
        """
        wanted = set(hashes)
        if not wanted:
            return
        async with self._removing:
            async with self._database.reading() as view:
                uses = await pictures.uses(view, wanted)
            unused = {sha for sha in wanted if not (sha in uses and uses[sha].charged)}
            removed, too_new = list[Group](), dict[str, datetime]()
            for group in await self._groups(unused):
                use = uses.get(group.sha256)
                if self._is_needed(group, use):
                    continue
                if _is_new(group, use, self._now(), stored_before):
                    too_new[group.sha256] = group.touched + GRACE
                else:
                    removed.append(group)
            await self._unlink(removed)
            for sha in wanted:
                self._too_new.pop(sha, None)
            self._too_new |= too_new

    async def erase(self, hashes: Iterable[str]) -> bool:
        """Remove pictures whatever jobs have them.

        Return false if one is about to get a job, or is too new for the store: retry later.
        """
        wanted = set(hashes)
        if not wanted:
            return True
        async with self._removing:
            await self._unlink(await self._groups(wanted - self._held.keys()))
            return not await self._groups(wanted)

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[bool]:
        """Reserve space for a file that the block stores; yield false if there is none left.

        Other files are removed for that, least recently used first.
        """
        async with self._removing:
            if self._store.shared and self._now() - self._looked_at > ESTIMATE_AGE:
                self._estimate = math.inf
            if self._estimate + size > self._policy.keep_bytes:
                wanted = self._policy.keep_bytes - self._claimed - size
                await self._remove(wanted, spare=int(self._policy.keep_bytes * SPARE))
            self._estimate += size
            self._claimed += size
            fits = self._estimate <= self._policy.keep_bytes
        try:
            yield fits
        finally:
            self._claimed -= size

    async def note_copy(self, copy: Path, original: Picture) -> None:
        """Store of which picture a file is a reduced copy, so that the copy is recognised."""
        data = await asyncio.to_thread(copy.read_bytes)
        sha256 = hashlib.sha256(data).hexdigest()
        async with self._database.transaction() as tx:
            await pictures.note_copy(tx, sha256, original.sha256)

    async def disk_is_full(self) -> bool:
        return await asyncio.to_thread(self._store.free_bytes) < MIN_FREE

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[Callable[[Picture], None]]:
        """Yield a function that protects a picture during the block, until its row is written.

        Pictures that no job has at the end are removed, unless the block is cancelled. Those of a
        shared store follow an hour later: another process may hold the same picture.
        """
        held: list[str] = []

        def hold(picture: Picture) -> None:
            held.append(picture.sha256)
            self._held[picture.sha256] += 1

        cancelled = False
        try:
            yield hold
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            self._held -= Counter(held)
            if not cancelled:
                await self._let_go(held)

    async def _let_go(self, hashes: Sequence[str]) -> None:
        grace = GRACE if self._store.shared else timedelta(0)
        try:
            await self.remove_unused(hashes, stored_before=grace)
        except PicturesUnavailable:  # whatever the block raised matters more
            self._too_new |= dict.fromkeys(hashes, self._now() + GRACE)

    async def _remove(self, limit: int, *, spare: int = 0) -> int:
        """Remove old files, then others until all have `limit` bytes; return their number."""
        async with self._database.reading() as view:
            uses = await pictures.uses(view)
        groups = await self._groups()
        total = sum(group.size for group in groups)
        if total > limit:
            limit -= spare
        removed: list[Group] = []
        for group in sorted(groups, key=lambda each: _worth(each, uses.get(each.sha256))):
            use = uses.get(group.sha256)
            keep = self._policy.keep if use else UNUSED_KEEP
            old = self._now() - _last(group, use) > keep
            if not old and total <= limit:
                continue
            if not self._is_needed(group, use) and not _is_new(group, use, self._now(), GRACE):
                removed.append(group)
                total -= group.size
        await self._unlink(removed)
        self._estimate, self._looked_at = total + self._claimed, self._now()
        if removed:
            log.info("%s old pictures removed, %s MB left", len(removed), total // 1_000_000)
        return len(removed)

    def _is_needed(self, group: Group, use: Use | None) -> bool:
        return group.sha256 in self._held or (use is not None and use.needed)

    async def _groups(self, hashes: Iterable[str] | None = None) -> list[Group]:
        if hashes is None:
            files = sorted(await self._store.files(), key=lambda each: each.sha256)
        else:
            files = [file for sha in sorted(hashes) for file in await self._store.files(sha)]
        return [Group(sha, tuple(found)) for sha, found in groupby(files, lambda each: each.sha256)]

    async def _unlink(self, groups: Sequence[Group]) -> None:
        if groups:
            await self._store.remove([file for group in groups for file in group.files])


def _is_new(group: Group, use: Use | None, now: datetime, grace: timedelta) -> bool:
    """Return whether a new job may be about to use the picture.

    The picture was stored within `grace`, and after the end of every job that has it.
    """
    ended = use.ended if use is not None else None
    is_new = bool(grace) and now - group.touched < grace
    return is_new and (ended is None or group.touched > ended)


def _worth(group: Group, use: Use | None) -> tuple[bool, datetime]:
    """Return the order of removal: inputs of uncharged jobs first, then by the last use."""
    return use is None or use.charged, _last(group, use)


def _last(group: Group, use: Use | None) -> datetime:
    """Return the time of the last use; a crash leaves files without one."""
    return use.last if use is not None else group.touched
