"""Status messages of jobs that wait: edited when their place changes, or once they are slow.

These edits come after everything else. Replies, results and changes of the state go on beside them,
and after one that Discord did not answer there are none for a time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.delivery import Usual
from bot.jobs import Job
from bot.services import Services
from bot.store import jobs
from bot.store.database import Connection
from bot.worker.deliver import Deliverer
from bot.worker.leases import Leases
from bot.worker.places import Places
from bot.worker.poll import Poller
from bot.worker.recovery import QUEUE_TIMEOUT
from bot.worker.tasks import Due
from bot.worker.turns import Slots

EDITS = 5  # on the way at once
PAUSE = timedelta(seconds=30)  # after an edit that Discord did not answer
# Beyond the usual time: an edit at the very moment of the result, or of "Drawing", helps nobody.
SLOW_MARGIN = timedelta(seconds=2)


CANDIDATES = 10 * EDITS  # of which some may be in channels that take no messages now


class Waiting:
    def __init__(
        self,
        services: Services,
        leases: Leases,
        deliverer: Deliverer,
        poller: Poller,
        deliveries: Slots,
    ) -> None:
        self._database = services.database
        self._delivery = services.delivery
        self._now = services.now
        self._leases = leases
        self._deliverer = deliverer
        self._poller = poller
        self._deliveries = deliveries
        self._edits: set[str] = set()  # jobs whose edit is on the way
        self._slow: set[str] = set()  # running jobs that are known to be slow
        self._paused_until = services.now()

    @property
    def places(self) -> Places:
        return self._deliverer.places

    async def moved(self, view: Connection, now: datetime) -> list[Due]:
        """Return jobs whose place has changed, in the process that shows places."""
        changed = await self.places.changed(view, now, created_after=now - QUEUE_TIMEOUT)
        return [(self.show_place, job) for job in self._chosen(changed, now)]

    async def slow(self, now: datetime) -> list[Due]:
        """Return running jobs of this process that take longer than usual, each once."""
        if now < self._paused_until or self._deliveries.is_full:
            return []
        self._slow &= self._poller.watched
        usual: dict[tuple[str, int], Usual | None] = {}  # of the jobs of this turn
        found: list[Job] = []
        for job in self._poller.running:
            if job.id in self._slow or job.slow_shown or job.final_status_sent:
                continue
            key = (job.request.model, job.request.count)
            if key not in usual:
                usual[key] = await self._deliverer.estimates.usual(job)
            if _is_slow(job, usual[key], now):
                found.append(job)
            if len(found) >= CANDIDATES:
                break
        return [(self.show_slow, job) for job in self._chosen(found, now)]

    async def show_place(self, job: Job) -> None:
        """Let the status message show the job's place in the queue."""
        await self._edit(job)

    async def show_slow(self, job: Job) -> None:
        """Let the status message say that the job is slower than usual.

        Stored first: after a kill, at most this is never shown.
        """
        self._slow.add(job.id)
        async with self._leases.writing(job) as tx:
            marked = await jobs.mark_slow(tx, job.id)
        if marked is not None:
            await self._edit(marked)

    def _chosen(self, found: Sequence[Job], now: datetime) -> list[Job]:
        """Return the jobs whose status message may be edited now."""
        if now < self._paused_until or self._deliveries.is_full:
            return []
        limited = self._delivery.limited_channels()
        fitting = [job for job in found if job.route.channel_id not in limited]
        return fitting[: max(EDITS - len(self._edits), 0)]

    async def _edit(self, job: Job) -> None:
        self._edits.add(job.id)
        try:
            answered = await self._deliverer.show(job)
        finally:
            self._edits.discard(job.id)
        if not answered:
            self._paused_until = self._now() + PAUSE


def _is_slow(job: Job, usual: Usual | None, now: datetime) -> bool:
    began = job.running_at
    return bool(usual and began and now - began >= usual.most + SLOW_MARGIN)
