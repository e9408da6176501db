"""The hold of a request: every level of quotas, and shares of grants."""

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
    CooldownLasts,
    NotEnoughCredits,
    ProviderBudgetExhausted,
    Quotas,
    ServerBudgetExhausted,
    TooManyJobs,
    TooManyJobsHere,
)
from bot.rights import Allowance, Policy, Rights, ServerSettings
from bot.store import holds, jobs, ledger, settlement
from bot.store.database import Database, Transaction
from bot.store.holds import Held
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


@pytest.mark.parametrize(
    ("amount", "count", "renewed"), [(0, 1, False), (3_749, 2, False), (3_750, 2, True)]
)
async def test_a_refusal_names_the_next_period_if_one_picture_fits_into_that(
    database: Database, amount: int, count: int, renewed: bool
) -> None:
    for policy, quotas in (
        (allowance(amount), Quotas()),
        (budget(amount), Quotas()),
        (None, Quotas(budget=amount)),
    ):
        with pytest.raises(UserError) as caught:
            await held(database, policy, quotas, count=count)
        time = caught.value.values["time"]
        assert isinstance(time, int)
        assert (time > NOW.timestamp()) is renewed


async def test_a_limit_of_nothing_is_renewed_for_no_price(database: Database) -> None:
    with pytest.raises(NotEnoughCredits) as caught:
        await held(database, allowance(0), price=1, count=4)
    assert caught.value.values["time"] == 0
    with pytest.raises(NotEnoughCredits) as caught:
        await held(database, allowance(1), price=2, count=2)
    assert caught.value.values["time"] != 0


@pytest.mark.parametrize(
    ("policy", "quotas", "whom"),
    [
        (allowance(0), {}, "Ask a manager of this server"),
        (None, {"allowance": 0}, "Ask the bot's operator"),
    ],
)
async def test_a_refusal_names_whoever_sets_the_limit(
    database: Database, policy: Policy | None, quotas: Mapping[str, Any], whom: str
) -> None:
    with pytest.raises(NotEnoughCredits, match=whom):
        await held(database, policy, Quotas(**quotas))


async def test_a_limit_without_an_amount_is_none(database: Database) -> None:
    unlimited = Allowance(amount=None)
    policy = Policy(settings=ServerSettings(budget=unlimited), rights=Rights(allowance=unlimited))
    await grant(database, 10_000)
    placed = await held(database, policy, price=10**9)

    assert (placed.job.granted, placed.warnings) == (0, [])
    assert placed.job.allowance == unlimited


async def test_a_refusal_offers_what_fits_into_every_limit(database: Database) -> None:
    quotas = Quotas(allowance=15_000, budget=7_500)
    with pytest.raises(NotEnoughCredits, match="One picture fits"):
        await held(database, None, quotas, price=22_500, count=3)
    with pytest.raises(NotEnoughCredits, match="2 pictures fit"):
        await held(database, None, replace(quotas, budget=None), price=22_500, count=3)


async def test_too_many_jobs_at_once_are_told_what_those_hold_and_what_was_used(
    database: Database,
) -> None:
    quotas = Quotas(max_jobs=2)
    await held(database, None, quotas)
    async with database.transaction() as tx:
        await settlement.correct_account(tx, ACCOUNT, -500, NOW, reason="a fee")
    await held(database, None, quotas, server_id=11)  # the second of two
    with pytest.raises(TooManyJobs) as caught:
        await held(database, None, quotas)
    await held(database, None, quotas, user_id=2)

    values = caught.value.values
    assert (values["held"], values["used"]) == (AmountText(15_000), AmountText(500))


async def test_jobs_at_once_of_a_server_are_counted_there(database: Database) -> None:
    policy = Policy(rights=Rights(jobs=2))
    for server_id in (10, 10, 11, 11):
        await held(database, policy, server_id=server_id)
    with pytest.raises(TooManyJobsHere):
        await held(database, policy)


async def test_a_cooldown_ends_at_its_very_time(database: Database) -> None:
    policy = Policy(rights=Rights(cooldown=60))
    await held(database, policy)
    end = NOW + timedelta(seconds=60)
    with pytest.raises(CooldownLasts) as caught:
        await held(database, policy, at=end - timedelta(microseconds=1))
    await held(database, policy, at=end)
    await held(database, Policy(rights=Rights(cooldown=0)), at=end)

    assert caught.value.values["time"] == end.timestamp()
