"""From queued to running: the one request that creates, and the end of a claim without it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from bot.backoff import Backoff, Retries
from bot.clock import elapsed
from bot.errors import NotNow, ProviderError, Reason, Taken
from bot.health import SLOTS, Cause, Circuit
from bot.jobs import Job
from bot.providers.base import Provider, Submitted
from bot.services import Services
from bot.store import claims, generations, jobs, pictures, settlement
from bot.store.database import Connection
from bot.worker.balances import refused
from bot.worker.inputs import Inputs
from bot.worker.leases import LeaseLost, Leases
from bot.worker.recovery import QUEUE_TIMEOUT, Recovery
from bot.worker.streams import Streams

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=2))

MEMBER_SUBMITS = SLOTS[Circuit.CLOSED] - 1  # of one member at once, to each provider

# Attempts to store what a lost job was accepted as, and the seconds between them: the process that
# has taken the job searches for a few seconds first.
HAND_INS, HAND_IN_WAIT = 20, 2.0

LISTED = 64  # jobs in a list of those that are claimed next; fewer are found one by one
REREAD = timedelta(milliseconds=250)  # for which a list serves: then others may come first

T = TypeVar("T")


@dataclass(slots=True)
class _Candidates:
    """Jobs of a provider that can be claimed, in turns, `until` the list is read again."""

    jobs: list[Job]
    until: datetime


class Submitter:
    def __init__(
        self,
        services: Services,
        leases: Leases,
        inputs: Inputs,
        recovery: Recovery,
        streams: Streams,
    ) -> None:
        self._services = services
        self._database = services.database
        self._health = services.health
        self._leases = leases
        self._inputs = inputs
        self._recovery = recovery
        self._streams = streams
        self._now = services.now
        self._retries = Retries(BACKOFF)
        self._crowded: set[str] = set()  # providers with more than LISTED jobs
        self._listed: dict[str, _Candidates] = {}

    async def providers_with_work(self, view: Connection, now: datetime) -> list[str]:
        """Return the providers for which a job can be claimed."""
        found = await claims.providers_with_work(view, now, now - QUEUE_TIMEOUT)
        self._crowded = {provider for provider, number in found.items() if number > LISTED}
        return [*found]

    async def claim(
        self,
        provider: str,
        *,
        without: Collection[int] = (),
        named_since: datetime | None = None,
    ) -> Job | None:
        """Take the provider's next job, of a member who is not in `without`; None if none is due.

        With `named_since`, only a job requested since then, whose member named the model.
        """
        if provider in self._crowded and named_since is None:
            return await self._claim_listed(provider, without)
        terms, begun = self._leases.claim_terms(), elapsed()
        async with self._database.transaction() as tx:
            job = await claims.claim(
                tx,
                provider,
                terms,
                created_after=terms.now - QUEUE_TIMEOUT,
                without=without,
                named_since=named_since,
            )
        return self._leases.hold(job, begun) if job else None

    async def _claim_listed(self, provider: str, without: Collection[int]) -> Job | None:
        """Take the next job of a list that serves for a moment.

        To find one job among thousands costs as much as to find many.
        """
        now = self._now()
        candidates = self._listed.get(provider)
        if candidates is None or not candidates.jobs or now >= candidates.until:
            async with self._database.reading() as view:
                found = await claims.in_turns(view, provider, now, now - QUEUE_TIMEOUT, LISTED)
            candidates = self._listed[provider] = _Candidates(found, now + REREAD)
        for job in [each for each in candidates.jobs if each.user_id not in without]:
            candidates.jobs.remove(job)
            terms, begun = self._leases.claim_terms(), elapsed()
            async with self._database.transaction() as tx:
                taken = await claims.claim_listed(
                    tx, job.id, terms, created_after=terms.now - QUEUE_TIMEOUT
                )
            if taken:
                return self._leases.hold(taken, begun)
        return None

    async def put_back(self, job: Job, wait: timedelta, reason: Reason | None = None) -> None:
        """Return a claimed job to the queue, or cancel the job if the member has requested that.

        The provider has surely not taken the job. `reason` is reported if the job expires.
        """
        now = self._now()
        async with self._leases.writing(job, last=True) as tx:
            queued = await jobs.requeue(
                tx, job.id, submit_after=now + wait, reason=reason or job.reason
            )
            if queued.cancel_requested_at is not None:
                await settlement.cancel(tx, job.id, now)

    async def submit(self, job: Job) -> tuple[Job, Sequence[Submitted]] | None:
        """Send a claimed job's request once, and store the outcome before anything else.

        Return the running job with its generations; None for every other outcome. The stream of
        the generations is then held, until the caller closes it.
        """
        async with AsyncExitStack() as room:  # for pictures inside the request
            return await self._submit(job, room)

    async def _submit(
        self, job: Job, room: AsyncExitStack
    ) -> tuple[Job, Sequence[Submitted]] | None:
        try:
            job = await self._inputs.addressed(job, room)
        except NotNow:  # the inputs' new addresses could not be stored
            await _until_stored(lambda: self.put_back(job, BACKOFF.first))
            return None
        except ProviderError as error:  # nothing was sent
            return await self._not_running(job, error)
        provider = self._services.providers[job.provider]
        self._leases.check(job)
        with self._leases.storing(job):  # only the answer names what is paid for from now on
            return await self._send(job, provider)

    async def _send(self, job: Job, provider: Provider) -> tuple[Job, Sequence[Submitted]] | None:
        try:
            submission = await provider.submit(job.request, job.user_id)
        except ProviderError as error:
            refused(self._services, job.provider, error.reason, error.detail)
            self._health.submitted(job.provider, await self._cause(job), error)
            return await self._not_running(job, error)
        if submission.stream is not None:
            self._streams.hold(job.id, submission.stream)
        self._retries.end(job.id)
        self._health.submitted(job.provider, Cause(job.user_id))
        return await self._started(job, submission.generations), submission.generations

    async def _cause(self, job: Job) -> Cause:
        """Return the member and the input pictures of a job whose request failed."""
        if not job.inputs:
            return Cause(job.user_id)
        try:
            async with self._database.reading() as view:
                stored = await pictures.of_job(view, job.id, pictures.Role.INPUT)
        except NotNow:
            return Cause(job.user_id)
        return Cause(job.user_id, frozenset(each.sha256 for each in stored))

    async def _started(self, job: Job, submitted: Sequence[Submitted]) -> Job:
        """Store the generations of an accepted request, also if another process has the job."""
        remote_ids = [each.remote_id for each in submitted]
        try:
            return await _until_stored(lambda: self._start(job, remote_ids))
        except LeaseLost:
            log.warning("request accepted as %s after the lease was lost", ", ".join(remote_ids))
            for _ in range(HAND_INS):
                if await _until_stored(lambda: self._recovery.hand_in(job, remote_ids)):
                    break
                await asyncio.sleep(HAND_IN_WAIT)
            raise

    async def _start(self, job: Job, remote_ids: Sequence[str]) -> Job:
        async with self._leases.writing(job) as tx:
            started = await jobs.start_running(tx, job.id, self._now())
            await generations.add(tx, job.id, job.provider, remote_ids)
        log.info("running at %s as %s", job.provider, ", ".join(remote_ids))
        # Nobody has taken the job, also if the lease has ended meanwhile: the lease goes on.
        return self._leases.hold(started, elapsed())

    async def _not_running(
        self, job: Job, error: ProviderError
    ) -> tuple[Job, Sequence[Submitted]] | None:
        """Store the outcome of a failed submit; return the job if its generations were adopted."""
        match error.taken:
            case Taken.NO:
                wait = self._retries.wait(job.id, error.retry_after)
                await _until_stored(lambda: self.put_back(job, wait, error.reason))
            case Taken.REFUSED:
                self._retries.end(job.id)
                await _until_stored(lambda: self._recovery.fail(job, error.reason))
            case Taken.DOUBTFUL:
                self._retries.end(job.id)
                return await self._recovery.reconcile(job)
        return None


async def _until_stored(write: Callable[[], Awaitable[T]]) -> T:
    """Repeat a write until the database takes it: the outcome is known here only, and paid for."""
    while True:
        try:
            return await write()
        except NotNow:
            await asyncio.sleep(1.0)
