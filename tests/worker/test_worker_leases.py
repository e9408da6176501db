"""The leases of a process: until when its work goes on, and what a lost one ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bot.errors import NotNow
from bot.jobs import Job, JobStatus
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
def held(shared: Database, elapsed: Elapsed, tmp_path: Path) -> Leases:
    return Leases(services_on(shared, tmp_path, Moment()))


def is_held(held: Leases, job: Job) -> bool:
    try:
        held.check(job)
    except LeaseLost:
        return False
    return True


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
    shared: Database, held: Leases, elapsed: Elapsed, seconds: float, is_noted: bool
) -> None:
    job = await one(shared)
    begun = elapsed.seconds
    elapsed.seconds += seconds
    held._renewed_at = elapsed.seconds
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
        await held._renew(lost.append)

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
    held._held[theirs.id] = theirs.epoch
    await held._renew(lost.append)
    assert lost == [theirs.id] * 2  # after the block, the work ends again


@pytest.mark.long
async def test_work_that_ends_during_a_renewal_is_not_lost(
    shared: Database, held: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    (taken,) = await held.take([await one(shared)])
    renew = rows.renew

    async def end_first(*args: Any) -> set[str]:  # noqa: ANN401
        await held.end(taken.id)
        return await renew(*args)

    monkeypatch.setattr(rows, "renew", end_first)
    lost: list[str] = []
    await held._renew(lost.append)

    assert lost == []


@pytest.mark.long
async def test_a_process_that_was_silent_ends_its_work_and_goes_on(
    shared: Database,
    held: Leases,
    elapsed: Elapsed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT", 0.1)
    (taken,) = await held.take([await one(shared)])
    lost: list[str] = []

    async def fail(*_: object) -> set[str]:
        raise NotNow

    monkeypatch.setattr(rows, "renew", fail)  # the silence has ended all the same
    renewing = asyncio.create_task(held.run(lost.append))
    try:
        await asyncio.sleep(0)  # the renewals begin now
        elapsed.seconds += SILENCE + 1
        async with asyncio.timeout(10):
            while not lost:
                await asyncio.sleep(0.001)
        assert lost == [taken.id]
        (again,) = await held.take([taken])
        assert is_held(held, again)
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


@pytest.mark.long
async def test_the_end_of_a_process_leaves_its_running_jobs_to_others(
    shared: Database, held: Leases
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
            .values(lease_until=FOREVER, owner=held._process)
        )
    await held.leave()

    ends = [await lease_end(shared, each) for each in (running, queued, other)]
    assert [each is None for each in ends] == [True, False, False]


@pytest.mark.long
@pytest.mark.parametrize(
    ("is_expected", "line"),
    [(True, "leases not renewed, retrying"), (False, "renewal of leases failed, retrying")],
)
async def test_renewals_go_on_after_an_error(
    shared: Database,
    held: Leases,
    elapsed: Elapsed,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    is_expected: bool,
    line: str,
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT", 0.1)
    elapsed.seconds += 2 * SILENCE  # before the renewals begin, no silence counts
    (taken,) = await held.take([await one(shared)])
    begun = await lease_end(shared, taken)
    renew, tries = rows.renew, list[bool]()

    async def fail_once(*args: Any) -> set[str]:  # noqa: ANN401
        tries.append(True)
        if len(tries) == 1:
            raise NotNow if is_expected else ValueError
        return await renew(*args)

    monkeypatch.setattr(rows, "renew", fail_once)
    lost: list[str] = []
    renewing = asyncio.create_task(held.run(lost.append))
    async with asyncio.timeout(10):
        while await lease_end(shared, taken) == begun:
            await asyncio.sleep(0.01)
    await ends_soon(renewing, lambda: True)

    assert lost == []
    found = [each for each in caplog.records if each.name == "bot.worker.leases"]
    assert [each.getMessage() for each in found] == [line]
    assert bool(found[0].exc_info) is not is_expected


@pytest.mark.long
async def test_between_two_renewals_there_is_a_pause(shared: Database, held: Leases) -> None:
    (taken,) = await held.take([await one(shared)])
    begun = await lease_end(shared, taken)
    renewing = asyncio.create_task(held.run(lambda _: None))
    await asyncio.sleep(0.05)
    await ends_soon(renewing, lambda: True)

    assert await lease_end(shared, taken) == begun
