"""What is reserved, on each level of quotas, for a job that was given up and may be charged."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.ledger import Account, Cost
from bot.periods import Period, PeriodKind, month_of
from bot.quotas import CooldownLasts, NotEnough, Quotas, TooManyJobsHere
from bot.rights import Allowance, Policy, Rights, ServerSettings
from bot.store import balances, generations, holds, jobs, settlement
from bot.store.balances import Level
from bot.store.database import Database, Transaction
from bot.store.holds import Held
from tests.support.books import picture
from tests.support.rights import add_grant
from tests.support.rows import NOW, add, new_job

ACCOUNT = Account(1, 10)  # of new_job
MOMENT = timedelta(microseconds=1)
A_DAY = timedelta(hours=24)  # for which a price is reserved
# A third of 10.001, of one of three generations: the reserved amount.
PRICE, RESERVED = 10_001, 3_333
MONTHLY = Allowance(amount=20_000)


async def given_up(database: Database, *, still_open: int = 1) -> Job:
    """Store a job that failed at NOW: some of its three generations are still open."""
    async with database.transaction() as tx:
        job = await add(tx, new_job(price=PRICE, count=3))
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
        await jobs.start_running(tx, job.id, NOW)
        made = await generations.add(tx, job.id, "oxen", ["1", "2", "3"])
        ends = {each.id: JobStatus.FAILED for each in made[still_open:]}
        return await settlement.fail(tx, job.id, NOW, reason=Reason.TIMEOUT, ends=ends)


async def held(
    database: Database,
    price: int,
    policy: Policy | None = None,
    quotas: Quotas | None = None,
    **new: Any,  # noqa: ANN401  # the arguments of new_job
) -> Held:
    async def place(tx: Transaction) -> Held:
        given = policy or Policy()
        created = replace(new_job(price=price, **new), allowance=given.rights.allowance)
        return await holds.hold(tx, await jobs.add(tx, created), quotas or Quotas(), given)

    return await database.run(place)


OF_MEMBER = Policy(rights=Rights(allowance=MONTHLY))
OF_SERVER = Policy(settings=ServerSettings(budget=MONTHLY))


@pytest.mark.parametrize(
    ("policy", "quotas", "others"),
    [
        (OF_MEMBER, {}, [{"user_id": 2}, {"server_id": 11}]),
        (None, {"allowance": 20_000}, [{"user_id": 2}]),
        (OF_SERVER, {}, [{"server_id": 11}]),
        (None, {"provider_budgets": {"oxen": 20_000}}, []),
        (None, {"budget": 20_000}, []),
    ],
    ids=["member", "month", "server", "provider", "bot"],
)
async def test_each_level_reserves_the_share_of_the_open_generations(
    database: Database,
    policy: Policy | None,
    quotas: Mapping[str, Any],
    others: list[Mapping[str, Any]],
) -> None:
    await given_up(database)
    rest, limits = 20_000 - RESERVED, Quotas(**quotas)
    with pytest.raises(NotEnough):
        await held(database, rest + 1, policy, limits, at=NOW + A_DAY - MOMENT)
    for other in others:
        await held(database, 20_000, policy, limits, **other)
    await held(database, rest, policy, limits, at=NOW + A_DAY - MOMENT)


async def test_nothing_is_reserved_for_longer_than_a_day(database: Database) -> None:
    await given_up(database)

    await held(database, 20_000, OF_SERVER, at=NOW + A_DAY)


@pytest.mark.parametrize(("still_open", "reserved"), [(0, 0), (1, 3_333), (2, 6_667), (3, 10_001)])
async def test_each_open_generation_has_its_share_of_the_price(
    database: Database, still_open: int, reserved: int
) -> None:
    await given_up(database, still_open=still_open)
    async with database.reading() as view:
        month = month_of(NOW)
        used = await balances.used_in_server(view, 10, month, NOW)
        elsewhere = await balances.used_in_server(view, 11, month, NOW)
        before = await balances.used_in_server(view, 10, Period(month.begin, NOW), NOW)

    assert (used, elsewhere, before) == (reserved, 0, 0)


async def test_the_budget_of_a_server_has_used_what_is_held_and_what_is_reserved(
    database: Database,
) -> None:
    await given_up(database)
    await held(database, 500)
    async with database.reading() as view:
        month = month_of(NOW)
        at_the_end = await balances.used_in_server(view, 10, month, NOW + A_DAY - MOMENT)
        after = await balances.used_in_server(view, 10, month, NOW + A_DAY)

    assert (at_the_end, after) == (RESERVED + 500, 500)


async def test_a_grant_of_a_thousandth_pays_its_thousandth(database: Database) -> None:
    policy = Policy(rights=Rights(allowance=Allowance(amount=7_499, period=PeriodKind.WEEK)))
    with pytest.raises(NotEnough):
        await held(database, 7_500, policy)
    async with database.transaction() as tx:
        await add_grant(tx, ACCOUNT, 1, NOW)

    assert (await held(database, 7_500, policy)).job.granted == 1


async def test_only_what_grants_have_not_paid_yet_is_reserved_of_them(database: Database) -> None:
    """Of 9, the allowance pays 4 and grants pay 5. A third has cost 6, so that 2 are paid."""
    allowance = Allowance(amount=4_000)
    policy = Policy(rights=Rights(allowance=allowance))
    async with database.transaction() as tx:
        await add_grant(tx, ACCOUNT, 5_000, NOW)
    job = (await held(database, 9_000, policy, count=3)).job
    async with database.transaction() as tx:
        await jobs.confirm_reply(tx, job.id, 40)
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
        running = await jobs.start_running(tx, job.id, NOW)
        first, *others = await generations.add(tx, job.id, "oxen", ["1", "2", "3"])
        ends = {each.id: JobStatus.SUCCEEDED for each in (first, *others[:1])}
        cost = Cost(6_000, {"usd": "0.06"})
        await settlement.succeed(tx, running, NOW, cost=cost, pictures=[picture(1)], ends=ends)
    levels = frozenset({Level.MEMBER, Level.GRANTS})
    month = month_of(NOW)
    async with database.reading() as view:
        values = {
            **{"user": 1, "pseudonym": 1, "server": 10, "reserved_since": NOW - A_DAY},
            **{"member_begin": month.begin, "member_end": month.end},
        }
        found = (await view.execute(balances.figures(levels, frozenset()), values)).one()

    # Of the grants 2 are used and 3 are reserved, and of the allowance nothing is left to reserve.
    assert (found.grants, found.member) == (0, -4_000)


async def test_the_newest_request_and_the_active_jobs_are_counted_in_a_server(
    database: Database,
) -> None:
    policy = Policy(rights=Rights(jobs=2, cooldown=60))
    await held(database, 1, policy)
    with pytest.raises(CooldownLasts):
        await held(database, 1, policy, at=NOW + timedelta(seconds=60) - MOMENT)
    await held(database, 1, policy, server_id=11)
    await held(database, 1, policy, user_id=2)
    await held(database, 1, policy, at=NOW + timedelta(seconds=60))
    with pytest.raises(TooManyJobsHere):
        await held(database, 1, policy, at=NOW + timedelta(seconds=120))
