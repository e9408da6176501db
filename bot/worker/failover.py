"""While a provider is down: jobs go to another one, and those that wait say so.

Only a job whose model Easel chose itself goes elsewhere. Every other job keeps the model that the
member named; its own status message reports the outage, and the end of the outage.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from bot.catalog import ModelSpec, check_request
from bot.errors import UserError
from bot.jobs import Job
from bot.quotas import ProviderBudgetExhausted
from bot.rights import allows_model
from bot.services import Services
from bot.store import holds, jobs, queue
from bot.store.database import Connection
from bot.store.dialects import lock_quotas
from bot.worker.deliver import Deliverer
from bot.worker.tasks import Due

log = logging.getLogger(__name__)


class Failover:
    def __init__(self, services: Services, deliverer: Deliverer) -> None:
        self._services = services
        self._database = services.database
        self._health = services.health
        self._deliverer = deliverer
        self._now = services.now
        self._reported: dict[str, str] = {}  # jobs whose status message reports it: the provider
        self._down: frozenset[str] = frozenset()  # at the last turn
        self._low: frozenset[str] = frozenset()  # the same of balances
        self._staying: set[str] = set()  # jobs that no other provider takes, or at no such price

    async def due(self, view: Connection, now: datetime) -> list[Due]:
        """Return the jobs to hand over, and those whose status message is out of date.

        A batch of each every two seconds, however many wait.
        """
        if (self._down, self._low) != (self._health.down, self._services.balances.low):
            self._down, self._low = self._health.down, self._services.balances.low
            self._staying.clear()
        transferable = [
            job
            for provider in self._down
            for job in await queue.transferable(view, provider, known=self._staying)
        ]
        moving = [job for job in transferable if any(self._elsewhere(job))]
        self._staying |= {job.id for job in transferable} - {job.id for job in moving}
        return [
            *((self.hand_over, job) for job in moving),
            *((self.report, job) for job in await self._unreported(view, moving)),
            *((self.report, job) for job in await self._outlived(view)),
        ]

    async def _unreported(self, view: Connection, moving: Sequence[Job]) -> list[Job]:
        """Return jobs whose status message does not report the outage yet."""
        known = {*self._reported, *(job.id for job in moving)}
        found: list[Job] = []
        for provider in self._health.outages:
            waiting = await queue.waiting(view, provider, known=known)
            self._reported |= {job.id: provider for job in waiting if self._reply_reported(job)}
            found += [job for job in waiting if job.id not in self._reported]
        return found

    async def _outlived(self, view: Connection) -> list[Job]:
        """Return waiting jobs whose status message reports an outage that is over."""
        lasting = self._health.outages
        over = [job_id for job_id, provider in self._reported.items() if provider not in lasting]
        batch = over[: queue.BATCH]
        waiting = await queue.still_waiting(view, batch) if batch else []
        for job_id in set(batch) - {job.id for job in waiting}:
            del self._reported[job_id]
        return waiting

    async def hand_over(self, job: Job) -> None:
        """Let the job wait for the other provider at that one's price, if the member has enough."""
        for spec in self._elsewhere(job):
            try:
                moved = await self._moved(job, spec)
            except ProviderBudgetExhausted:
                log.info("job not moved to %s: the provider's budget is used up", spec.key)
                continue
            except UserError:
                log.info("job stays: %s costs more than its member has left", spec.key)
                break
            if moved is not None:
                log.info("job moved to %s: %s is down", spec.key, job.provider)
                self._reported.pop(job.id, None)
                await self._deliverer.show(moved)
            return
        self._staying.add(job.id)  # the next turn lets its status message report the outage

    async def _moved(self, job: Job, spec: ModelSpec) -> Job | None:
        """Store the move, and return the job; None if it no longer waits. UserError."""
        price = spec.price * job.request.count
        async with self._database.transaction() as tx:
            await lock_quotas(tx)  # before the job's row, as a refund does: else a deadlock
            moved = await jobs.hand_over(
                tx, job, model=spec.key, provider=spec.provider, price=price
            )
            if moved is not None:
                await holds.hold_difference(tx, moved, job, self._now(), self._services.quotas)
        return moved

    async def report(self, job: Job) -> None:
        """Let the status message of a waiting job report the outage, or its end."""
        if self._health.has_outage(job.provider):
            self._reported[job.id] = job.provider
        else:
            self._reported.pop(job.id, None)
        await self._deliverer.show(job)

    def _reply_reported(self, job: Job) -> bool:
        """Return whether the reply itself reported the outage, since the job is younger."""
        began = self._health.of(job.provider).outage_since
        return began is not None and job.created_at >= began

    def _elsewhere(self, job: Job) -> Iterator[ModelSpec]:
        """Yield the models that can take the request, of providers that are up and have credits.

        Those that the member's roles did not allow at the time of the request are left out.
        """
        closed = self._health.down | self._services.balances.low
        for spec in self._services.catalog.specs.values():
            if spec.provider in closed or not allows_model(job.allowed_models, spec.key):
                continue
            try:
                check_request(replace(job.request, model=spec.key), spec)
            except UserError:
                continue
            yield spec
