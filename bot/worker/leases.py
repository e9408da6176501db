"""Leases of this process: taken before work, renewed while it lasts, checked at each write.

On a SQLite file no other process works on the jobs, so that nothing is taken or renewed, and a job
that a claim has marked is released only if its task ends without an outcome.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

from bot.clock import elapsed
from bot.errors import NotNow
from bot.jobs import Job
from bot.services import Services
from bot.store import leases
from bot.store.database import Transaction
from bot.store.jobs import MoveRefused
from bot.store.leases import Terms

log = logging.getLogger(__name__)

HEARTBEAT = 5.0  # seconds between renewals
# Without a renewal for so long, no request leaves any more: ten seconds later others take the jobs.
SILENCE = 20.0  # seconds
CLAIM = timedelta(minutes=3)  # of a claim on a SQLite file: longer than a submit with its timeouts


class LeaseLost(MoveRefused):
    """Another process has taken the job, or will soon."""


class Leases:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._precedence = services.precedence
        self._shared = services.database.shared
        self._process = services.coordination.process
        self._now = services.now
        self._held: dict[str, int] = {}  # epochs by job
        self._storing: set[str] = set()  # jobs whose tasks go on without a lease
        self._renewed_at = elapsed()

    def terms(self) -> Terms:
        """Return the terms of leases that begin now."""
        now = self._now()
        return Terms(self._process, now, None)

    def claim_terms(self) -> Terms:
        """Return the terms of a claim, which also a SQLite file limits."""
        return self.terms()._replace(until=self._now() + CLAIM)

    def hold(self, job: Job, begun: float) -> Job:
        """Note a lease that a statement has taken since `begun`, and return the job.

        Not a lease that may have ended by now, since the process was stopped meanwhile. `begun` is
        a time of `elapsed`.
        """
        if not self._shared or elapsed() - begun <= SILENCE:
            self._held[job.id] = job.epoch
        return job

    async def take(self, listed: Sequence[Job]) -> list[Job]:
        """Take the jobs of a list that no other process has."""
        if not self._shared or not listed:
            return [*listed]
        begun = elapsed()
        async with self._database.transaction() as tx:
            taken = await leases.take(tx, listed, self.terms())
        return [self.hold(job, begun) for job in taken]

    async def end(self, job_id: str) -> None:
        """Release a job whose work has ended, unless the outcome has ended the lease already."""
        epoch = self._held.pop(job_id, None)
        if epoch is None:
            return
        try:
            async with self._database.transaction() as tx:
                await leases.release(tx, self._process, job_id, epoch)
        except NotNow:
            log.warning("lease not released, others wait for its end")

    async def leave(self) -> None:
        """Let other processes poll the running jobs at once: this one ends."""
        if not self._shared:
            return
        try:
            async with self._database.transaction() as tx:
                await leases.release_running(tx, self._process)
        except NotNow:
            log.warning("lease not released, others wait for its end")

    @asynccontextmanager
    async def writing(self, job: Job, *, last: bool = False) -> AsyncIterator[Transaction]:
        """Run a transaction that writes an outcome of work on a job. LeaseLost.

        The `last` write of the work ends the lease: the row's, in the block, and this note of it.
        """
        await self._precedence.give_way()
        async with self._database.transaction() as tx:
            if self._shared and not await leases.lock(tx, self._process, job.id, job.epoch):
                raise LeaseLost(f"job {job.id} was taken by another process")
            yield tx
        if last:
            self._held.pop(job.id, None)

    @contextmanager
    def storing(self, job: Job) -> Iterator[None]:
        """Let the task of a job go on in the block, also if the lease is lost.

        For an outcome that only this task learns. Each write checks the epoch: the outcome is
        stored unless another process has taken the job.
        """
        self._storing.add(job.id)
        try:
            yield
        finally:
            self._storing.discard(job.id)

    def check(self, job: Job) -> None:
        """Raise LeaseLost unless a request for the job may leave now."""
        if self._shared and (job.id not in self._held or self._is_silent()):
            raise LeaseLost(f"the lease of job {job.id} may have ended")

    async def run(self, lost: Callable[[str], None]) -> None:
        """Renew all leases until cancelled; `lost` ends the work on a job."""
        self._renewed_at = elapsed()
        while self._shared:
            await asyncio.sleep(HEARTBEAT)
            if self._is_silent():
                self._lose(set(self._held), lost)
                self._renewed_at = elapsed()  # what is taken from now on is renewed from now on
            try:
                await self._renew(lost)
            except (NotNow, TimeoutError):  # the database has logged the cause
                log.warning("leases not renewed, retrying")
            except Exception:  # the worker must not end with the leases of its jobs
                log.exception("renewal of leases failed, retrying")

    async def _renew(self, lost: Callable[[str], None]) -> None:
        held, begun = dict(self._held), elapsed()
        async with asyncio.timeout(HEARTBEAT), self._database.transaction() as tx:
            renewed = await leases.renew(tx, held, self.terms()) if held else set[str]()
        self._renewed_at = begun
        # Without those that ended meanwhile.
        self._lose({each for each in held if self._held.get(each) == held[each]} - renewed, lost)

    def _lose(self, jobs: set[str], lost: Callable[[str], None]) -> None:
        for job_id in list(jobs):
            log.warning("lease of job %s lost, work on it ends", job_id)
            self._held.pop(job_id, None)
            if job_id not in self._storing:
                lost(job_id)

    def _is_silent(self) -> bool:
        return elapsed() - self._renewed_at > SILENCE
