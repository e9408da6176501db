"""The use of credits by model and by day, and what is left after a job."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from bot.jobs import Job, JobStatus, NewJob, Picture, PictureKind
from bot.ledger import Account, Cost, EntryKind, LedgerEntry
from bot.periods import Period, PeriodKind
from bot.quotas import Quotas
from bot.rights import Allowance
from bot.store import jobs, ledger, settlement, usage
from bot.store.database import Database
from bot.store.usage import ModelUse
from tests.support.rows import NOW, add, new_job, one

BOTH = [Picture(letter * 64, PictureKind.PNG, 9, 1, 1) for letter in "ab"]
LONG = Period(NOW - timedelta(days=400), NOW + timedelta(days=1))


async def paid(database: Database, cost: int, new: NewJob | None = None) -> Job:
    """Store a job that has succeeded with two pictures."""
    job = await one(database, new)
    async with database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        return await settlement.succeed(tx, job, NOW, cost=Cost(cost), pictures=BOTH, ends={})


async def by_day(
    database: Database, zone: str, now: datetime, count: int, server_id: int | None = None
) -> list[tuple[date, int]]:
    days = usage.last_days(count, zone, now)
    async with database.reading() as view:
        return await usage.by_day(view, 1, server_id, days)


async def test_a_day_has_what_its_jobs_have_cost_by_the_time_of_the_request(
    database: Database,
) -> None:
    await paid(database, 9000)
    await paid(database, 1000, new_job(at=NOW - timedelta(days=1)))
    await paid(database, 500, new_job(at=NOW - timedelta(days=1), server_id=0))
    await paid(database, 7, new_job(at=NOW - timedelta(days=3)))  # before the first day
    await paid(database, 70, new_job(user_id=2))
    await one(database)  # held only

    everywhere = await by_day(database, "UTC", NOW, 3)
    here = await by_day(database, "UTC", NOW, 3, server_id=10)

    assert [amount for _, amount in everywhere] == [0, 1500, 9000]
    assert [amount for _, amount in here] == [0, 1000, 9000]
    assert [day for day, _ in here] == [date(2026, 11, day) for day in (19, 20, 21)]


async def test_losses_and_grants_are_no_use_and_corrections_are(database: Database) -> None:
    job = await paid(database, 9000)
    grant = LedgerEntry(Account(1, 10), EntryKind.GRANT, 5000, NOW, NOW, granted=5000)
    loss = ledger.entry_of(job, EntryKind.LOSS, -700, NOW, reason="a")
    less = ledger.entry_of(job, EntryKind.ADJUSTMENT, 2000, NOW, reason="b")
    async with database.transaction() as tx:
        await ledger.append(tx, grant, loss, less)

    assert [amount for _, amount in await by_day(database, "UTC", NOW, 1)] == [7000]


@pytest.mark.parametrize(
    ("zone", "moment", "dates"),
    [
        ("Asia/Tokyo", datetime(2026, 11, 20, 15, tzinfo=UTC), (20, 21)),
        ("America/New_York", datetime(2026, 11, 21, 4, 59, tzinfo=UTC), (19, 20)),
    ],
)
async def test_a_day_begins_at_midnight_of_the_time_zone(
    database: Database, zone: str, moment: datetime, dates: tuple[int, int]
) -> None:
    await paid(database, 9000, new_job(at=moment))
    await paid(database, 100, new_job(at=moment - timedelta(hours=24)))

    found = await by_day(database, zone, moment, 2)

    assert found == [(date(2026, 11, dates[0]), 100), (date(2026, 11, dates[1]), 9000)]


@pytest.mark.parametrize(
    ("zone", "now"),
    [
        ("Europe/Berlin", datetime(2026, 11, 5, 12, tzinfo=UTC)),  # a day of 25 hours
        ("Europe/Berlin", datetime(2026, 4, 10, 12, tzinfo=UTC)),  # of 23
        ("America/Santiago", datetime(2026, 9, 20, 12, tzinfo=UTC)),  # without midnight
        ("Africa/Cairo", datetime(2026, 5, 10, 12, tzinfo=UTC)),  # the same
        ("Australia/Lord_Howe", datetime(2026, 10, 10, 12, tzinfo=UTC)),  # of 23 and a half
    ],
)
def test_the_days_follow_one_another_over_a_change_of_the_clock(zone: str, now: datetime) -> None:
    days = usage.last_days(30, zone, now)

    assert len(days) == 30
    for one_day, next_day in pairwise(days):
        assert one_day.period.end == next_day.period.begin
        assert next_day.date - one_day.date == timedelta(days=1)
    assert days[-1].period.begin <= now < days[-1].period.end
    assert len({each.period.end - each.period.begin for each in days}) == 2


async def test_models_have_their_jobs_pictures_and_credits(database: Database) -> None:
    at_skills = new_job()
    at_skills = replace(at_skills, request=replace(at_skills.request, model="skills"))
    await paid(database, 20_000, at_skills)
    await paid(database, 7500)
    canceled = await one(database)
    await paid(database, 500, new_job(server_id=0))
    await paid(database, 70, new_job(user_id=2))
    await paid(database, 70, new_job(at=LONG.begin - timedelta(seconds=1)))
    async with database.transaction() as tx:
        await settlement.cancel(tx, canceled.id, NOW)
    async with database.reading() as view:
        here = await usage.by_model(view, 1, 10, LONG)
        everywhere = await usage.by_model(view, 1, None, LONG)

    assert here == [ModelUse("skills", 1, 2, 20_000), ModelUse("oxen", 2, 2, 7500)]
    assert everywhere == [ModelUse("skills", 1, 2, 20_000), ModelUse("oxen", 3, 4, 8000)]


async def test_models_are_in_the_order_of_use_of_jobs_and_of_their_names(
    database: Database,
) -> None:
    async def of_model(model: str, cost: int | None) -> None:
        new = new_job()
        new = replace(new, request=replace(new.request, model=model))
        if cost is None:
            async with database.transaction() as tx:
                await settlement.cancel(tx, (await add(tx, new)).id, NOW)
        else:
            await paid(database, cost, new)

    for model, costs in (
        ("b", [100]),
        ("a", [100]),
        ("twice", [60, 40]),
        ("canceled", [None]),
        ("dear", [101]),
    ):
        for cost in costs:
            await of_model(model, cost)
    async with database.reading() as view:
        found = await usage.by_model(view, 1, 10, LONG)

    assert found == [
        ModelUse("dear", 1, 2, 101),
        ModelUse("twice", 2, 4, 100),
        ModelUse("a", 1, 2, 100),
        ModelUse("b", 1, 2, 100),
        ModelUse("canceled", 1, 0, 0),
    ]


@pytest.mark.parametrize(
    ("here", "month", "left"),
    [
        (None, None, None),
        (20_000, None, 11_000),
        (None, 10_000, 500),
        (20_000, 100_000, 11_000),
        (20_000, 10_000, 500),
        (5000, None, -4000),
    ],
)
async def test_what_is_left_is_the_smallest_rest(
    database: Database, here: int | None, month: int | None, left: int | None
) -> None:
    job = await paid(database, 9000)
    await paid(database, 500, new_job(server_id=0))
    allowance = None if here is None else Allowance(amount=here, period=PeriodKind.WEEK)
    async with database.reading() as view:
        found = await usage.left_after(
            view, replace(job, allowance=allowance), Quotas(allowance=month), NOW
        )

    assert found == left


async def test_an_unlimited_allowance_leaves_the_month_alone(database: Database) -> None:
    job = replace(await paid(database, 9000), allowance=Allowance(amount=None))
    async with database.reading() as view:
        assert await usage.left_after(view, job, Quotas(), NOW) is None
        assert await usage.left_after(view, job, Quotas(allowance=10_000), NOW) == 1000


def test_days_of_a_zone_that_the_machine_does_not_know_are_those_of_utc() -> None:
    """Time zone data differ between machines; allowances take UTC for such a zone, too."""
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert usage.last_days(3, "Mars/Base", now) == usage.last_days(3, "UTC", now)
