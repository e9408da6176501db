"""Running jobs: polled on one schedule, or at once when a stream reports an end.

A JobWatch is the memory of one running job; a restart makes it again from the rows.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.backoff import Backoff, Schedule
from bot.errors import ProviderError, Reason
from bot.jobs import Generation, Job, JobStatus
from bot.pictures.turns import FairLimit
from bot.providers.base import Canceled, Provider, Running, Submitted, Waiting
from bot.services import Services
from bot.store import generations as generation_rows
from bot.store import jobs
from bot.worker.poll_queue import OF_MEMBER, POLLS_AT_ONCE, OnTheWay, Poll, PollQueue
from bot.worker.settle import Abandoned, End, Settler

log = logging.getLogger(__name__)

MISSES = 5  # "not found" in a row: a new id may be unknown for a moment (apis.md, Tolerance)
CANCELS = Backoff(first=timedelta(seconds=5), longest=timedelta(minutes=1))


SCHEDULE = Schedule(
    first=timedelta(seconds=2),
    steps=(  # most pictures take 5 to 30 s (apis.md, The model: latency)
        (timedelta(seconds=60), timedelta(seconds=2)),
        (timedelta(minutes=3), timedelta(seconds=5)),
        (timedelta(minutes=10), timedelta(seconds=15)),
    ),
    longest=timedelta(seconds=60),
    overtime=timedelta(minutes=3),
    in_overtime=timedelta(seconds=10),
)


@dataclass
class JobWatch:
    """A running job in memory: the last updates, and the time of the next poll."""

    job: Job
    generations: Sequence[Generation]
    since: datetime
    deadline: datetime
    cancel_requested: bool = False
    updates: dict[str, End] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    polls: int = 0
    not_before: datetime | None = None  # the provider requested a pause
    overtime_at: datetime | None = None  # the first poll after the deadline
    stopped: set[str] = field(default_factory=set)  # generations that need no cancel any more
    cancel_attempts: int = 0
    cancel_after: datetime | None = None
    news: bool = False  # a stream reported an end that no poll has seen yet

    @property
    def poll(self) -> Poll:
        return Poll(self.job.id, self.job.provider, self.job.user_id, self.polls)

    @property
    def pending(self) -> list[Generation]:
        open_ended = (Waiting, Running, type(None))
        return [
            each
            for each in self.generations
            if isinstance(self.updates.get(each.remote_id), open_ended)
        ]

    @property
    def unstopped(self) -> list[Generation]:
        return [each for each in self.pending if each.remote_id not in self.stopped]

    @property
    def ends(self) -> list[tuple[Generation, End]]:
        """The ends so far: in overtime, a generation without an end of its own is abandoned."""
        open_ended = (Waiting, Running) if self.cancel_requested else (Waiting, Running, Canceled)
        found: list[tuple[Generation, End]] = []
        for each in self.generations:
            update = self.updates.get(each.remote_id, Running())
            if self.overtime_at and isinstance(update, open_ended):
                found.append((each, Abandoned(Reason.TIMEOUT, "no end within JOB_TIMEOUT")))
            else:
                found.append((each, update))
        return found

    def begin_poll(self, now: datetime) -> None:
        self.polls += 1
        self.news = False
        if now >= self.deadline and self.overtime_at is None:
            self.overtime_at = now

    def is_last(self, now: datetime) -> bool:
        """Return whether this poll settles the job, whatever the provider answers."""
        return self.overtime_at is not None and now - self.overtime_at >= SCHEDULE.overtime

    def forget_ends(self) -> None:
        """Poll all generations again: the addresses of their pictures may have expired."""
        self.stopped |= self.updates.keys() - {each.remote_id for each in self.pending}
        self.updates.clear()

    def cancel_failed(self, now: datetime, retry_after: float | None) -> None:
        self.cancel_attempts += 1
        self.cancel_after = now + CANCELS.wait(self.cancel_attempts, retry_after)

    def next_poll(self, now: datetime) -> datetime:
        overtime = now >= self.deadline
        usual = SCHEDULE.wait(now - self.since, self.polls)
        moment = now + (min(usual, SCHEDULE.in_overtime) if overtime else usual)
        if not overtime:
            moment = min(moment, self.deadline)
        if self.not_before and self.pending:
            end = (self.overtime_at or self.deadline) + SCHEDULE.overtime
            moment = max(moment, min(self.not_before, end))
        return moment


class Poller:
    def __init__(self, services: Services, settler: Settler, *, freed: Callable[[], None]) -> None:
        """`freed` is called when a provider has answered a poll, and may get another."""
        self._database = services.database
        self._providers = services.providers
        self._catalog = services.catalog
        self._settler = settler
        self._now = services.now
        self._metrics = services.metrics
        self._timeout = services.job_timeout
        self._freed = freed
        self._requests = {key: FairLimit(POLLS_AT_ONCE, each=OF_MEMBER) for key in self._providers}
        self._on_the_way = OnTheWay()
        self._watches: dict[str, JobWatch] = {}
        self._by_remote_id: dict[str, str] = {}
        self._without_key: set[str] = set()
        self._cancels: dict[str, Job] = {}  # watched jobs that their members want stopped
        self._queue = PollQueue(lambda: services.coordination.workers)

    async def begin(self, job: Job, submitted: Sequence[Submitted] = ()) -> None:
        """Watch a running job; `submitted` holds the updates of the creating request's answer."""
        if job.provider not in self._providers:
            log.error("running job waits for the key of %s", job.provider)
            self._without_key.add(job.id)
            return
        async with self._database.reading() as view:
            stored = await jobs.get(view, job.id)
            generations = await generation_rows.of_job(view, job.id)
        if stored is None or stored.status is not JobStatus.RUNNING or job.id in self._watches:
            return  # settled, or watched by another task, since the row was read
        since = job.running_at or self._now()
        cancel_requested = stored.cancel_requested_at is not None
        watch = JobWatch(job, generations, since, since + self._timeout, cancel_requested)
        watch.updates = {each.remote_id: each.update for each in submitted}
        self._watches[job.id] = watch
        self._by_remote_id |= {each.remote_id: job.id for each in generations}
        if cancel_requested:
            self._cancels[job.id] = stored
        if watch.pending:
            self._plan(watch)
        else:
            self._queue.hurry(watch.poll, self._now())

    @property
    def watched(self) -> Collection[str]:
        """The ids of the running jobs that are polled, or wait for the key of their provider."""
        return self._watches.keys() | self._without_key

    @property
    def running(self) -> list[Job]:
        """The jobs that are polled here, as they began, but those that are to be stopped."""
        return [each.job for each in self._watches.values() if not each.cancel_requested]

    def is_watching(self, job_id: str) -> bool:
        """Return whether a running job is polled here."""
        return job_id in self._watches

    def forget(self, job_id: str) -> None:
        """Poll a job no more: another process may do so."""
        if watch := self._watches.get(job_id):
            self._forget(watch)

    @property
    def canceling(self) -> Collection[str]:
        """The ids of the watched jobs whose members want them stopped."""
        return self._cancels.keys()

    def next_poll(self, now: datetime) -> datetime | None:
        """Return when `take_due` has a job; None while no poll can be made."""
        return self._queue.next(now, self._on_the_way)

    def take_due(self) -> list[Job]:
        """Return the jobs to poll now."""
        due = self._queue.take_due(self._now(), self._on_the_way)
        return [self._watches[job_id].job for job_id in due]

    def postpone(self, job: Job, wait: timedelta) -> None:
        """Poll a job later, which was taken and has another task."""
        if watch := self._watches.get(job.id):
            self._queue.set(watch.poll, self._now() + wait)

    def ended(self, remote_id: str) -> None:
        """Poll at once: a stream reported the end of this generation."""
        if watch := self._watches.get(self._by_remote_id.get(remote_id, "")):
            watch.news = True
            self._plan(watch)

    async def poll(self, job_id: str) -> Job | None:
        """Poll a job once, and settle it if it has ended; return the settled job, else None."""
        watch = self._watches.get(job_id)
        if watch is None:
            return None
        try:
            return await self._poll(watch)
        finally:
            if job_id in self._watches:
                self._plan(watch)

    async def cancel(self, job: Job) -> None:
        """Ask the provider to stop the open generations; the next poll shows the outcome."""
        watch = self._watches[job.id]
        watch.cancel_requested = True
        if await self._cancel_pending(watch) and job.id in self._watches:
            self._queue.hurry(watch.poll, self._now())

    def due_cancels(self, requested: Iterable[Job]) -> list[Job]:
        """Return the jobs for which a cancel is to be sent (again) now.

        `requested` are jobs that their members want stopped, besides those in `canceling`. Jobs
        that are not watched yet are noted by `begin`.
        """
        self._cancels |= {job.id: job for job in requested if job.id in self._watches}
        return [job for job in self._cancels.values() if self._is_cancel_due(job)]

    def _is_cancel_due(self, job: Job) -> bool:
        """Return whether to send a cancel now; never to a provider without one."""
        watch = self._watches[job.id]
        if not self._catalog.about(job.request.model).cancels:
            return False
        waits = watch.cancel_after is not None and self._now() < watch.cancel_after
        return bool(watch.unstopped) and not waits

    async def _poll(self, watch: JobWatch) -> Job | None:
        now = self._now()
        watch.begin_poll(now)
        if watch.overtime_at:
            await self._cancel_pending(watch)
        with self._polling(watch.job):
            known = await asyncio.gather(*(self._fetch(watch, each) for each in watch.pending))
        if watch.pending and not watch.overtime_at:
            return None
        if watch.is_last(now):
            settled: Job | None = await self._settler.settle_anyway(watch.job, watch.ends)
        else:
            settled = await self._settle(watch) if all(known) else None
        if settled:
            self._forget(watch)
        return settled

    @contextmanager
    def _polling(self, job: Job) -> Iterator[None]:
        self._on_the_way.begin(job.provider, job.user_id)
        try:
            yield
        finally:
            self._on_the_way.end(job.provider, job.user_id)
            self._freed()

    async def _settle(self, watch: JobWatch) -> Job | None:
        try:
            return await self._settler.settle(watch.job, watch.ends)
        except ProviderError as error:
            log.warning("pictures not downloaded, retrying: %s", error)
            watch.forget_ends()
            return None

    async def _fetch(self, watch: JobWatch, generation: Generation) -> bool:
        """Return whether the generation's state is known now."""
        remote_id, key = generation.remote_id, watch.job.provider
        try:
            async with self._requests[key].take(watch.job.user_id):
                self._metrics.polled(key)
                watch.updates[remote_id] = await self._providers[key].fetch(remote_id)
        except ProviderError as error:
            log.info("poll failed: %s", error)
            if error.retry_after:
                watch.not_before = self._now() + timedelta(seconds=error.retry_after)
            return error.reason is Reason.NOT_FOUND and self._missed(watch, remote_id, error)
        watch.misses.pop(remote_id, None)
        return True

    def _missed(self, watch: JobWatch, remote_id: str, error: ProviderError) -> bool:
        """Return whether the service has not found the generation so often that Easel gives up.

        The end stays open: the service has taken the request, and may charge for it.
        """
        misses = watch.misses[remote_id] = watch.misses.get(remote_id, 0) + 1
        if misses < MISSES:
            return False
        watch.updates[remote_id] = Abandoned(Reason.NOT_FOUND, error.detail)
        return True

    async def _cancel_pending(self, watch: JobWatch) -> bool:
        """Return whether the provider knows of every cancel; else they are sent again later.

        A provider without a cancel goes on, after JOB_TIMEOUT at the operator's expense.
        """
        if not self._catalog.about(watch.job.request.model).cancels:
            return True
        provider = self._providers[watch.job.provider]
        errors = await asyncio.gather(
            *(self._cancel(watch, provider, each) for each in watch.unstopped)
        )
        failed = [error for error in errors if error is not None]
        if failed:
            wait = max(error.retry_after or 0.0 for error in failed)
            watch.cancel_failed(self._now(), wait)
        return not failed

    async def _cancel(
        self, watch: JobWatch, provider: Provider, generation: Generation
    ) -> ProviderError | None:
        try:
            await provider.cancel(generation.remote_id)
        except ProviderError as error:
            log.warning("cancel of %s failed, retrying: %s", generation.remote_id, error)
            return error
        watch.stopped.add(generation.remote_id)
        return None

    def _plan(self, watch: JobWatch) -> None:
        if watch.news:
            self._queue.hurry(watch.poll, self._now())
        else:
            self._queue.set(watch.poll, watch.next_poll(self._now()))

    def _forget(self, watch: JobWatch) -> None:
        del self._watches[watch.job.id]
        self._cancels.pop(watch.job.id, None)
        self._queue.drop(watch.job.id)
        for generation in watch.generations:
            self._by_remote_id.pop(generation.remote_id, None)
