"""The leases of a process: until when its work goes on, and what a lost one ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bot.jobs import Job, JobStatus
from bot.services import Services
from bot.store import jobs as job_rows
from bot.store import leases as rows
from bot.store.backends import open_database
from bot.store.database import Database
from bot.store.tables import jobs as table
from bot.worker import leases
from bot.worker.leases import SILENCE, LeaseLost, Leases
from tests.support.clock import Elapsed, Moment
from tests.support.parts import ends_soon, lease_end
from tests.support.rows import NOW, new_job, one
from tests.support.services import services_on
from tests.support.statements import statements

LATER = 1000.0
FOREVER = NOW + timedelta(days=9999)


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Database]:
    async with open_database(postgres_url) as opened:
        yield opened


@pytest.fixture
def services(shared: Database, tmp_path: Path) -> Services:
    return services_on(shared, tmp_path, Moment())


@pytest.fixture
def held(services: Services, elapsed: Elapsed) -> Leases:
    return Leases(services)


def is_held(held: Leases, job: Job) -> bool:
    try:
        held.check(job)
    except LeaseLost:
        return False
    return True


async def renew(held: Leases, lost: list[str]) -> None:
    """Renew the leases once."""
    await held._renew(lost.append)


async def happens(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.001)


async def is_renewed(database: Database, job: Job) -> None:
    """Wait for the next renewal of a lease."""
    begun = await lease_end(database, job)
    async with asyncio.timeout(20):
        while await lease_end(database, job) == begun:
            await asyncio.sleep(0.01)


async def lose(database: Database, job: Job) -> None:
    """Let another process take a job."""
    async with database.transaction() as tx:
        await tx.execute(
            update(table)
            .where(table.c.id == job.id)
            .values(owner="another", epoch=job.epoch + 1, lease_until=FOREVER)
        )


@pytest.mark.long
async def test_a_taken_job_is_held_until_its_work_has_ended(shared: Database, held: Leases) -> None:
    job, other = await one(shared), await one(shared, new_job(2))
    assert not is_held(held, job)
    (taken,) = await held.take([job])
    assert is_held(held, taken)
    assert not is_held(held, other)
    assert await lease_end(shared, job) is not None
    await held.end(job.id)

    assert not is_held(held, taken)
    assert await lease_end(shared, job) is None
    with statements() as executed:
        await held.end(job.id)
        assert await held.take([]) == []
    assert executed == []


@pytest.mark.long
async def test_nothing_leaves_twenty_seconds_after_the_last_renewal(
    shared: Database, held: Leases, elapsed: Elapsed
) -> None:
    (taken,) = await held.take([await one(shared)])
    elapsed.seconds += SILENCE
    assert is_held(held, taken)
    elapsed.seconds += 0.001

    assert not is_held(held, taken)


@pytest.mark.long
@pytest.mark.parametrize(("seconds", "is_noted"), [(SILENCE, True), (SILENCE + 0.001, False)])
async def test_a_lease_that_may_have_ended_before_it_was_noted_is_not_held(
    shared: Database, services: Services, elapsed: Elapsed, seconds: float, is_noted: bool
) -> None:
    job = await one(shared)
    begun = elapsed.seconds
    elapsed.seconds += seconds
    held = Leases(services)
    held.hold(job, begun)

    assert is_held(held, job) is is_noted


@pytest.mark.long
async def test_a_write_for_a_job_that_another_process_has_is_refused(
    shared: Database, held: Leases
) -> None:
    (taken,) = await held.take([await one(shared)])
    await lose(shared, taken)
    with pytest.raises(LeaseLost, match="was taken by another process"):
        async with held.writing(taken) as tx:
            await job_rows.request_cancel(tx, taken.id, NOW)

    async with shared.reading() as view:
        stored = await job_rows.get(view, taken.id)
    assert stored is not None
    assert stored.cancel_requested_at is None


@pytest.mark.long
async def test_the_last_write_ends_the_lease(shared: Database, held: Leases) -> None:
    (taken,) = await held.take([await one(shared)])
    async with held.writing(taken):
        pass
    assert is_held(held, taken)
    with suppress(ValueError):
        async with held.writing(taken, last=True):
            raise ValueError
    assert is_held(held, taken)  # nothing was written
    async with held.writing(taken, last=True):
        pass

    assert not is_held(held, taken)


@pytest.mark.long
async def test_a_renewal_ends_the_work_on_jobs_that_others_have(
    shared: Database, held: Leases, elapsed: Elapsed, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs, storing, ended = await held.take(
        [await one(shared, new_job(number)) for number in range(1, 5)]
    )
    lost: list[str] = []
    for job in (theirs, storing):
        await lose(shared, job)
    await held.end(ended.id)
    elapsed.seconds += 15
    begun = await lease_end(shared, ours)
    with held.storing(storing):
        await renew(held, lost)

    assert lost == [theirs.id]
    assert caplog.text.count("lost, work on it ends") == 2
    assert [is_held(held, each) for each in (ours, theirs, storing, ended)] == [
        *(True, False, False, False)
    ]
    after = await lease_end(shared, ours)
    assert begun is not None
    assert after is not None
    assert after > begun
    elapsed.seconds += SILENCE  # since the renewal
    assert is_held(held, ours)

    with held.storing(theirs):
        pass
    held.hold(theirs, elapsed.seconds)
    await renew(held, lost)
    assert lost == [theirs.id] * 2  # after the block, the work ends again


@pytest.mark.long
async def test_work_that_ends_during_a_renewal_is_not_lost(shared: Database, held: Leases) -> None:
    (taken,) = await held.take([await one(shared)])
    lost: list[str] = []
    async with shared.transaction() as tx:
        await rows.clear(tx)
        renewing = asyncio.create_task(renew(held, lost))
        await asyncio.sleep(0)  # it waits for this transaction
        ending = asyncio.create_task(held.end(taken.id))
        await asyncio.sleep(0)
    await asyncio.gather(renewing, ending)

    assert lost == []


@pytest.mark.long
async def test_a_process_that_was_silent_ends_its_work_and_goes_on(
    shared: Database,
    held: Leases,
    elapsed: Elapsed,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the next renewal takes too long."""
    monkeypatch.setattr(leases, "HEARTBEAT", 0.1)
    (taken,) = await held.take([await one(shared)])
    lost: list[str] = []

    def take_again(job_id: str) -> None:
        lost.append(job_id)
        held.hold(taken, elapsed.seconds)

    async with shared.transaction() as tx:
        await tx.execute(select(table.c.id).with_for_update())
        renewing = asyncio.create_task(held.run(take_again))
        await asyncio.sleep(0)  # the renewals begin now
        elapsed.seconds += SILENCE + 1
        await ends_soon(renewing, lambda: "leases not renewed, retrying" in caplog.text)

    assert lost == [taken.id]
    assert is_held(held, taken)


@pytest.mark.long
async def test_the_end_of_a_process_leaves_its_running_jobs_to_others(
    shared: Database, services: Services, held: Leases
) -> None:
    running, queued = await held.take([await one(shared), await one(shared, new_job(2))])
    other = await one(shared, new_job(3))
    async with shared.transaction() as tx:
        for job in (running, other):
            await job_rows.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
            await job_rows.start_running(tx, job.id, NOW)
        await tx.execute(
            update(table).where(table.c.id == other.id).values(owner="another", lease_until=FOREVER)
        )
        await tx.execute(
            update(table)
            .where(table.c.id != other.id)
            .values(lease_until=FOREVER, owner=services.coordination.process)
        )
    await held.leave()

    ends = [await lease_end(shared, each) for each in (running, queued, other)]
    assert [each is None for each in ends] == [True, False, False]


@pytest.mark.long
async def test_an_end_that_cannot_be_stored_leaves_running_jobs_until_their_leases_end(
    shared: Database, held: Leases, caplog: pytest.LogCaptureFixture
) -> None:
    (taken,) = await held.take([await one(shared)])
    async with shared.transaction() as tx:
        await job_rows.move(tx, taken.id, JobStatus.SUBMITTING, submitted_at=NOW)
        await job_rows.start_running(tx, taken.id, NOW)
    async with shared.transaction() as tx:
        await tx.execute(select(table.c.id).with_for_update())
        await held.leave()

    assert caplog.messages.count("lease not released, others wait for its end") == 1
    assert await lease_end(shared, taken) is not None


def logged(caplog: pytest.LogCaptureFixture) -> set[tuple[str, bool]]:
    """Return the lines of the renewals, each with whether it has a traceback."""
    found = [each for each in caplog.records if each.name == "bot.worker.leases"]
    return {(each.getMessage(), bool(each.exc_info)) for each in found}


@pytest.mark.long
async def test_renewals_go_on_after_one_that_took_too_long(
    shared: Database,
    held: Leases,
    elapsed: Elapsed,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT", 0.5)
    elapsed.seconds += 2 * SILENCE  # before the renewals begin, no silence counts
    (taken,) = await held.take([await one(shared)])
    lost: list[str] = []
    async with shared.transaction() as tx:
        await tx.execute(select(table.c.id).with_for_update())
        renewing = asyncio.create_task(held.run(lost.append))
        await happens(lambda: logged(caplog))
    await is_renewed(shared, taken)
    await ends_soon(renewing, lambda: True)

    assert lost == []
    assert logged(caplog) == {("leases not renewed, retrying", False)}


@pytest.mark.long
async def test_renewals_go_on_after_an_unexpected_error(
    shared: Database,
    held: Leases,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT", 0.5)
    ours, theirs = await held.take([await one(shared), await one(shared, new_job(2))])
    await lose(shared, theirs)

    def fail(_: str) -> None:
        raise ValueError

    renewing = asyncio.create_task(held.run(fail))
    line = ("renewal of leases failed, retrying", True)
    await happens(lambda: line in logged(caplog))
    await is_renewed(shared, ours)
    await ends_soon(renewing, lambda: True)

    assert logged(caplog) == {(f"lease of job {theirs.id} lost, work on it ends", False), line}


@pytest.mark.long
async def test_between_two_renewals_there_is_a_pause(shared: Database, held: Leases) -> None:
    (taken,) = await held.take([await one(shared)])
    begun = await lease_end(shared, taken)
    renewing = asyncio.create_task(held.run(lambda _: None))
    await asyncio.sleep(0.05)
    await ends_soon(renewing, lambda: True)

    assert await lease_end(shared, taken) == begun
