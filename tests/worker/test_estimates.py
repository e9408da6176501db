"""The usual time of a job: which jobs count, how long an estimate holds, and when there is none."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from bot.delivery import Usual
from bot.jobs import Job, JobStatus
from bot.store import jobs
from bot.store.tables import jobs as table
from bot.worker.estimates import CACHED, CACHED_WITHOUT, FEWEST, TIMES, TIMES_OF, Estimates
from tests.support.parts import Served, unreadable
from tests.support.rows import NOW, new_job

MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def estimates(made: Served) -> Estimates:
    return Estimates(made.services)


def taking(seconds: float) -> Usual:
    return Usual(timedelta(seconds=seconds), timedelta(seconds=seconds))


async def drawn(
    made: Served, number: int, *, seconds: float = 9.0, count: int = 1, at: datetime = NOW
) -> Job:
    """Store jobs that were settled at this time, so long after they began to run."""
    async with made.database.transaction() as tx:
        for _ in range(number):
            job = await jobs.add(tx, new_job(at=at, count=count))
        begun = at - timedelta(seconds=seconds)
        await tx.execute(
            update(table)
            .where(table.c.status == JobStatus.QUEUED)
            .values(status=JobStatus.SUCCEEDED, settled_at=at, running_at=begun)
        )
    return job


async def test_an_estimate_holds_for_a_minute(made: Served, estimates: Estimates) -> None:
    job = await drawn(made, FEWEST)
    assert await estimates.usual(job) == taking(9)
    await drawn(made, TIMES, seconds=30.0, at=NOW + timedelta(seconds=1))
    made.clock.now += CACHED - MOMENT
    assert await estimates.usual(job) == taking(9)
    made.clock.now += MOMENT

    assert await estimates.usual(job) == taking(30)


async def test_a_model_without_an_estimate_is_looked_at_every_two_seconds(
    made: Served, estimates: Estimates
) -> None:
    """Its next job may bring one."""
    job = await drawn(made, FEWEST - 1)
    assert await estimates.usual(job) is None
    await drawn(made, 1)
    made.clock.now += timedelta(seconds=2) - MOMENT
    assert await estimates.usual(job) is None
    made.clock.now += MOMENT

    assert await estimates.usual(job) == taking(9)
    assert timedelta(seconds=2) == CACHED_WITHOUT


async def test_an_estimate_of_one_kind_holds_for_a_minute_without_the_other(
    made: Served, estimates: Estimates
) -> None:
    two = await drawn(made, FEWEST, count=2)
    one = await drawn(made, FEWEST - 1)
    assert (await estimates.usual(one), await estimates.usual(two)) == (None, taking(9))
    await drawn(made, 1)
    made.clock.now += CACHED - MOMENT
    assert await estimates.usual(one) is None
    made.clock.now += MOMENT

    assert await estimates.usual(one) == taking(9)


async def test_one_picture_and_several_are_counted_separately(
    made: Served, estimates: Estimates
) -> None:
    one = await drawn(made, FEWEST, seconds=5.0)
    two = await drawn(made, FEWEST, seconds=20.0, count=2)
    four = await drawn(made, 1, seconds=20.0, count=4)

    assert await estimates.usual(one) == taking(5)
    assert await estimates.usual(two) == await estimates.usual(four) == taking(20)
    other = replace(one, request=replace(one.request, model="skills"))
    assert await estimates.usual(other) is None


async def test_fifty_of_each_kind_count(made: Served, estimates: Estimates) -> None:
    """The reading has both kinds together."""
    await drawn(made, TIMES, seconds=60.0)
    two = await drawn(made, TIMES, seconds=20.0, count=2, at=NOW + timedelta(seconds=1))
    one = await drawn(made, TIMES, seconds=5.0, at=NOW + timedelta(seconds=2))

    assert await estimates.usual(one) == taking(5)
    assert await estimates.usual(two) == taking(20)


async def test_jobs_of_thirty_days_count(made: Served, estimates: Estimates) -> None:
    await drawn(made, FEWEST - 1)
    job = await drawn(made, 1, at=NOW - TIMES_OF)
    assert await estimates.usual(job) is None
    await drawn(made, 1, at=NOW - TIMES_OF + timedelta(seconds=3))
    made.clock.now += CACHED_WITHOUT

    assert await estimates.usual(job) == taking(9)


@pytest.mark.usefixtures("short_waits")
async def test_while_no_times_can_be_read_none_are_shown(
    made: Served, estimates: Estimates
) -> None:
    job = await drawn(made, FEWEST)
    async with unreadable(made.database):
        assert await estimates.usual(job) is None

    assert await estimates.usual(job) == taking(9)
