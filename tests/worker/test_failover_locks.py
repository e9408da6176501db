"""Locks of a failover, beside those of other transactions."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bot.store import jobs
from bot.store.backends import open_database
from bot.store.dialects import lock_quotas
from bot.worker.deliver import Deliverer
from bot.worker.failover import Failover
from bot.worker.leases import Leases
from tests.support.rows import NOW, new_job, one
from tests.support.services import services_on


async def test_a_job_moves_while_a_refund_of_it_is_refused(
    postgres_url: str, tmp_path: Path
) -> None:
    """A refund locks the quotas, and then the job: the other order would be a deadlock."""
    async with open_database(postgres_url) as database:
        job = await one(database, replace(new_job(), model_auto=True))
        services = services_on(database, tmp_path, lambda: NOW)
        failover = Failover(services, Deliverer(services, Leases(services)))
        (spec,) = services.catalog.specs.values()
        async with database.transaction() as tx:
            await lock_quotas(tx)
            moving = asyncio.create_task(failover._moved(job, spec))
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):  # until the move waits for a lock
                    await asyncio.shield(moving)
            assert await jobs.lock(tx, job.id) is not None
        assert await moving is not None
