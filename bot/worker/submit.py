"""From queued to running: the one request that creates, and what to believe when it is lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.backoff import back_off
from bot.errors import NotNow, ProviderError, Reason, Taken
from bot.jobs import Job, JobStatus
from bot.observability.metrics import Metrics
from bot.providers.base import Provider, Submitted
from bot.store import generations, jobs, ledger, queue
from bot.store.database import Database
from bot.worker.refusals import Refusals

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=3)  # longer than a submit with its time-outs can take
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=2)
STORE_AGAIN = 1.0  # seconds, while the database cannot be written to
GIVE_UP = timedelta(minutes=30)  # queued for so long: failed, uncharged
# A generation shows up in the API's lists a moment after it was made: so look again, twice.
SEARCH_WAITS = (1.0, 4.0, 0.0)  # seconds after each look
LATEST = timedelta(minutes=3)  # after a request: what begins then is not what it made
SEARCH_AGAIN = timedelta(seconds=30)  # while the API cannot be asked
SEARCH_UNTIL = timedelta(minutes=10)


class Submitter:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        refusals: Refusals,
        now: Callable[[], datetime],
        metrics: Metrics,
        *,
        addressed: Callable[[Job], Awaitable[Job]],
        heard: Callable[[str, ProviderError | None], None],
    ) -> None:
        """`addressed` gives a job's inputs the addresses under which they can be fetched;
        `heard` is told how each request ended."""
        self._database = database
        self._providers = providers
        self._refusals = refusals
        self._now = now
        self._metrics = metrics
        self._addressed = addressed
        self._heard = heard
        self._tries: dict[str, int] = {}

    async def claim(self, model: str) -> Job | None:
        now = self._now()
        async with self._database.transaction() as tx:
            return await queue.claim(
                tx, model, now=now, asked_after=now - GIVE_UP, lease_until=now + LEASE
            )

    async def put_back(self, job: Job, wait: timedelta, reason: Reason | None = None) -> Job:
        """Queue a claimed job again of which surely nothing was taken; cancel it, where its
        member wished for that meanwhile. `reason` is told, should it be given up."""
        now = self._now()
        async with self._database.transaction() as tx:
            queued = await jobs.move(
                tx,
                job.id,
                JobStatus.QUEUED,
                submit_after=now + wait,
                lease_until=None,
                reason=reason or job.reason,
            )
            if queued.cancel_requested_at is None:
                return queued
            canceled = await jobs.move(tx, job.id, JobStatus.CANCELED, settled_at=now)
            await ledger.release(tx, canceled, now)
        return canceled

    async def submit(self, job: Job) -> tuple[Job, Sequence[Submitted]]:
        """Send a claimed job's request once, and store what came of it before anything else."""
        try:
            job = await self._addressed(job)
        except NotNow:  # the inputs' new addresses could not be stored
            return await _surely(lambda: self.put_back(job, FIRST_RETRY)), ()
        except ProviderError as error:  # nobody was asked
            return await self._not_taken(job, error)
        try:
            submitted = await self._providers[job.request.model].submit(job.request)
        except ProviderError as error:
            self._refusals.tell(job, error)
            self._heard(job.request.model, error)
            return await self._not_taken(job, error)
        self._tries.pop(job.id, None)
        self._heard(job.request.model, None)
        return await _surely(lambda: self._start(job, submitted)), submitted

    async def search(self, job: Job) -> tuple[Job, Sequence[Submitted]]:
        """Adopt what a doubtful request made, or fail the job: it is never sent again.

        Adopted are only generations that fit, belong to no job, and are just as many as were
        asked for, so that a wrong one is never shown (a refund is better).
        """
        async with self._database.reading() as view:
            now_stored = await jobs.get(view, job.id)
        if now_stored is None or now_stored.status is not JobStatus.SUBMITTING:
            return now_stored or job, ()  # it is in doubt no more
        provider = self._providers[job.request.model]
        since = job.submitted_at or job.created_at
        try:
            for wait in SEARCH_WAITS:
                found = await provider.find(job.request, since, since + LATEST)
                if adopted := await self._adopt(job, found):
                    return adopted, found
                await asyncio.sleep(wait)
        except ProviderError as error:
            log.warning("in doubt, and cannot ask: %s", error)
            if self._now() - since < SEARCH_UNTIL:
                return await self._extend(job), ()
        self._metrics.doubt_ended(job.request.model, "failed")
        log.error("doubtful submit, hold released; it may have been charged")
        return await self.fail(job, Reason.DOUBTFUL), ()

    async def fail(self, job: Job, reason: Reason, remark: str | None = None) -> Job:
        """Settle a job that made nothing: failed, and its hold released."""
        now = self._now()
        self._tries.pop(job.id, None)
        async with self._database.transaction() as tx:
            failed = await jobs.move(
                tx, job.id, JobStatus.FAILED, settled_at=now, reason=reason, remark=remark
            )
            await ledger.release(tx, failed, now)
        return failed

    async def _start(self, job: Job, submitted: Sequence[Submitted]) -> Job:
        provider = self._providers[job.request.model]
        remote_ids = [each.remote_id for each in submitted]
        async with self._database.transaction() as tx:
            started = await jobs.move(
                tx, job.id, JobStatus.RUNNING, running_at=self._now(), lease_until=None
            )
            await generations.add(tx, job.id, provider.key, remote_ids)
        log.info("running at %s as %s", provider.key, ", ".join(remote_ids))
        return started

    async def _not_taken(self, job: Job, error: ProviderError) -> tuple[Job, Sequence[Submitted]]:
        match error.taken:
            case Taken.NO:
                tries = self._tries[job.id] = self._tries.get(job.id, 0) + 1
                wait = back_off(tries, first=FIRST_RETRY, longest=LONGEST_RETRY)
                wait = max(wait, timedelta(seconds=error.retry_after or 0))
                return await _surely(lambda: self.put_back(job, wait, error.reason)), ()
            case Taken.REFUSED:
                return await _surely(lambda: self.fail(job, error.reason)), ()
            case Taken.DOUBTFUL:
                return await self.search(job)

    async def _extend(self, job: Job) -> Job:
        async with self._database.transaction() as tx:
            return await jobs.note(tx, job.id, lease_until=self._now() + SEARCH_AGAIN) or job

    async def _adopt(self, job: Job, found: Sequence[Submitted]) -> Job | None:
        provider = self._providers[job.request.model]
        remote_ids = [each.remote_id for each in found]
        async with self._database.transaction() as tx:
            owned = await generations.owned(tx, provider.key, remote_ids)
            rivals = await queue.rivals(tx, job, LATEST)
            free = [remote_id for remote_id in remote_ids if remote_id not in owned]
            if rivals or len(free) != job.request.count:
                return None
            adopted = await jobs.move(
                tx, job.id, JobStatus.RUNNING, running_at=self._now(), lease_until=None
            )
            await generations.add(tx, job.id, provider.key, free)
        self._metrics.doubt_ended(provider.key, "adopted")
        log.warning("adopted %s after a doubtful submit", ", ".join(free))
        return adopted


async def _surely(write: Callable[[], Awaitable[Job]]) -> Job:
    """Store what is known here only, and may be paid for: as often as the database needs."""
    while True:
        try:
            return await write()
        except NotNow:
            await asyncio.sleep(STORE_AGAIN)
