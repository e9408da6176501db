"""The schedule of polls of a model, by the durations of its newest generations."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from bot.jobs import Job, JobStatus
from bot.store import jobs
from bot.store.tables import jobs as table
from bot.worker.durations import CACHED, NEWEST, Durations
from bot.worker.schedule import FEWEST, schedule_of
from tests.support.parts import Served, unreadable
from tests.support.rows import NOW, new_job

MOMENT = timedelta(milliseconds=1)


async def drawn(
    made: Served, number: int, *, seconds: float = 9.0, count: int = 1, at: datetime = NOW
) -> Job:
    """Store jobs of one member whose generations took so long."""
    async with made.database.transaction() as tx:
        for _ in range(number):
            job = await jobs.add(tx, new_job(at=at, count=count))
        await tx.execute(
            update(table)
            .where(table.c.status == JobStatus.QUEUED)
            .values(status=JobStatus.SUCCEEDED, settled_at=at, generation_ms=round(1000 * seconds))
        )
    return job


@pytest.fixture
def learnt(made: Served, monkeypatch: pytest.MonkeyPatch) -> Durations:
    monkeypatch.setattr("bot.worker.durations.PRIOR", schedule_of(()))
    return Durations(made.services)


async def test_a_schedule_is_learnt_from_twenty_durations(made: Served, learnt: Durations) -> None:
    prior = schedule_of(())
    job = await drawn(made, FEWEST - 1)
    assert await learnt.schedule(job) == prior
    await drawn(made, 1)
    made.clock.now += CACHED

    assert await learnt.schedule(job) == schedule_of([9.0] * FEWEST) != prior


async def test_a_schedule_is_read_again_after_ten_seconds(made: Served, learnt: Durations) -> None:
    job = await drawn(made, FEWEST)
    before = await learnt.schedule(job)
    await drawn(made, NEWEST, seconds=30.0, at=NOW + timedelta(seconds=1))
    made.clock.now += CACHED - MOMENT
    assert await learnt.schedule(job) == before
    made.clock.now += MOMENT

    assert await learnt.schedule(job) == schedule_of([30.0] * NEWEST) != before


async def test_the_newest_fifty_count(made: Served, learnt: Durations) -> None:
    await drawn(made, 2, seconds=60.0)
    job = await drawn(made, NEWEST - 1, at=NOW + timedelta(seconds=1))

    assert await learnt.schedule(job) == schedule_of([9.0] * (NEWEST - 1) + [60.0])


async def test_models_and_numbers_of_pictures_have_their_own_schedules(
    made: Served, learnt: Durations
) -> None:
    one = await drawn(made, FEWEST)
    two = await drawn(made, FEWEST, seconds=40.0, count=2)
    other = replace(one, request=replace(one.request, model="skills"))

    assert await learnt.schedule(one) == schedule_of([9.0] * FEWEST)
    assert await learnt.schedule(two) == schedule_of([40.0] * FEWEST)
    assert await learnt.schedule(other) == schedule_of(())


@pytest.mark.usefixtures("short_waits")
async def test_while_no_durations_can_be_read_the_known_schedule_holds(
    made: Served, learnt: Durations
) -> None:
    job = await drawn(made, FEWEST)
    fresh = Durations(made.services)
    known = await learnt.schedule(job)
    made.clock.now += CACHED
    async with unreadable(made.database):
        assert await learnt.schedule(job) == known
        assert await fresh.schedule(job) == schedule_of(())

    assert await fresh.schedule(job) == known  # the failed reading is not remembered
