"""Removal of old pictures, by KEEP_DAYS and KEEP_GB. Only files are removed, never rows."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.pictures import PictureStore
from bot.store import pictures
from bot.store.database import Database

log = logging.getLogger(__name__)

FIRST_SWEEP = 5 * 60.0  # seconds: the start is over by then
INTERVAL = 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Limits of the stored pictures: the time since the last use, and the sum of all files."""

    keep: timedelta
    keep_bytes: int


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

    async def run(self) -> None:
        """Sweep once a day until cancelled; first after five minutes."""
        await asyncio.sleep(FIRST_SWEEP)
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception("old pictures not removed, retrying tomorrow")
            await asyncio.sleep(INTERVAL)

    async def sweep(self) -> int:
        """Remove the files over the limits, least recently used first, and return their number.

        Pictures of jobs that are not both settled and delivered stay at any age.
        """
        now = self._now()
        async with self._database.reading() as view:
            used = await pictures.last_uses(view)
            needed = await pictures.needed(view)
        files = await asyncio.to_thread(self._store.files)
        total = sum(file.size for file in files)
        expired = []
        for file in sorted(files, key=lambda each: used.get(each.sha256, each.touched)):
            last = used.get(file.sha256)
            # A crash leaves files without a row.
            old = now - last > self._policy.keep if last else now - file.touched > timedelta(days=1)
            # A file that was touched just now may belong to a job whose rows are not written yet.
            protected = file.sha256 in needed or now - file.touched < timedelta(hours=1)
            if not protected and (old or total > self._policy.keep_bytes):
                expired.append(file)
                total -= file.size
        await asyncio.to_thread(self._store.remove, expired)
        if expired:
            log.info("%s old pictures removed, %s MB left", len(expired), total // 1_000_000)
        return len(expired)
