"""Running jobs: asked about by one schedule, or as soon as a stream says that there is news."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.errors import ProviderError, Reason
from bot.jobs import Generation, Job, JobStatus
from bot.ledger import Cost
from bot.metrics import Metrics
from bot.providers.base import (
    Canceled,
    Failed,
    Finished,
    Provider,
    Running,
    Submitted,
    Update,
    Waiting,
)
from bot.schedule import wait_after
from bot.store import generations as generation_rows
from bot.store import jobs
from bot.store.database import Database
from bot.worker.agenda import Agenda
from bot.worker.settling import Settling

log = logging.getLogger(__name__)

CONCURRENT_POLLS = 8  # requests at once for each provider
# A new id may be unknown for a moment (apis.md, E4): so many misses in a row, and it is lost.
MISSES = 5


@dataclass
class Watch:
    """What is known in memory of a running job; made anew from the rows after a restart."""

    job: Job
    generations: Sequence[Generation]
    since: datetime
    updates: dict[str, Update] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    not_before: datetime | None = None  # the provider asked to be left alone
    cancel_sent: bool = False
    news: bool = False  # a stream told of an end that no poll has asked about yet

    @property
    def pending(self) -> list[Generation]:
        unended = (Waiting, Running, type(None))
        return [
            each
            for each in self.generations
            if isinstance(self.updates.get(each.remote_id), unended)
        ]


class Watching:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        settling: Settling,
        now: Callable[[], datetime],
        metrics: Metrics,
        *,
        timeout: timedelta,
    ) -> None:
        self._database = database
        self._providers = providers
        self._settling = settling
        self._now = now
        self._metrics = metrics
        self._timeout = timeout
        self._places = {key: asyncio.Semaphore(CONCURRENT_POLLS) for key in providers}
        self._watches: dict[str, Watch] = {}
        self._by_remote_id: dict[str, str] = {}
        self._without_key: set[str] = set()
        self.agenda = Agenda()

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
        watch = Watch(job, generations, since=job.running_at or self._now())
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
        """Ask the provider, once, to stop what is not finished; the next poll tells the rest."""
        watch = self._watches[job.id]
        watch.cancel_sent = True
        await self._cancel_pending(watch)
        self.agenda.hurry(job.id)

    async def _turn(self, watch: Watch) -> Job | None:
        watch.asked += 1
        watch.news = False
        overtime = self._now() - watch.since >= self._timeout
        if overtime and watch.pending:
            await self._cancel_pending(watch)
        await asyncio.gather(*(self._ask(watch, each) for each in watch.pending))
        if watch.pending and not overtime:
            return None
        ended = [(each, watch.updates.get(each.remote_id, Running())) for each in watch.generations]
        if overtime:
            late = Failed(Reason.TIMEOUT, "no end within JOB_TIMEOUT")
            unmade = (Waiting, Running) if watch.cancel_sent else (Waiting, Running, Canceled)
            ended = [(each, late if isinstance(end, unmade) else end) for each, end in ended]
        settled = await self._settle(watch, ended, last=overtime)
        if settled:
            self._forget(watch)
        return settled

    async def _settle(
        self, watch: Watch, ended: Sequence[tuple[Generation, Update]], *, last: bool
    ) -> Job | None:
        try:
            return await self._settling.settle(watch.job, ended)
        except ProviderError as error:
            log.warning("pictures cannot be had: %s", error)
            if not last:
                watch.updates.clear()  # their addresses may have expired: ask for new ones
                return None
            detail = f"pictures could not be had: {error.detail}"
            return await self._settling.settle(
                watch.job,
                [(each, Failed(error.reason, detail, _cost_of(end))) for each, end in ended],
            )

    async def _ask(self, watch: Watch, generation: Generation) -> None:
        remote_id = generation.remote_id
        provider = self._providers[watch.job.request.model]
        try:
            async with self._places[watch.job.request.model]:
                self._metrics.polled(provider.key)
                watch.updates[remote_id] = await provider.fetch(remote_id)
            watch.misses.pop(remote_id, None)
        except ProviderError as error:
            log.info("poll: %s", error)
            if error.retry_after:
                watch.not_before = self._now() + timedelta(seconds=error.retry_after)
            if error.reason is Reason.NOT_FOUND:
                misses = watch.misses[remote_id] = watch.misses.get(remote_id, 0) + 1
                if misses >= MISSES:
                    watch.updates[remote_id] = Failed(Reason.NOT_FOUND, error.detail)

    async def _cancel_pending(self, watch: Watch) -> None:
        provider = self._providers[watch.job.request.model]
        if not provider.can_cancel:
            return  # also at its time-out: what it draws meanwhile is the operator's loss
        for generation in watch.pending:
            try:
                await provider.cancel(generation.remote_id)
            except ProviderError as error:
                log.warning("cancel %s: %s", generation.remote_id, error)

    def wants_cancel(self, job: Job) -> bool:
        """Whether its provider is still to be asked; where it cannot stop, the job just runs on."""
        watch = self._watches.get(job.id)
        if watch is None or watch.cancel_sent:
            return False
        return self._providers[job.request.model].can_cancel

    def _plan(self, watch: Watch) -> None:
        if watch.news:
            self.agenda.hurry(watch.job.id)
            return
        now = self._now()
        moment = now + wait_after(now - watch.since, watch.asked)
        deadline = watch.since + self._timeout
        if now < deadline:
            moment = min(moment, deadline)
        if watch.not_before and watch.pending:
            moment = max(moment, watch.not_before)
        self.agenda.set(watch.job.id, moment)

    def _forget(self, watch: Watch) -> None:
        del self._watches[watch.job.id]
        self.agenda.drop(watch.job.id)
        for generation in watch.generations:
            self._by_remote_id.pop(generation.remote_id, None)


def _cost_of(update: Update) -> Cost | None:
    return update.cost if isinstance(update, Finished | Failed) else None
