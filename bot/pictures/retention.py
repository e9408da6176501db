"""Old pictures go: after KEEP_DAYS, and where they take more than KEEP_GB. The rows stay."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from bot.pictures import PictureStore
from bot.store import pictures
from bot.store.database import Database

log = logging.getLogger(__name__)

FIRST = timedelta(minutes=5)  # after a start: not while everything else begins
EVERY = timedelta(days=1)
# A file that was used a moment ago may belong to a job whose rows are about to be written.
UNTOUCHED = timedelta(hours=1)
ORPHANED = timedelta(days=1)  # a file without a row is what a crash left


class Retention:
    def __init__(
        self,
        database: Database,
        store: PictureStore,
        *,
        keep: timedelta,
        keep_bytes: int,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._store = store
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._now = now

    async def run(self) -> None:
        """Once a day, until cancelled."""
        await asyncio.sleep(FIRST.total_seconds())
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception("old pictures could not be removed; tried again tomorrow")
            await asyncio.sleep(EVERY.total_seconds())

    async def sweep(self) -> int:
        """Remove what is over the limits, oldest first, and return how many files went.

        Pictures of jobs that are not settled and delivered stay whatever their age.
        """
        now = self._now()
        async with self._database.reading() as view:
            used = await pictures.last_uses(view)
            needed = await pictures.needed(view)
        files = await asyncio.to_thread(self._store.files)
        total = sum(file.size for file in files)
        going = []
        for file in sorted(files, key=lambda each: used.get(each.sha256, each.touched)):
            last = used.get(file.sha256)
            old = now - last > self._keep if last else now - file.touched > ORPHANED
            kept = file.sha256 in needed or now - file.touched < UNTOUCHED
            if not kept and (old or total > self._keep_bytes):
                going.append(file)
                total -= file.size
        await asyncio.to_thread(self._store.remove, going)
        if going:
            log.info("%s old pictures removed; %s MB are kept", len(going), total // 1_000_000)
        return len(going)
