"""Running jobs: polled when an answer is likely, or at once when a stream reports an end."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import datetime, timedelta

from bot.errors import ProviderError, Reason
from bot.jobs import Generation, Job
from bot.pictures.turns import FairLimit
from bot.providers.base import Provider, Running, Submitted
from bot.services import Services
from bot.store import generations as generation_rows
from bot.worker.durations import Durations
from bot.worker.poll_queue import OF_MEMBER, POLLS_AT_ONCE, OnTheWay, PollQueue
from bot.worker.schedule import Schedule
from bot.worker.settle import Abandoned, Settler
from bot.worker.stream_health import StreamHealth
from bot.worker.watch import JobWatch

log = logging.getLogger(__name__)

MISSES = 5  # "not found" in a row: a new id may be unknown for a moment (apis.md, Tolerance)


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
        self._durations = Durations(services)
        self._streams = StreamHealth()
        self._behind: set[str] = set()  # providers with jobs whose ends may have been missed

    async def begin(self, job: Job, submitted: Sequence[Submitted]) -> None:
        """Watch a job that has just begun to run: `submitted` is the creating request's answer."""
        await self._begin([job], submitted)

    async def begin_all(self, found: Sequence[Job]) -> None:
        """Watch running jobs, which another run or another process has submitted."""
        await self._begin(found)

    async def _begin(self, found: Sequence[Job], submitted: Sequence[Submitted] = ()) -> None:
        """Watch those that still run, and that no other task watches since they were read."""
        begun = {job.id: job for job in found if self._has_key(job)}
        if not begun:
            return
        schedules = {key: await self._durations.schedule(job) for key, job in begun.items()}
        async with self._database.reading() as view:
            stored = await generation_rows.of_running(view, [*begun])
        for row, generations in stored:
            if row.id not in self._watches:
                self._watch(begun[row.id], row, generations, schedules[row.id], submitted)

    def _has_key(self, job: Job) -> bool:
        if job.provider in self._providers:
            return True
        log.error("running job %s waits for the key of %s", job.id, job.provider)
        self._without_key.add(job.id)
        return False

    def _watch(
        self,
        job: Job,
        stored: Job,
        generations: Sequence[Generation],
        schedule: Schedule,
        submitted: Sequence[Submitted],
    ) -> None:
        since = job.running_at or self._now()
        cancel_requested = stored.cancel_requested_at is not None
        watch = JobWatch(job, generations, since, since + self._timeout, schedule, cancel_requested)
        watch.updates = {each.remote_id: each.update for each in submitted}
        self._watches[job.id] = watch
        self._metrics.watching(len(self._watches))
        self._by_remote_id |= {each.remote_id: job.id for each in generations}
        if cancel_requested:
            self._cancels[job.id] = stored
        for each in generations:  # a stream may be faster than the answer that named the job
            if heard_at := self._streams.heard(each.remote_id):
                watch.hear(heard_at)
        if not watch.pending or any(each.update == Running(ended=True) for each in submitted):
            watch.hear(self._now())
        elif not submitted or self._streams.may_have_missed(job.provider, job.sent_at):
            watch.unseen = True
            self._behind.add(job.provider)
        self._plan(watch)

    @property
    def watched(self) -> Set[str]:
        """The ids of the running jobs that are polled, or wait for the key of their provider."""
        return self._watches.keys() | self._without_key

    @property
    def running(self) -> list[Job]:
        """The jobs that are polled here, as they began, but those that are to be stopped."""
        return [each.job for each in self._watches.values() if not each.cancel_requested]

    def job(self, job_id: str) -> Job | None:
        """Return a job that is polled here, as it began."""
        watch = self._watches.get(job_id)
        return watch.job if watch else None

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
        now = self._now()
        self._streams.hear(remote_id, now)
        if watch := self._watches.get(self._by_remote_id.get(remote_id, "")):
            watch.hear(now)
            self._plan(watch)

    def set_stream(self, job_id: str, *, followed: bool) -> None:
        """Note that a stream of this job's own reports its end, or does so no more."""
        if watch := self._watches.get(job_id):
            watch.has_stream = followed
            self._plan(watch)

    def stream_lives(self, provider: str) -> None:
        """Note a sign of life of a provider's stream; after a gap, ends may have been missed."""
        if self._streams.lives(provider, self._now()):
            for watch in self._of(provider):
                watch.unseen = True
            self._behind.add(provider)

    def stream_ended(self, provider: str) -> None:
        """Poll on schedule: no stream reports the ends of a provider's generations."""
        if self._streams.end(provider):
            for watch in self._of(provider):
                self._plan(watch)

    def take_behind(self) -> list[str]:
        """Return the providers for which `catch_up` is due: jobs may have ended unreported."""
        now = self._now()
        due = [each for each in self._behind if self._streams.is_followed(each, now)]
        self._behind.clear()  # without a stream, jobs are polled on schedule
        return due

    async def catch_up(self, provider: str) -> None:
        """Find the jobs that have ended while no stream was followed.

        By one request for the list of active generations, if the provider has one and it saves
        requests; the jobs that are not in the list are polled.
        """
        unseen = [watch for watch in self._of(provider) if watch.unseen]
        active: Collection[str] | None = None
        if sum(len(watch.pending) for watch in unseen) > 1:
            try:
                active = await self._providers[provider].active()
            except ProviderError as error:
                log.info("active generations of %s not listed: %s", provider, error)
        for watch in unseen:
            if not watch.unseen or watch.job.id not in self._watches:
                continue  # polled meanwhile
            watch.unseen = False
            if active is None or any(each.remote_id not in active for each in watch.pending):
                self._queue.set(watch.poll, self._now())
            else:
                self._plan(watch)
        self._freed()

    def _of(self, provider: str) -> list[JobWatch]:
        return [each for each in self._watches.values() if each.job.provider == provider]

    async def poll(self, job_id: str) -> Job | None:
        """Poll a job once, and settle it if it has ended; return the settled job, else None."""
        watch = self._watches.get(job_id)
        if watch is None:
            return None
        try:
            return await self._poll(watch)
        except Exception:  # such as a database that cannot be used: the end is known, and waits
            watch.fails = True
            raise
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
            watch.running_until = now
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
            return await self._settler.settle(watch.ended(self._now()), watch.ends)
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
            watch.fails = True
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
        watch.stopped |= {generation.remote_id}
        return None

    def _plan(self, watch: JobWatch) -> None:
        if watch.news:
            self._queue.hurry(watch.poll, self._now())
        else:
            now = self._now()
            provider = watch.job.provider
            followed = watch.has_stream or self._streams.is_followed(provider, now)
            self._queue.set(watch.poll, watch.next_poll(now, followed=followed))

    def _forget(self, watch: JobWatch) -> None:
        del self._watches[watch.job.id]
        self._metrics.watching(len(self._watches))
        self._cancels.pop(watch.job.id, None)
        self._queue.drop(watch.job.id)
        for generation in watch.generations:
            self._by_remote_id.pop(generation.remote_id, None)
