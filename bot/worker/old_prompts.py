"""Old prompts: removed after KEEP_PROMPTS_DAYS, a few at a time, so that no member waits."""

import asyncio
import logging
from datetime import datetime, timedelta

from bot.errors import NotNow
from bot.jobs import SETTLED, JobStatus
from bot.services import Services
from bot.store import prompts
from bot.store.coordination import Duty
from bot.store.erasure import ENDED_FOR

log = logging.getLogger(__name__)

INTERVAL = 3600.0  # seconds between two searches for old prompts
RETRY = 60.0  # after the start, while another process has the duty, and after a failure
SLICE = 100  # jobs of one transaction
PAUSE = 0.1  # seconds between two transactions: others write meanwhile
# From a request to its delivery. After a longer one, such as of a bot that was stopped for weeks,
# the prompt is found this long before the delivery is as old as KEEP_PROMPTS_DAYS.
LONGEST = timedelta(days=2)


class OldPrompts:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._coordination = services.coordination
        self._keep_days = services.policies.keep_prompts_days
        self._now = services.now

    async def run(self) -> None:
        """Remove until cancelled; return at once if prompts are stored as long as their jobs."""
        if self._keep_days is None:
            return
        wait = RETRY
        while True:
            await asyncio.sleep(wait)
            wait = RETRY
            if not self._coordination.has(Duty.RETENTION):
                continue
            try:
                await self.remove()
                wait = INTERVAL
            except NotNow:  # the database has logged the cause
                pass
            except Exception:
                log.exception("old prompts not removed, retrying in an hour")
                wait = INTERVAL

    async def remove(self) -> int:
        """Remove the prompts that are too old by now, and return their number."""
        if self._keep_days is None:
            return 0
        now = self._now()
        created_before, settled_before = now - timedelta(days=self._keep_days), now - ENDED_FOR
        async with self._database.reading() as view:
            since = await prompts.removed_until(view)
        count = 0
        for status in sorted(SETTLED):
            count += await self._remove(status, since, created_before, settled_before)
        # A job that was delivered before has been requested, and settled, before.
        if (until := min(created_before, settled_before)) > since:
            async with self._database.transaction() as tx:
                await prompts.note_removed(tx, until)
        if count:
            log.info("%s old prompts removed", count)
        return count

    async def _remove(
        self,
        status: JobStatus,
        since: datetime,
        created_before: datetime,
        settled_before: datetime,
    ) -> int:
        count = 0
        while True:
            async with self._database.transaction() as tx:
                removed = await prompts.remove(
                    tx,
                    status,
                    delivered_since=since,
                    delivered_before=created_before + LONGEST,
                    created_before=created_before,
                    settled_before=settled_before,
                    limit=SLICE,
                )
            count += len(removed)
            if len(removed) < SLICE:
                return count
            since = removed[-1]
            await asyncio.sleep(PAUSE)
