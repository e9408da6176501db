"""While an API does not work: its waiting jobs go to another, where Easel chose it itself."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from bot.catalog import Catalog, ModelSpec, check_request
from bot.errors import UserError
from bot.jobs import Job
from bot.outages import Outages
from bot.quotas import Quotas
from bot.store import jobs, ledger, queue
from bot.store.database import Connection, Database
from bot.worker.deliver import Deliverer

log = logging.getLogger(__name__)


class Failover:
    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        outages: Outages,
        limits: Quotas,
        deliverer: Deliverer,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._outages = outages
        self._limits = limits
        self._deliverer = deliverer
        self._now = now

    async def movable(self, view: Connection) -> list[Job]:
        """Jobs that wait for an API that does not work, and could be made by one that does."""
        return [
            job
            for model in self._outages.down
            for job in await queue.movable(view, model)
            if self._elsewhere(job)
        ]

    async def move(self, job: Job) -> None:
        """Let it wait for the other API, for that one's price; or here, where that is too much."""
        spec = self._elsewhere(job)
        if spec is None:
            return
        price, now = spec.price * job.request.count, self._now()
        try:
            async with self._database.transaction() as tx:
                if price > job.price:
                    await self._limits.check_credits(
                        tx, job.user_id, price - job.price, job.created_at
                    )
                moved = await jobs.hand_over(tx, job, spec.key, price)
                if moved is None:
                    return
                await ledger.hold_anew(tx, moved, job.price, now)
        except UserError:
            log.info("it cannot go to %s, which costs more than is left", spec.key)
            return
        log.info("goes to %s, for %s does not work", spec.key, job.request.model)
        await self._deliverer.show(moved)

    def _elsewhere(self, job: Job) -> ModelSpec | None:
        for spec in self._catalog.specs.values():
            if spec.key in self._outages.down:
                continue
            try:
                check_request(replace(job.request, model=spec.key), spec)
            except UserError:
                continue
            return spec
        return None
