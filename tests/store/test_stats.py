"""Figures over many rows, compared with sums that are made by hand."""

from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.ledger import Cost
from bot.store import jobs, settlement, stats
from bot.store.database import Database, Transaction
from bot.store.stats import Figures
from bot.store.tables import job_pictures
from tests.support.books import picture
from tests.support.rows import NOW, add, new_job

MINUTE = timedelta(minutes=1)


async def succeeded(
    tx: Transaction, cost: int | None, pictures: int = 1, *, at: timedelta = timedelta(0)
) -> None:
    """Store a success that was settled so long after NOW."""
    job = await add(tx, new_job(at=NOW - timedelta(days=40), count=max(pictures, 1)))
    await jobs.move(tx, job.id, JobStatus.SUBMITTING)
    await settlement.succeed(
        *(tx, job, NOW + at),
        cost=None if cost is None else Cost(cost),
        pictures=[picture(number) for number in range(max(pictures, 1))],
        ends={},
    )
    if not pictures:  # a deletion has taken them away
        await tx.execute(job_pictures.delete())


async def test_a_database_without_jobs_has_no_figures(database: Database) -> None:
    async with database.reading() as view:
        assert await stats.figures_of(view, NOW) == Figures({}, None, None, 0, 0, 0, {})


async def test_figures_count_jobs_and_the_credits_of_the_month(database: Database) -> None:
    async with database.transaction() as tx:
        for number in (3, 1, 2):
            await add(tx, new_job(at=NOW + number * MINUTE))
        for number, cost in ((5, 9_000), (4, 500)):
            job = await add(tx, new_job())
            await jobs.move(tx, job.id, JobStatus.SUBMITTING)
            await settlement.succeed(
                tx, job, NOW + number * MINUTE, cost=Cost(cost), pictures=[picture(1)], ends={}
            )
        failed = await add(tx, new_job())
        lost = {"remote": Cost(70)}
        await settlement.fail(tx, failed.id, NOW, reason=Reason.TIMEOUT, losses=lost)
        await jobs.change(tx, failed.id, delivered_at=NOW)
        await succeeded(tx, 1_000, at=9 * MINUTE)  # requested in another month
    async with database.reading() as view:
        found = await stats.figures_of(view, NOW)

    assert found == Figures(
        jobs={
            (JobStatus.QUEUED, "oxen"): 3,
            (JobStatus.SUCCEEDED, "oxen"): 3,
            (JobStatus.FAILED, "oxen"): 1,
        },
        oldest_queued=NOW + MINUTE,
        oldest_undelivered=NOW + 4 * MINUTE,
        held=3 * 7_500,
        captured=9_500,
        lost=70,
        settled={"oxen": 10_500},
    )


async def test_models_without_a_settled_job_have_no_sum_of_costs(database: Database) -> None:
    async with database.transaction() as tx:
        await add(tx, new_job())
        canceled = await add(tx, new_job())
        await jobs.change(tx, canceled.id, model="skills")
        await settlement.cancel(tx, canceled.id, NOW)
    async with database.reading() as view:
        assert (await stats.figures_of(view, NOW)).settled == {"skills": 0}


@pytest.mark.parametrize(
    ("costs", "dearest"),
    [
        ([], 0),
        ([(7_500, 1)], 7_500),
        ([(10_000, 3)], 3_334),
        ([(9_000, 3)], 3_000),
        ([(500, 0)], 500),
        ([(6_000, 2), (3_001, 1), (100, 1)], 3_001),
        ([(None, 1)], 0),  # an estimate
    ],
)
async def test_the_dearest_picture_is_rounded_up(
    database: Database, costs: list[tuple[int | None, int]], dearest: int
) -> None:
    async with database.transaction() as tx:
        for cost, pictures in costs:
            await succeeded(tx, cost, pictures)
        found = await stats.dearest_picture(tx, "oxen", NOW - MINUTE, limit=9)

    assert found == dearest


async def test_only_the_newest_jobs_of_a_model_make_its_dearest_picture(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        for number, cost in enumerate((900, 800, 700)):
            await succeeded(tx, cost, at=number * MINUTE)

        assert await stats.dearest_picture(tx, "oxen", NOW - MINUTE, limit=3) == 900
        assert await stats.dearest_picture(tx, "oxen", NOW - MINUTE, limit=2) == 800
        assert await stats.dearest_picture(tx, "oxen", NOW, limit=3) == 800
        assert await stats.dearest_picture(tx, "skills", NOW - MINUTE, limit=3) == 0
