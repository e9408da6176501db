"""The edits that show a running job: a little later, since many jobs end before anybody reads them.

A result replaces the status message, so that an edit right before is a request for nothing. What
is edited is the state at that time: two changes within QUIET are one edit.
"""

import asyncio
import heapq
from collections.abc import Coroutine
from datetime import datetime, timedelta

from bot.jobs import Job, JobStatus
from bot.services import Services
from bot.store import jobs
from bot.worker.deliver import Deliverer
from bot.worker.poll import Poller

QUIET = timedelta(seconds=2)  # a job that ends within this time of a change is not edited
EDITS = 5  # on the way at once
# Between the starts of two edits. When a thousand jobs begin to run together, half of Discord's
# requests and most of the processor are left to replies and results.
GAP = timedelta(milliseconds=40)
PAUSE = timedelta(seconds=30)  # after an edit that gave way, or that Discord did not answer


class StatusEdits:
    """The edits that are due, in memory alone: a start shows again what began shortly before."""

    def __init__(self, services: Services, deliverer: Deliverer, poller: Poller) -> None:
        self._database = services.database
        self._now = services.now
        self._deliverer = deliverer
        self._poller = poller
        self._times: list[tuple[datetime, str]] = []  # a heap, with the ids of jobs
        self._due: set[str] = set()  # the ids in it
        self._on_the_way: set[str] = set()
        self._not_before = self._now()

    def later(self, job: Job, wait: timedelta | None = None) -> None:
        """Let the status message show a running job's state, unless the job ends before."""
        if job.id in self._due:
            return
        self._due.add(job.id)
        at = self._now() + (QUIET if wait is None else wait)
        heapq.heappush(self._times, (at, job.id))

    @property
    def next_due(self) -> datetime | None:
        """When `take_due` has a job; None if it has none, or none before an edit has ended."""
        if not self._times or len(self._on_the_way) >= EDITS:
            return None
        return max(self._times[0][0], self._not_before)

    def take_due(self) -> Job | None:
        """Return a job to edit now, or None; skip jobs that ended or are polled elsewhere."""
        now = self._now()
        while (due := self.next_due) is not None and due <= now:
            _, job_id = heapq.heappop(self._times)
            self._due.remove(job_id)
            if job := self._poller.job(job_id):
                self._not_before = now + GAP
                return job
        return None

    async def beside(self, job: Job, work: Coroutine[object, object, None]) -> None:
        """Await work on a job. The status message shows the job meanwhile if the work is slow."""
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait({working}, timeout=QUIET.total_seconds())
            if working.done():
                self.later(job)
            else:
                await self.show(job)
            await working
        finally:
            working.cancel()  # if this task is cancelled

    async def show(self, job: Job) -> None:
        """Edit the status message of a job that still runs."""
        self._on_the_way.add(job.id)
        try:
            async with self._database.reading() as view:
                stored = await jobs.get(view, job.id)
            if stored is None or stored.status is not JobStatus.RUNNING:
                return
            if not await self._deliverer.show(stored):
                self.later(job, PAUSE)
        finally:
            self._on_the_way.discard(job.id)
