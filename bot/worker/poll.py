"""Running jobs: asked about by one schedule, or as soon as a stream says that there is news."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.errors import ProviderError, Reason
from bot.jobs import Generation, Job, JobStatus
from bot.observability.metrics import Metrics
from bot.providers.base import Failed, Provider, Submitted
from bot.store import generations as generation_rows
from bot.store import jobs
from bot.store.database import Database
from bot.worker.poll_queue import PollQueue
from bot.worker.settle import Settler
from bot.worker.watch import JobWatch

log = logging.getLogger(__name__)

CONCURRENT_POLLS = 8  # requests at once for each provider
# A new id may be unknown for a moment (apis.md, E4): so many misses in a row, and it is lost.
MISSES = 5


class Poller:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        settler: Settler,
        now: Callable[[], datetime],
        metrics: Metrics,
        *,
        timeout: timedelta,
    ) -> None:
        self._database = database
        self._providers = providers
        self._settler = settler
        self._now = now
        self._metrics = metrics
        self._timeout = timeout
        self._places = {key: asyncio.Semaphore(CONCURRENT_POLLS) for key in providers}
        self._watches: dict[str, JobWatch] = {}
        self._by_remote_id: dict[str, str] = {}
        self._without_key: set[str] = set()
        self.agenda = PollQueue()

    async def begin(self, job: Job, submitted: Sequence[Submitted] = ()) -> None:
        """Watch a running job; `submitted` tells what the creating request has told already."""
        if job.request.model not in self._providers:
            log.error("waits until %s has its key again", job.request.model)
            self._without_key.add(job.id)
            return
        async with self._database.reading() as view:
            stored = await jobs.get(view, job.id)
            generations = await generation_rows.of_job(view, job.id)
        if stored is None or stored.status is not JobStatus.RUNNING or job.id in self._watches:
            return  # it has ended, or is begun, since its row was read
        since = job.running_at or self._now()
        wished = stored.cancel_requested_at is not None
        watch = JobWatch(job, generations, since, since + self._timeout, wished)
        watch.updates = {each.remote_id: each.update for each in submitted}
        self._watches[job.id] = watch
        self._by_remote_id |= {each.remote_id: job.id for each in generations}
        if watch.pending:
            self._plan(watch)
        else:
            self.agenda.hurry(job.id)

    def unwatched(self, running: Iterable[str]) -> list[str]:
        """Those of the running jobs that are still to be begun: all of them after a start, and
        one whose `begin` the database did not let through."""
        known = self._watches.keys() | self._without_key
        return [job_id for job_id in running if job_id not in known]

    def take_due(self) -> list[Job]:
        """Those that are to be asked about now."""
        due = self.agenda.take_due(self._now())
        return [self._watches[job_id].job for job_id in due if job_id in self._watches]

    def news_of(self, remote_id: str) -> None:
        """A stream told that this generation has ended: ask at once."""
        if watch := self._watches.get(self._by_remote_id.get(remote_id, "")):
            watch.news = True
            self._plan(watch)

    async def poll(self, job_id: str) -> Job | None:
        """Ask about a job once, and settle it if it has ended. The settled job, else None."""
        watch = self._watches.get(job_id)
        if watch is None:
            return None
        try:
            return await self._turn(watch)
        finally:
            if job_id in self._watches:
                self._plan(watch)

    async def cancel(self, job: Job) -> None:
        """Ask the provider to stop what is not finished; the next poll tells what came of it."""
        watch = self._watches[job.id]
        watch.wished = True
        if await self._cancel_pending(watch):
            self.agenda.hurry(job.id)

    def wants_cancel(self, job: Job) -> bool:
        """Whether its provider is to be asked (again) by now; where it cannot stop, never."""
        watch = self._watches.get(job.id)
        if watch is None or not self._providers[job.request.model].can_cancel:
            return False
        waits = watch.cancel_after is not None and self._now() < watch.cancel_after
        return bool(watch.unstopped) and not waits

    async def _turn(self, watch: JobWatch) -> Job | None:
        now = self._now()
        watch.begin_turn(now)
        if watch.overtime_at:
            await self._cancel_pending(watch)
        answered = await asyncio.gather(*(self._ask(watch, each) for each in watch.pending))
        if watch.pending and not watch.overtime_at:
            return None
        if watch.is_last(now):
            settled: Job | None = await self._settler.settle_at_last(watch.job, watch.ends)
        else:
            settled = await self._settle(watch) if all(answered) else None
        if settled:
            self._forget(watch)
        return settled

    async def _settle(self, watch: JobWatch) -> Job | None:
        try:
            return await self._settler.settle(watch.job, watch.ends)
        except ProviderError as error:
            log.warning("pictures cannot be had: %s", error)
            watch.ask_anew()
            return None

    async def _ask(self, watch: JobWatch, generation: Generation) -> bool:
        """Whether it is known by now how this one is."""
        remote_id = generation.remote_id
        provider = self._providers[watch.job.request.model]
        try:
            async with self._places[watch.job.request.model]:
                self._metrics.polled(provider.key)
                watch.updates[remote_id] = await provider.fetch(remote_id)
        except ProviderError as error:
            log.info("poll: %s", error)
            if error.retry_after:
                watch.not_before = self._now() + timedelta(seconds=error.retry_after)
            return error.reason is Reason.NOT_FOUND and self._missed(watch, remote_id, error)
        watch.misses.pop(remote_id, None)
        return True

    def _missed(self, watch: JobWatch, remote_id: str, error: ProviderError) -> bool:
        """Whether it has been unknown so often that it is lost."""
        misses = watch.misses[remote_id] = watch.misses.get(remote_id, 0) + 1
        if misses < MISSES:
            return False
        watch.updates[remote_id] = Failed(Reason.NOT_FOUND, error.detail)
        return True

    async def _cancel_pending(self, watch: JobWatch) -> bool:
        """Whether all that is to be stopped is now known to the provider; else it is asked again
        in a while. One that cannot cancel draws on, at its time-out at the operator's loss."""
        provider = self._providers[watch.job.request.model]
        if not provider.can_cancel:
            return True
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
            log.warning("cancel %s: %s", generation.remote_id, error)
            return error
        watch.stopped.add(generation.remote_id)
        return None

    def _plan(self, watch: JobWatch) -> None:
        if watch.news:
            self.agenda.hurry(watch.job.id)
        else:
            self.agenda.set(watch.job.id, watch.next_question(self._now()))

    def _forget(self, watch: JobWatch) -> None:
        del self._watches[watch.job.id]
        self.agenda.drop(watch.job.id)
        for generation in watch.generations:
            self._by_remote_id.pop(generation.remote_id, None)
