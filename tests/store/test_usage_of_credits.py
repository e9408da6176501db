"""What a member has used, holds and has left: in a month, in an account, and what is reserved."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.ledger import Account, Cost, EntryKind, LedgerEntry, Usage
from bot.periods import Period, PeriodKind, month_of
from bot.quotas import Quotas
from bot.rights import Allowance, Policy, Rights
from bot.store import generations, holds, jobs, ledger, settlement
from bot.store.database import Database, Transaction
from bot.store.ledger import Reserved
from tests.support.books import picture
from tests.support.rights import add_grant
from tests.support.rows import NOW, add, new_job, one

ACCOUNT = Account(1, 10)  # of new_job
NOTHING = Usage(0, 0, 0, None, None, 0, 0, month_of(NOW).end)
DAY = timedelta(days=1)


async def usage(
    database: Database, account: Account = ACCOUNT, allowance: Allowance | None = None
) -> Usage:
    async with database.reading() as view:
        return await ledger.account_usage(view, account, allowance, (), NOW)


async def month(database: Database, allowance: int | None = None) -> Usage:
    async with database.reading() as view:
        return await ledger.usage_of(view, 1, NOW, allowance)


async def paid(database: Database, cost: int, **new: int) -> None:
    job = await one(database, new_job(**new))  # type: ignore[arg-type]
    async with database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        await settlement.succeed(
            tx, job, NOW, cost=Cost(cost), pictures=[picture(1), picture(2)], ends={}
        )


async def given_up(
    tx: Transaction, at: timedelta = timedelta(0), *, at_request: datetime = NOW, **new: int
) -> Job:
    """Store a job of two generations that was given up some time after NOW."""
    asked = new_job(price=15_000, count=2, at=at_request, **new)  # type: ignore[arg-type]
    job = await add(tx, asked)
    await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
    await jobs.start_running(tx, job.id, NOW)
    await generations.add(tx, job.id, "oxen", [f"a-{job.id}", f"b-{job.id}"])
    return await settlement.fail(tx, job.id, NOW + at, reason=Reason.TIMEOUT)


async def test_who_has_requested_nothing_has_used_nothing(database: Database) -> None:
    assert await usage(database) == await month(database) == NOTHING
    limited = await usage(database, allowance=Allowance(amount=500))
    assert limited == replace(NOTHING, left=500, allowance=500)
    assert (await month(database, 500)).left == 500
    async with database.reading() as view:
        assert await ledger.grants_left(view, ACCOUNT) == 0
        assert await ledger.spent(view, "bot", month_of(NOW)) == 0


@pytest.mark.parametrize("amount", [1, 2])
async def test_the_smallest_grant_counts(database: Database, amount: int) -> None:
    async with database.transaction() as tx:
        await add_grant(tx, ACCOUNT, amount, NOW)
    found = await usage(database, allowance=Allowance(amount=500))

    assert (found.granted, found.left) == (amount, 500 + amount)


async def test_an_account_has_its_own_jobs_alone_and_a_month_those_of_each_server(
    database: Database,
) -> None:
    await paid(database, 9_000)
    await paid(database, 400, server_id=11)
    await paid(database, 70, user_id=2)
    await one(database, new_job(price=600))
    await one(database, new_job(price=50, server_id=11))
    allowance = Allowance(amount=20_000)

    here = await usage(database, allowance=allowance)
    there = await usage(database, Account(1, 11), allowance)
    everywhere = await month(database, 20_000)

    assert (here.used, here.held, here.jobs, here.pictures, here.left) == (9_000, 600, 2, 2, 10_400)
    assert (there.used, there.held, there.jobs, there.pictures) == (400, 50, 2, 2)
    assert there.left == 19_550
    assert (everywhere.used, everywhere.held, everywhere.jobs) == (9_400, 650, 4)
    assert (everywhere.pictures, everywhere.left) == (4, 9_950)


async def test_grants_are_no_use_and_lengthen_only_the_allowance_of_their_account(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        await add_grant(tx, ACCOUNT, 3_000, NOW)
        loss = LedgerEntry(ACCOUNT, EntryKind.LOSS, -40, NOW, NOW, reason="a")
        await ledger.append(tx, loss)
    here = await usage(database, allowance=Allowance(amount=500))
    there = await usage(database, Account(1, 11), Allowance(amount=500))

    assert (here.used, here.granted, here.left) == (0, 3_000, 3_460)
    assert (there.granted, there.left) == (0, 500)
    assert (await month(database, 500)).left == 460


async def test_what_grants_pay_is_taken_from_them_and_not_from_the_allowance_too(
    database: Database,
) -> None:
    allowance = Allowance(amount=2_500)
    policy = Policy(rights=Rights(allowance=allowance))
    async with database.transaction() as tx:
        await add_grant(tx, ACCOUNT, 10_000, NOW)
        job = await jobs.add(tx, replace(new_job(), allowance=allowance))
        assert (await holds.hold(tx, job, Quotas(), policy)).job.granted == 5_000
    here = await usage(database, allowance=allowance)

    assert (here.held, here.granted, here.left) == (7_500, 5_000, 5_000)
    assert (await month(database, 10_000)).left == 2_500


async def test_an_allowance_has_the_use_of_its_period(database: Database) -> None:
    await paid(database, 9_000)
    async with database.transaction() as tx:
        await add(tx, new_job(price=600, at=NOW - DAY))
    daily = await usage(database, allowance=Allowance(amount=500, period=PeriodKind.DAY))
    unlimited = await usage(database, allowance=Allowance(amount=None, period=PeriodKind.DAY))

    assert (daily.held, daily.left, daily.resets_at) == (0, -8_500, NOW + DAY / 2)
    assert (unlimited.left, unlimited.allowance, unlimited.resets_at) == (None, None, NOW + DAY / 2)
    assert (await usage(database)).held == 600  # of the month, without an allowance


# What is reserved


async def test_each_open_generation_reserves_its_part_for_a_day(database: Database) -> None:
    async with database.transaction() as tx:
        job = await given_up(tx)
        later = await given_up(tx, timedelta(hours=1))
        made = await generations.of_job(tx, job.id)
        await generations.end(tx, made[0].id, JobStatus.FAILED)

        today = Period(NOW - DAY, NOW + DAY)
        last = timedelta(microseconds=1)
        assert await ledger.reserved_of(tx, today, NOW) == Reserved(
            22_500, later.settled_at and later.settled_at + DAY
        )
        assert (await ledger.reserved_of(tx, today, NOW + DAY - last)).amount == 22_500
        assert (await ledger.reserved_of(tx, today, NOW + DAY)).amount == 15_000
        assert await ledger.reserved_of(tx, today, NOW + DAY + timedelta(hours=1)) == Reserved()


async def test_what_is_reserved_is_for_one_member_and_one_account(database: Database) -> None:
    async with database.transaction() as tx:
        await given_up(tx)
        await given_up(tx, user_id=2)
        await given_up(tx, server_id=11)
        month_ = month_of(NOW)

        assert (await ledger.reserved_of(tx, month_, NOW)).amount == 45_000
        assert (await ledger.reserved_of(tx, month_, NOW, user_id=1)).amount == 30_000
        here = await ledger.reserved_of(tx, month_, NOW, user_id=1, server_id=10)
        assert (here.amount, here.until, here.granted) == (15_000, NOW + DAY, 0)
        assert await ledger.reserved_of(tx, month_, NOW, user_id=3) == Reserved()
    found = await usage(database, allowance=Allowance(amount=50_000))
    assert (found.reserved, found.reserved_until, found.left) == (15_000, NOW + DAY, 35_000)


async def test_an_allowance_pays_in_its_own_period_what_is_made_after_the_time_out(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        await given_up(tx, at_request=NOW - DAY)
    daily = Allowance(amount=20_000, period=PeriodKind.DAY)
    today = await usage(database, allowance=daily)
    async with database.reading() as view:
        yesterday = await ledger.account_usage(view, ACCOUNT, daily, (), NOW - DAY)

    assert (today.reserved, today.left) == (0, 20_000)
    assert (yesterday.reserved, yesterday.left) == (15_000, 5_000)


# Entries


@pytest.mark.parametrize("page", [1, 2, 5, 1000])
async def test_all_entries_are_read_once_in_order(database: Database, page: int) -> None:
    written = [
        LedgerEntry(
            *(Account(number, 10), EntryKind.ADJUSTMENT, -number, NOW, NOW + number * DAY),
            reason=f"fee {number}",
            details={"usd": "1"} if number % 2 else {},
        )
        for number in range(1, 6)
    ]
    async with database.transaction() as tx:
        await ledger.append(tx, *written)
    async with database.reading() as view:
        found = [each async for each in ledger.all_entries(view, page=page)]

    assert [entry for _, entry in found] == written
    assert [number for number, _ in found] == sorted({number for number, _ in found})
