"""The deliveries of one process: which of the settled jobs are delivered now."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from bot.jobs import Job
from bot.services import Services
from bot.store import queue
from bot.store.database import Connection
from bot.worker.deliver import Deliverer
from bot.worker.tasks import Work
from bot.worker.turns import Slots

# At Discord's limit of requests, each of which takes some hundred milliseconds.
CONCURRENT_DELIVERIES = 32
LISTED = 2 * CONCURRENT_DELIVERIES
# A list that was cut serves for so long: to read one costs as much as to deliver a result.
REREAD = timedelta(milliseconds=250)


class Deliveries:
    def __init__(
        self,
        services: Services,
        deliverer: Deliverer,
        *,
        start: Callable[[Job, Work], bool],
        is_busy: Callable[[Job], bool],
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called when rows are to be read for the next deliveries."""
        self._delivery = services.delivery
        self._now = services.now
        self._deliverer = deliverer
        self._start = start
        self._is_busy = is_busy
        self._wake = wake
        self.slots = Slots(
            CONCURRENT_DELIVERIES,
            of_member=CONCURRENT_DELIVERIES // 2,
            in_channel=queue.IN_CHANNEL,
            with_waiting=4 * CONCURRENT_DELIVERIES,
        )
        self._listed: list[Job] = []  # due jobs that have not begun
        self._reread_at = services.now()
        self._goes_on = False  # the list was cut: more are due
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True

    @property
    def next_read(self) -> datetime | None:
        """When the rows are to be read again, although nothing has reported a change."""
        return self._reread_at if self._goes_on and not self.slots.is_full else None

    def serve(self, now: datetime) -> bool:
        """Return whether the list that was read last is enough for now."""
        fresh = self._goes_on and now < self._reread_at and bool(self._listed)
        return self.slots.is_full or fresh

    async def read(self, view: Connection, now: datetime) -> list[Job]:
        """Return the settled jobs that are due, after a query if that is necessary.

        Nothing is read while all slots are taken: the end of a delivery is the next occasion.
        """
        if self.serve(now):
            return self._listed
        self._listed = await queue.deliverable(
            *(view, now),
            limit=LISTED,
            served=self.slots.served,
            closed=self._closed(),
            cut=self._goes_on,
        )
        self._goes_on = len(self._listed) == LISTED
        self._reread_at = now + REREAD
        return self._listed

    def begin(self) -> bool:
        """Start the deliveries that fit; return whether one did."""
        if self._stopped:
            return False
        closed = self._closed()
        idle = [
            job for job in self._listed if not self._is_busy(job) and job.posts_to not in closed
        ]
        chosen = self.slots.choose(idle)
        for job in chosen:
            self._listed.remove(job)
            self._start(job, self._deliver(job))
        return bool(chosen)

    def _closed(self) -> Collection[int]:
        """Return the channels in which no delivery may begin."""
        return self.slots.full_channels | self._delivery.limited_channels().keys()

    async def _deliver(self, job: Job) -> None:
        def waits() -> None:
            self.slots.wait(job)
            self._go_on()

        try:
            await self._deliverer.deliver(job, waits)
        except BaseException:  # also a cancel, by the end of the worker
            self.slots.end(job)
            self._wake()
            raise
        self.slots.end(job)
        self._go_on()

    def _go_on(self) -> None:
        """Use a free slot: for a job of the list while that is fresh, else for a new one."""
        if not (self._goes_on and self._now() < self._reread_at and self.begin()):
            self._wake()
