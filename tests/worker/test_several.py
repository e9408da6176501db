"""A worker that shares its database: leases that end unnoticed, rows of other processes."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from bot.clock import elapsed
from bot.health import Circuit, CircuitState
from bot.jobs import Generation, JobStatus
from bot.sandbox.http.faults import Hold
from bot.store import circuits, generations, leases, settlement
from bot.store.coordination import Duty
from bot.store.database import Database
from bot.store.tables import jobs
from bot.worker import leases as worker_leases
from bot.worker import submit
from bot.worker.worker import Worker
from tests.support.easel import Stage
from tests.support.relay import relayed
from tests.support.rows import new_job, one
from tests.support.services import services_on
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


async def test_the_first_turn_is_with_the_duties_and_beside_the_others(at: Stage) -> None:
    """Before its first heartbeat, which a lock holds back here, a process knows no other one."""
    async with at.database() as other, at.app() as app:
        async with other.transaction() as tx:
            await tx.execute(text("LOCK TABLE processes IN EXCLUSIVE MODE"))
            running = asyncio.create_task(app.run())
            await waits_for_a_lock(other)
            await asyncio.sleep(0.2)
            assert (at.discord.requests, at.oxen.requests) == ([], [])
        await at.discord.connected()
        assert all(app.services.coordination.has(duty) for duty in Duty)
        app.stop()
        await running


async def waits_for_a_lock(database: Database) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE relation = 'processes'::regclass AND NOT granted"
    )
    async with asyncio.timeout(20):
        while True:
            async with database.reading() as view:
                if (await view.execute(waiting)).scalar_one():
                    return
            await asyncio.sleep(0.01)


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
        await at.result("a fox")


async def test_an_outcome_is_stored_although_the_database_was_away_for_long(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_leases, "HEARTBEAT", 0.2)
    monkeypatch.setattr(worker_leases, "SILENCE", 1.0)
    held = at.skills.faults.add("POST", CREATING, Hold())
    async with relayed(at.postgres_url) as relay, at.easel(database_url=relay.url):
        await at.imagine("a fox", model="skills")
        await held.reached()
        relay.cut()
        await until(lambda: "lost, work on it ends" in caplog.text)
        held.release()
        await until(lambda: "database cannot be used" in caplog.text)
        relay.open = True
        await at.result("a fox", timeout=50)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.skills.generations) == 1


async def test_what_was_accepted_after_the_lease_was_lost_is_followed(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(submit, "HAND_IN_WAIT", 0.1)
    held = at.skills.faults.add("POST", CREATING, Hold())
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await held.reached()
        await expire(at)
        async with at.database() as database:
            (job,) = await at.jobs()
            async with database.transaction() as tx:
                now = at.clock()
                (taken,) = await leases.take(tx, [job], leases.Terms("another", now, None))
            held.release()
            await until(lambda: "request accepted as" in caplog.text)
            async with database.transaction() as tx:
                await settlement.fail_unknown(tx, taken, now)
            await at.said("Please try again")
            async with asyncio.timeout(20):
                while not (known := await stored(database, job.id)):
                    await asyncio.sleep(0.05)

    assert known[0].remote_id in at.skills.generations
    assert sum(each.amount for each in await at.losses()) == 0


async def test_a_lease_that_was_taken_before_a_stop_is_not_held(at: Stage, tmp_path: Path) -> None:
    async with at.database() as database:
        job, other = await one(database), await one(database, new_job(2))
        held = worker_leases.Leases(services_on(database, tmp_path, at.clock))
        held.check(held.hold(job, elapsed()))
        held.hold(other, elapsed() - worker_leases.SILENCE - 1)
        with pytest.raises(worker_leases.LeaseLost):
            held.check(other)


@pytest.mark.parametrize("ahead", [-1, 1])
async def test_a_wrong_clock_extends_no_lease(at: Stage, ahead: int) -> None:
    async with at.database() as database:
        job = await one(database)
        async with database.transaction() as tx:
            await leases.extend(tx, job.id, at.clock() + timedelta(hours=ahead))
            end, now = (
                await tx.execute(select(jobs.c.lease_until, leases.LeaseClock(jobs.c.created_at)))
            ).one()

    assert timedelta(seconds=20) < end - now < timedelta(seconds=31)
