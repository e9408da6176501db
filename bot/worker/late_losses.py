"""Charges for generations without a picture, which a service may report after the settlement."""

import logging
from datetime import datetime, timedelta

from bot.errors import ProviderError
from bot.jobs import Job
from bot.services import Services
from bot.store import generations as generation_rows
from bot.store import losses, settlement
from bot.store.database import Connection
from bot.worker.leases import Leases
from bot.worker.settle import report_loss
from bot.worker.tasks import Due

log = logging.getLogger(__name__)

FIRST = timedelta(minutes=1)  # after the settlement, which has requested the cost too
LAST = timedelta(hours=1)  # after the settlement; jobs settled before are left out
RETRY = timedelta(minutes=5)  # after a request that failed


class LateLosses:
    def __init__(self, services: Services, leases: Leases) -> None:
        self._database = services.database
        self._leases = leases
        self._providers = services.providers
        self._now = services.now
        self._asked: dict[str, datetime] = {}  # by job: until when the service is not asked again

    async def due(self, view: Connection, now: datetime) -> list[Due]:
        """Return the jobs for whose costs the service is to be asked now, each once in a run."""
        self._asked = {job_id: until for job_id, until in self._asked.items() if until > now}
        found = await losses.unreported(view, now - LAST, now - FIRST, known=self._asked)
        return [(self.ask, job) for job in found if job.provider in self._providers]

    async def ask(self, job: Job) -> None:
        """Record the charges that the service reports by now."""
        async with self._database.reading() as view:
            ended = await generation_rows.of_job(view, job.id)
            recorded = await losses.recorded(view, job.id)
        try:
            costs = {
                each.remote_id: await self._providers[job.provider].cost(each.remote_id)
                for each in ended
                if each.state in losses.WITHOUT_PICTURE and each.remote_id not in recorded
            }
        except ProviderError as error:
            log.info("cost of a job without a picture not reported, retrying: %s", error)
            self._asked[job.id] = self._now() + RETRY
            return
        self._asked[job.id] = self._now() + LAST
        charged = {remote_id: cost for remote_id, cost in costs.items() if cost and cost.amount}
        if not charged:
            return
        async with self._leases.writing(job) as tx:
            await settlement.lose(tx, job, charged, self._now())
        for remote_id, cost in charged.items():
            report_loss(job, remote_id, cost)
