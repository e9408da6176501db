"""What grants pay of a picture that is made after the time-out is reserved until then."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.jobs import Generation, Job, JobStatus
from bot.ledger import Account, EntryKind
from bot.periods import Period, PeriodKind
from bot.quotas import NotEnoughCredits, Quotas
from bot.rights import Allowance, Policy, Rights
from bot.store import generations, holds, jobs, ledger, settlement
from bot.store.database import Database, Transaction
from tests.support.books import picture
from tests.support.rights import add_grant
from tests.support.rows import NOW, new_job

LATER = NOW + timedelta(minutes=30)
ACCOUNT = Account(1, 10)  # of new_job
ALLOWANCE = Allowance(amount=15_000, period=PeriodKind.DAY)
POLICY = Policy(rights=Rights(allowance=ALLOWANCE))


async def request(database: Database, *, price: int, days: float = 0, count: int = 1) -> Job:
    """Hold a price some days after NOW."""

    async def place(tx: Transaction) -> Job:
        new = new_job(price=price, at=NOW + timedelta(days=days), count=count)
        job = await jobs.add(tx, replace(new, allowance=ALLOWANCE))
        return (await holds.hold(tx, job, Quotas(), POLICY)).job

    return await database.run(place)


async def half_made(database: Database) -> tuple[Job, Sequence[Generation]]:
    """Return a job, of which grants pay half, with two pictures and two generations still open."""
    async with database.transaction() as tx:
        await add_grant(tx, ACCOUNT, 15_000, NOW)
    job = await request(database, price=30_000, count=4)
    async with database.transaction() as tx:
        await jobs.confirm_reply(tx, job.id, 40)
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
        running = await jobs.start_running(tx, job.id, NOW)
        made = await generations.add(tx, job.id, "oxen", [f"remote-{each}" for each in range(4)])
        ends = {each.id: JobStatus.SUCCEEDED for each in made[:2]}
        pictures = [picture(1), picture(2)]
        settled = await settlement.succeed(
            tx, running, LATER, cost=None, pictures=pictures, ends=ends
        )
    return settled, made[2:]


async def charge(database: Database, job: Job, made: Sequence[Generation]) -> None:
    async with database.transaction() as tx:
        await settlement.charge_overdue(
            tx,
            job,
            LATER + timedelta(minutes=1),
            cost=None,
            pictures=[picture(3), picture(4)],
            generations=made,
        )


async def test_grants_are_reserved_for_pictures_that_only_grants_will_pay(
    database: Database,
) -> None:
    """The allowance has paid the pictures that were made, and is used up by them."""
    job, still_open = await half_made(database)
    with pytest.raises(NotEnoughCredits):
        await request(database, price=15_001, days=0.9)
    await request(database, price=15_000, days=0.9)  # of the next day's allowance
    await charge(database, job, still_open)
    async with database.reading() as view:
        assert await ledger.grants_left(view, ACCOUNT) == 0


async def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(
    database: Database,
) -> None:
    await half_made(database)  # requested at NOW
    day = timedelta(days=1)
    async with database.reading() as view:
        of_today = await ledger.reserved_of(view, Period(NOW, NOW + day), LATER)
        of_yesterday = await ledger.reserved_of(view, Period(NOW - day, NOW), LATER)
        here = await ledger.reserved_of(
            view, Period(NOW - day, NOW), LATER, user_id=1, server_id=10
        )
    assert (of_today.amount, of_yesterday.amount) == (15_000, 0)
    # Grants are of no period: what they will pay is reserved in each.
    assert (of_today.granted, here.granted, here.amount) == (0, 15_000, 15_000)


async def test_usage_reserves_what_grants_will_pay_in_a_later_period(database: Database) -> None:
    await half_made(database)
    tomorrow = NOW + timedelta(days=0.9)
    async with database.reading() as view:
        usage = await ledger.account_usage(view, ACCOUNT, ALLOWANCE, (), tomorrow)
    assert (usage.reserved, usage.left) == (15_000, 15_000)


async def test_a_debt_of_grants_does_not_shorten_each_later_allowance(database: Database) -> None:
    """Grants are below zero if a charge that nothing was reserved for was paid from them."""
    async with database.transaction() as tx:
        job = await jobs.add(tx, new_job(price=0))
        debt = ledger.entry_of(job, EntryKind.CAPTURE, -5_000, NOW, granted=-5_000)
        await ledger.append(tx, debt)
    await request(database, price=15_000, days=1)
    async with database.reading() as view:
        usage = await ledger.account_usage(view, ACCOUNT, ALLOWANCE, (), NOW + timedelta(days=2))
    assert usage.left == 15_000
