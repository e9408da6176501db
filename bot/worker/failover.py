"""While a provider is down: jobs go to another one, and those that wait say so.

Only a job whose model Easel chose itself goes elsewhere. Every other job keeps the model that the
member named; its own status message reports the outage, and the end of the outage.
"""

import logging
from dataclasses import replace
from datetime import datetime

from bot.catalog import ModelSpec, check_request
from bot.errors import UserError
from bot.jobs import Job
from bot.services import Services
from bot.store import jobs, ledger, queue
from bot.store.database import Connection
from bot.worker.deliver import Deliverer
from bot.worker.tasks import Due

log = logging.getLogger(__name__)

JOBS_PER_TURN = 25  # whose status messages are edited, or which move, every two seconds
JOBS_READ = 500


class Failover:
    def __init__(self, services: Services, deliverer: Deliverer) -> None:
        self._services = services
        self._database = services.database
        self._health = services.health
        self._deliverer = deliverer
        self._now = services.now
        self._reported: set[str] = set()  # jobs whose status message reports an outage
        self._staying: set[str] = set()  # jobs whose members cannot pay for another provider

    async def due(self, view: Connection, now: datetime) -> list[Due]:
        """Return the jobs to hand over, and those whose status message is out of date."""
        if not self._health.outages and not self._reported:
            return []
        transferable = [
            job
            for provider in self._health.down
            for job in await queue.transferable(view, provider, JOBS_READ)
            if job.id not in self._staying and self._elsewhere(job)
        ][:JOBS_PER_TURN]
        moving = {job.id for job in transferable}
        waiting = await queue.waiting(view, JOBS_READ)
        self._staying &= {job.id for job in waiting if self._health.is_down(job.provider)}
        self._reported &= {job.id for job in waiting}
        self._reported |= {job.id for job in waiting if self._reply_reported(job)}
        outdated = [job for job in waiting if job.id not in moving and self._is_outdated(job)]
        return [
            *((self.hand_over, job) for job in transferable),
            *((self.report, job) for job in outdated[:JOBS_PER_TURN]),
        ]

    async def hand_over(self, job: Job) -> None:
        """Let the job wait for the other provider at that one's price, if the member has enough."""
        spec = self._elsewhere(job)
        if spec is None:
            return
        price = spec.price * job.request.count
        try:
            async with self._database.transaction() as tx:
                moved = await jobs.hand_over(
                    tx, job, model=spec.key, provider=spec.provider, price=price
                )
                if moved is None:
                    return
                await ledger.hold_difference(
                    tx, moved, job.price, self._now(), self._services.quotas
                )
        except UserError:
            log.info("job stays: %s costs more than its member has left", spec.key)
            self._staying.add(job.id)  # the next turn lets its status message report the outage
            return
        log.info("job moved to %s: %s is down", spec.key, job.provider)
        await self._deliverer.show(moved)

    async def report(self, job: Job) -> None:
        """Let the status message of a waiting job report the outage, or its end."""
        if self._health.has_outage(job.provider):
            self._reported.add(job.id)
        else:
            self._reported.discard(job.id)
        await self._deliverer.show(job)

    def _reply_reported(self, job: Job) -> bool:
        """Return whether the reply itself reported the outage, since the job is younger."""
        began = self._health.of(job.provider).outage_since
        return began is not None and job.created_at >= began

    def _is_outdated(self, job: Job) -> bool:
        return self._health.has_outage(job.provider) != (job.id in self._reported)

    def _elsewhere(self, job: Job) -> ModelSpec | None:
        """Return a model of a provider that is up and can take the request."""
        for spec in self._services.catalog.specs.values():
            if self._health.is_down(spec.provider):
                continue
            try:
                check_request(replace(job.request, model=spec.key), spec)
            except UserError:
                continue
            return spec
        return None
