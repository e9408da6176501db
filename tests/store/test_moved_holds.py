"""The hold of a job that is handed over to another model: its price, its share, and its limits."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.errors import UserError
from bot.jobs import Job
from bot.ledger import Account, AmountText, EntryKind
from bot.quotas import (
    BudgetExhausted,
    NotEnoughCredits,
    ProviderBudgetExhausted,
    Quotas,
    ServerBudgetExhausted,
)
from bot.rights import Allowance, Policy, Rights, ServerSettings
from bot.store import holds, jobs, ledger, servers
from bot.store.database import Database, Transaction
from tests.support.rights import add_grant
from tests.support.rows import NOW, new_job

ACCOUNT = Account(1, 10)  # of new_job
PRICE = 7_500  # of new_job
LATER = NOW + timedelta(minutes=5)


async def request(tx: Transaction, allowance: int | None = None, **new: Any) -> Job:  # noqa: ANN401
    policy = Policy()
    made = replace(new_job(**new), model_auto=True)
    if allowance is not None:
        policy = Policy(rights=Rights(allowance=Allowance(amount=allowance)))
        made = replace(made, allowance=policy.rights.allowance)
    return (await holds.hold(tx, await jobs.add(tx, made), Quotas(), policy)).job


async def move(
    tx: Transaction, job: Job, price: int, quotas: Quotas | None = None, *, to: str = "skills"
) -> Job:
    """Hand the job over, and return its row."""
    moved = await jobs.hand_over(tx, job, model=to, provider=to, price=price)
    assert moved is not None
    await holds.hold_difference(tx, moved, job, LATER, quotas or Quotas())
    found = await jobs.get(tx, job.id)
    assert found is not None
    return found


@pytest.mark.parametrize("price", [5_000, PRICE, 20_000])
async def test_the_hold_is_replaced_by_that_of_the_new_price(
    database: Database, price: int
) -> None:
    async with database.transaction() as tx:
        job = await request(tx)
        moved = await move(tx, job, price)
        entries = await ledger.entries_of(tx, job.id)

    assert [(each.kind, each.amount, each.provider) for each in entries] == [
        (EntryKind.HOLD, -PRICE, "oxen"),
        (EntryKind.HOLD, PRICE, "oxen"),
        (EntryKind.HOLD, -price, "skills"),
    ]
    assert [each.reason for each in entries] == [
        "",
        "moved from oxen at 2026-11-21 12:05:00 UTC",
        "moved to skills at 2026-11-21 12:05:00 UTC",
    ]
    assert {each.counted_at for each in entries} == {NOW}
    assert moved.price == price


@pytest.mark.parametrize(
    ("price", "share"), [(9_000, 6_500), (PRICE, 5_000), (5_000, 2_500), (2_500, 0), (1_000, 0)]
)
async def test_a_price_that_changes_is_added_to_the_grants_or_goes_back_there(
    database: Database, price: int, share: int
) -> None:
    """The allowance pays 2.5 of the first hold."""
    async with database.transaction() as tx:
        await add_grant(tx, ACCOUNT, 10_000, NOW)
        job = await request(tx, allowance=2_500)
        assert job.granted == 5_000
        moved = await move(tx, job, price)
        entries = await ledger.entries_of(tx, job.id)
        left = await ledger.grants_left(tx, ACCOUNT)

    assert [each.granted for each in entries] == [-5_000, 5_000, -share]
    assert (moved.granted, left) == (share, 10_000 - share)


LIMITS: list[tuple[dict[str, Any], type[UserError]]] = [
    ({"allowance": 9_999}, NotEnoughCredits),
    ({"budget": 9_999}, BudgetExhausted),
    ({"provider_budgets": {"skills": 9_999}}, ProviderBudgetExhausted),
]


@pytest.mark.parametrize(("quotas", "refusal"), LIMITS)
async def test_a_higher_price_is_refused_by_each_limit_that_has_less(
    database: Database, quotas: Mapping[str, Any], refusal: type[UserError]
) -> None:
    async with database.transaction() as tx:
        job = await request(tx)
    with pytest.raises(refusal) as caught:
        async with database.transaction() as tx:
            await move(tx, job, 10_000, Quotas(**quotas))
    async with database.transaction() as tx:
        assert (await move(tx, job, 9_999, Quotas(**quotas))).price == 9_999

    assert caught.value.values["left"] == AmountText(9_999)  # without the hold that is replaced


async def test_a_higher_price_is_refused_by_the_limits_of_the_server(database: Database) -> None:
    async with database.transaction() as tx:
        job = await request(tx, allowance=9_999)
    with pytest.raises(NotEnoughCredits):
        async with database.transaction() as tx:
            await move(tx, job, 10_000)
    async with database.transaction() as tx:
        settings = ServerSettings(budget=Allowance(amount=9_000))
        await servers.store_settings(tx, 10, settings)
    with pytest.raises(ServerBudgetExhausted):
        async with database.transaction() as tx:
            await move(tx, job, 9_999)
    async with database.transaction() as tx:
        await move(tx, job, 9_000)


@pytest.mark.parametrize("price", [PRICE, PRICE - 1])
async def test_a_price_that_is_not_higher_needs_the_budget_of_its_provider_alone(
    database: Database, price: int
) -> None:
    """Also where a limit has been lowered since the request."""
    quotas = Quotas(allowance=0, budget=0, provider_budgets={"oxen": 0, "skills": price - 1})
    async with database.transaction() as tx:
        job = await request(tx, allowance=PRICE)
        await servers.store_settings(tx, 10, ServerSettings(budget=Allowance(amount=0)))
    with pytest.raises(ProviderBudgetExhausted):
        async with database.transaction() as tx:
            await move(tx, job, price, quotas)
    quotas = replace(quotas, provider_budgets={"oxen": 0, "skills": price})
    async with database.transaction() as tx:
        assert (await move(tx, job, price, quotas)).price == price
