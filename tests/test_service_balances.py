"""The floor of a balance: when new jobs are refused, and how long a balance is believed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.quotas import Member, Quotas
from bot.service_balances import FRESH, ServiceBalance, ServiceBalances
from bot.store.database import Database
from bot.studio import BalanceLine, Studio
from tests.support.services import services_on

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def balances(**floors: int) -> ServiceBalances:
    return ServiceBalances(lambda: NOW, floors)


@pytest.mark.parametrize(("credits", "low"), [(0, True), (99_999, True), (100_000, False)])
def test_a_balance_under_the_floor_is_low(credits: int, low: bool) -> None:
    found = balances(skills=100_000)
    found.adopt({"skills": ServiceBalance(credits, NOW)})

    assert found.low == ({"skills"} if low else set())


def test_without_a_floor_no_balance_is_low() -> None:
    found = balances(oxen=100_000)
    found.adopt({"skills": ServiceBalance(0, NOW)})

    assert found.low == set()
    assert found.floor("skills") is None
    assert not found.is_low("oxen", None)  # never read


def test_a_balance_is_believed_for_an_hour() -> None:
    found = balances(skills=100_000)
    found.adopt({"skills": ServiceBalance(0, NOW - FRESH + timedelta(microseconds=1))})
    assert found.low == {"skills"}

    found.adopt({"skills": ServiceBalance(0, NOW - FRESH)})
    assert found.low == set()
    assert found.known["skills"].credits == 0  # for the operator, with its time


async def test_the_operators_server_reads_the_balances(database: Database, tmp_path: Path) -> None:
    services = replace(
        services_on(database, tmp_path, lambda: NOW),
        quotas=Quotas(services={"skills": "skills.video"}),
        balances=balances(skills=100_000),
        operator_server=10,
    )
    services.balances.adopt({"skills": ServiceBalance(99_000, NOW), "gone": ServiceBalance(1, NOW)})
    shown = Studio(services, wake=lambda: None).balances

    assert shown.known() == [
        BalanceLine("gone", 1, NOW, None, low=False),
        BalanceLine("skills.video", 99_000, NOW, 100_000, low=True),
    ]
    assert shown.are_shown_to(Member(1, server_id=10))
    assert not shown.are_shown_to(Member(1, server_id=11))
    assert not shown.are_shown_to(Member(1))  # in direct messages


async def test_without_an_operators_server_nobody_reads_them(
    database: Database, tmp_path: Path
) -> None:
    shown = Studio(services_on(database, tmp_path, lambda: NOW), wake=lambda: None).balances

    assert not shown.are_shown_to(Member(1))
    assert not shown.are_shown_to(Member(1, server_id=10))
