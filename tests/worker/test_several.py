"""A worker that shares its database: leases that end unnoticed, rows of other processes."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from bot.health import Circuit, CircuitState
from bot.jobs import Generation
from bot.sandbox.http.faults import Hold
from bot.store import circuits, generations
from bot.store.coordination import Duty
from bot.store.database import Database
from bot.store.tables import jobs
from bot.worker.worker import Worker
from tests.support.easel import Stage
from tests.worker.test_error_paths import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]
CREATING = "/api/v1/generation/.*"


async def expire(at: Stage) -> None:
    """Let all leases end, as if the server's clock had been set."""
    async with at.database() as database, database.transaction() as tx:
        await tx.execute(update(jobs).values(lease_until=at.clock() - timedelta(hours=1)))


async def stored(database: Database, job_id: str) -> list[Generation]:
    async with database.reading() as view:
        return await generations.of_job(view, job_id)


async def test_the_circuit_of_a_removed_provider_stays_unused(at: Stage) -> None:
    past = at.clock() - timedelta(days=1)
    async with at.database() as database, database.transaction() as tx:
        state = CircuitState(Circuit.OPEN, past, past, openings=3)
        await circuits.publish(tx, "another", {"removed": state})
    async with at.easel() as app:
        await until(lambda: app.services.coordination.has(Duty.PROBES))
        await at.imagine("a fox")
        await at.result("a fox")


async def test_a_job_whose_lease_ended_unnoticed_is_polled_by_the_next(at: Stage) -> None:
    held = at.skills.faults.add("GET", "/api/v1/generation/.*", Hold())
    async with at.easel() as app:
        await at.imagine("a fox", model="skills")
        await held.reached()
        (job,) = await at.jobs()
        await expire(at)
        assert isinstance(app.worker, Worker)
        (taken,) = await app.worker._leases.take([job])
        assert taken.epoch == job.epoch + 1
        held.release()
        await at.result("a fox", timeout=20)
