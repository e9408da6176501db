"""Allowances and budgets as managers change them: what is lower, and what is left of them."""

from dataclasses import replace

import pytest

from bot.periods import PeriodKind
from bot.quotas import Quotas
from bot.rights import Allowance, Rights, Subject
from bot.services import Services
from bot.store import servers
from bot.store.database import Database
from bot.studio.credit_rules import NoLimitYet
from bot.studio.credits import LimitSet, ServerCredits, is_lower
from tests.studio.test_credits import audited
from tests.support.rights import credits
from tests.support.rows import NOW, new_job, one
from tests.support.studio import ADA, DEFAULT, MANAGER, MINUTE

DAY, WEEK, MONTH = PeriodKind


@pytest.fixture
def use_case(services: Services) -> ServerCredits:
    return ServerCredits(services)


def limited(services: Services, **limits: int) -> ServerCredits:
    """Return the use case with limits of the operator."""
    return ServerCredits(replace(services, quotas=Quotas(**limits)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "typed", "period", "expected"),
    [
        (None, "5", None, LimitSet(credits(5), changed=True, lowered=True)),
        (None, "unlimited", None, LimitSet(credits(None), changed=True)),
        (None, "unset", None, LimitSet(None)),
        (None, None, None, LimitSet(None)),
        (credits(5), None, None, LimitSet(credits(5))),
        (credits(5), "5", None, LimitSet(credits(5))),
        (credits(5), "4", None, LimitSet(credits(4), changed=True, lowered=True)),
        (credits(5), "6", None, LimitSet(credits(6), changed=True)),
        (credits(5), None, WEEK, LimitSet(credits(5, WEEK), changed=True)),
        (credits(5, WEEK), None, MONTH, LimitSet(credits(5), changed=True, lowered=True)),
        (credits(5, WEEK), "0", None, LimitSet(credits(0, WEEK), changed=True, lowered=True)),
        (credits(5, DAY), "unset", None, LimitSet(None, changed=True)),
        (credits(None), "9", DAY, LimitSet(credits(9, DAY), changed=True, lowered=True)),
        (credits(0), "0", DAY, LimitSet(credits(0, DAY), changed=True)),
    ],
)
async def test_an_amount_and_a_period_change_an_allowance(
    database: Database,
    use_case: ServerCredits,
    before: Allowance | None,
    typed: str | None,
    period: PeriodKind | None,
    expected: LimitSet,
) -> None:
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, *DEFAULT, Rights(allowance=before))

    found = await use_case.set_allowance(MANAGER, *DEFAULT, typed=typed, period=period)

    assert found == expected
    async with database.reading() as view:
        stored = await servers.rights_of(view, 10, *DEFAULT)
    assert stored.allowance == expected.limit
    assert len(await audited(database)) == expected.changed


async def test_a_period_alone_is_no_limit(database: Database, use_case: ServerCredits) -> None:
    for denied in (
        use_case.set_allowance(MANAGER, *DEFAULT, typed=None, period=DAY),
        use_case.set_budget(MANAGER, period=DAY),
    ):
        with pytest.raises(NoLimitYet, match="no amount is set whose period could change"):
            await denied
    assert await audited(database) == []


async def test_the_allowance_of_a_member_says_what_is_left(
    database: Database, use_case: ServerCredits
) -> None:
    await one(database, new_job(price=1500))
    subject = (Subject.MEMBER, "1")

    found = await use_case.set_allowance(MANAGER, *subject, typed="5", period=DAY, of=ADA)
    shown = await use_case.set_allowance(MANAGER, *subject, typed=None, period=None, of=ADA)

    midnight = NOW.replace(hour=0) + 24 * 60 * MINUTE
    assert (found.left, found.resets_at, found.changed) == (3500, midnight, True)
    assert (shown.left, shown.resets_at, shown.changed) == (3500, midnight, False)


@pytest.mark.parametrize(
    ("typed", "period", "limit", "left", "resets"),
    [
        (None, None, None, None, (12, 1)),
        ("5", None, credits(5), -2500, (12, 1)),
        ("7.5", DAY, credits(7.5, DAY), 0, (11, 22)),
        ("20", WEEK, credits(20, WEEK), 12_500, (11, 23)),
        ("unlimited", None, None, None, (12, 1)),
        ("unset", None, None, None, (12, 1)),
    ],
)
async def test_a_budget_says_what_its_period_has_used(
    database: Database,
    use_case: ServerCredits,
    typed: str | None,
    period: PeriodKind | None,
    limit: Allowance | None,
    left: int | None,
    resets: tuple[int, int],
) -> None:
    await one(database)
    await one(database, new_job(server_id=11))

    found = await use_case.set_budget(MANAGER, typed=typed, period=period)

    assert (found.limit, found.used, found.left) == (limit, 7500, left)
    assert found.resets_at == NOW.replace(month=resets[0], day=resets[1], hour=0)
    assert found.changed is (limit is not None)


async def test_the_operators_limits_are_compared_with_those_of_a_server(
    services: Services,
) -> None:
    use_case = limited(services, allowance=3000, budget=5000)

    for typed, lower in (("3", False), ("3.01", True), ("unlimited", True), ("unset", False)):
        found = await use_case.set_allowance(MANAGER, *DEFAULT, typed=typed, period=None)
        assert found.operator_is_lower is lower
    for typed, lower in (("5", False), ("5.01", True), ("unlimited", False)):
        assert (await use_case.set_budget(MANAGER, typed=typed)).operator_is_lower is lower


def test_the_bots_budget_bounds_an_allowance_too() -> None:
    assert not is_lower(Quotas(), credits(None))
    assert not is_lower(Quotas(budget=5000), None)
    assert is_lower(Quotas(budget=5000), credits(6))
    assert not is_lower(Quotas(budget=5000), credits(5))
    assert is_lower(Quotas(budget=5000, allowance=9000), credits(6))
    assert is_lower(Quotas(budget=9000, allowance=5000), credits(6))
    assert not is_lower(Quotas(allowance=5000), credits(6), budget=True)
    assert is_lower(Quotas(allowance=6000), credits(2, WEEK))
    assert not is_lower(Quotas(allowance=9000), credits(2, WEEK))
