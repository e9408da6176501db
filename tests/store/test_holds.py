"""The hold of a request: every level of quotas, shares of grants, and warnings."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.errors import Reason, UserError
from bot.jobs import Job, NewJob
from bot.ledger import Account, AmountText
from bot.periods import PeriodKind, ZoneChange
from bot.quotas import (
    BudgetExhausted,
    NotEnoughCredits,
    ProviderBudgetExhausted,
    Quotas,
    ServerBudgetExhausted,
)
from bot.rights import Allowance, Policy, Rights, ServerSettings
from bot.store import holds, jobs, ledger, settlement
from bot.store.balances import Level
from bot.store.database import Database, Transaction
from bot.store.holds import Held, Warned
from tests.support.rights import add_grant
from tests.support.rows import NOW, new_job

ACCOUNT = Account(1, 10)  # of new_job
WEEK = PeriodKind.WEEK


def allowance(amount: int, period: PeriodKind = WEEK) -> Policy:
    return Policy(rights=Rights(allowance=Allowance(amount=amount, period=period)))


def budget(amount: int, period: PeriodKind = WEEK) -> Policy:
    return Policy(settings=ServerSettings(budget=Allowance(amount=amount, period=period)))


async def place(
    tx: Transaction, new: NewJob, policy: Policy | None = None, quotas: Quotas | None = None
) -> Held:
    policy = policy or Policy()
    job = await jobs.add(tx, replace(new, allowance=policy.rights.allowance))
    return await holds.hold(tx, job, quotas or Quotas(), policy)


async def held(
    database: Database,
    policy: Policy | None = None,
    quotas: Quotas | None = None,
    **new: Any,  # noqa: ANN401  # the arguments of new_job
) -> Held:
    return await database.run(lambda tx: place(tx, new_job(**new), policy, quotas))


async def grant(database: Database, amount: int, account: Account = ACCOUNT) -> None:
    async with database.transaction() as tx:
        await add_grant(tx, account, amount, NOW)


async def grants_left(database: Database) -> int:
    async with database.reading() as view:
        return await ledger.grants_left(view, ACCOUNT)


async def release(database: Database, job: Job) -> None:
    async with database.transaction() as tx:
        await settlement.fail(tx, job.id, NOW, reason=Reason.AWAY)


@pytest.mark.parametrize(
    ("policy", "quotas", "refusal"),
    [
        (allowance(14_999), {}, NotEnoughCredits),
        (None, {"allowance": 14_999}, NotEnoughCredits),
        (budget(14_999), {}, ServerBudgetExhausted),
        (None, {"provider_budgets": {"oxen": 14_999}}, ProviderBudgetExhausted),
        (None, {"budget": 14_999}, BudgetExhausted),
    ],
)
async def test_each_level_ends_a_hold_and_takes_its_job_back(
    database: Database,
    policy: Policy | None,
    quotas: Mapping[str, Any],
    refusal: type[UserError],
) -> None:
    await held(database, policy, Quotas(**quotas))
    with pytest.raises(refusal) as caught:
        await held(database, policy, Quotas(**quotas))

    assert caught.value.values["left"] == AmountText(7_499)
    await held(database, policy, Quotas(**quotas), price=7_499)


@pytest.mark.parametrize(
    ("limit", "other"),
    [
        (allowance(7_500), {"user_id": 2}),
        (allowance(7_500), {"server_id": 11}),
        (budget(7_500), {"server_id": 11}),
    ],
)
async def test_a_limit_of_a_server_is_for_one_account_or_one_server(
    database: Database, limit: Policy, other: Mapping[str, Any]
) -> None:
    await held(database, limit)
    with pytest.raises(UserError):
        await held(database, limit)
    await held(database, limit, **other)


async def test_grants_exceed_no_budget(database: Database) -> None:
    await grant(database, 1_000_000)
    for policy, quotas in (
        (budget(7_499), Quotas()),
        (allowance(0), Quotas(allowance=7_499)),
        (allowance(0), Quotas(budget=7_499)),
        (allowance(0), Quotas(provider_budgets={"oxen": 7_499})),
    ):
        with pytest.raises(UserError):
            await held(database, policy, quotas)
    await held(database, allowance(0))


async def test_shares_of_grants_follow_the_rest_of_the_allowance(database: Database) -> None:
    await grant(database, 10_000)
    policy = allowance(10_000)
    first = (await held(database, policy)).job  # 7.5 of 10
    second = (await held(database, policy)).job  # 2.5 of the allowance, 5 of the grant
    left = await grants_left(database)
    with pytest.raises(NotEnoughCredits) as caught:
        await held(database, policy)
    await release(database, second)
    third = (await held(database, policy, price=4_000)).job

    assert (first.granted, second.granted, third.granted) == (0, 5_000, 1_500)
    assert left == 5_000
    assert caught.value.values["left"] == AmountText(5_000)


async def test_a_grant_is_untouched_without_an_allowance(database: Database) -> None:
    await grant(database, 10_000)
    job = (await held(database)).job

    assert job.granted == 0
    assert await grants_left(database) == 10_000


async def test_a_grant_is_for_one_account(database: Database) -> None:
    await grant(database, 10_000, Account(1, 11))
    await grant(database, 10_000, Account(2, 10))
    with pytest.raises(NotEnoughCredits):
        await held(database, allowance(0))


async def test_a_grant_lasts_into_later_periods(database: Database) -> None:
    await grant(database, 10_000)
    policy = allowance(5_000)
    await held(database, policy)
    later = NOW + timedelta(days=400)
    job = (await held(database, policy, at=later, price=12_500)).job

    assert job.granted == 7_500
    assert await grants_left(database) == 0


async def test_the_day_of_a_clock_change_has_one_allowance(database: Database) -> None:
    zones = (ZoneChange(datetime(2026, 1, 1, tzinfo=UTC), "Europe/Berlin"),)
    daily = allowance(7_500, PeriodKind.DAY)
    policy = Policy(settings=ServerSettings(zones=zones), rights=daily.rights)
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)  # a day of 25 hours
    await held(database, policy, at=begin)
    with pytest.raises(NotEnoughCredits) as caught:
        await held(database, policy, at=begin + timedelta(hours=24, minutes=59))
    await held(database, policy, at=begin + timedelta(hours=25))
    await held(database, policy, at=begin - timedelta(microseconds=1))

    assert caught.value.values["time"] == (begin + timedelta(hours=25)).timestamp()


# Warnings


def given(*several: Held) -> list[tuple[Level, int]]:
    """Return the warnings' levels, and what is left after their holds."""
    return [(each.level, each.sum.left) for held in several for each in held.warnings]


async def test_four_fifths_of_a_limit_warn_once_in_its_period(database: Database) -> None:
    policy = allowance(10_000)
    just_below = await held(database, policy, price=7_999)
    reached = await held(database, policy, price=1)
    again = await held(database, policy, price=1)
    next_week = await held(database, policy, at=NOW + timedelta(days=7), price=9_000)
    (warned,) = reached.warnings

    assert given(just_below, again) == []
    assert given(reached, next_week) == [(Level.MEMBER, 2_000), (Level.MEMBER, 1_000)]
    assert isinstance(warned, Warned)
    assert warned.period.begin <= NOW < warned.period.end == warned.sum.resets_at


async def test_a_release_brings_no_second_warning(database: Database) -> None:
    policy = budget(10_000)
    first = await held(database, policy, price=9_000)
    await release(database, first.job)
    second = await held(database, policy, price=9_000)

    assert given(first, second) == [(Level.SERVER, 1_000)]


async def test_a_refused_hold_gives_no_warning_away(database: Database) -> None:
    quotas = Quotas(budget=10_000, allowance=8_000)  # of each member
    with pytest.raises(NotEnoughCredits):
        await held(database, None, quotas, price=9_000)
    warned = await held(database, None, quotas, price=8_000)

    assert given(warned) == [(Level.MONTH, 0), (Level.BOT, 2_000)]


async def test_each_scope_warns_for_itself(database: Database) -> None:
    policy = allowance(10_000)
    found = [
        await held(database, policy, price=9_000, user_id=user, server_id=server)
        for user, server in ((1, 10), (2, 10), (1, 11))
    ]

    assert given(*found) == [(Level.MEMBER, 1_000)] * 3


async def test_grants_put_the_warning_of_an_allowance_off(database: Database) -> None:
    await grant(database, 10_000)
    policy = allowance(10_000)
    first = await held(database, policy, price=9_000)
    second = await held(database, policy, price=9_000)

    assert given(first, second) == [(Level.MEMBER, 2_000)]


async def test_parallel_holds_warn_once(database: Database) -> None:
    quotas = Quotas(budget=100_000)
    found = await asyncio.gather(
        *(held(database, None, quotas, user_id=user, price=10_000) for user in range(10))
    )

    assert [level for level, _ in given(*found)] == [Level.BOT]


async def test_none_at_all_gives_no_warning(database: Database) -> None:
    await grant(database, 10_000)

    assert given(await held(database, allowance(0))) == []
