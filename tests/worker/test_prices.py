"""Prices that follow the reported costs, and the warning about a cost that no price covers."""

from datetime import datetime, timedelta
from itertools import count

import pytest

from bot.jobs import JobStatus, Picture, PictureKind
from bot.ledger import Cost
from bot.store import generations, settlement
from bot.worker.prices import COSTS_OF, MOST, Prices
from tests.support.parts import PRICES, Served
from tests.support.rows import NOW

LISTED = PRICES["skills"]
MOMENT = timedelta(milliseconds=1)
numbers = count(1)


@pytest.fixture
def prices(made: Served) -> Prices:
    return Prices(made.services)


async def paid(made: Served, cost: int, *, at: datetime = NOW, provider: str = "skills") -> None:
    """Store a picture with this reported cost."""
    job = await made.running([f"gen_{next(numbers)}"], at=at, provider=provider)
    async with made.database.transaction() as tx:
        (generation,) = await generations.of_job(tx, job.id)
        await settlement.succeed(
            *(tx, job, at),
            cost=Cost(cost, {}),
            pictures=[Picture("e" * 64, PictureKind.PNG, 9, 1, 1)],
            ends={generation.id: JobStatus.SUCCEEDED},
        )


def price(made: Served, model: str = "skills") -> int:
    return made.services.catalog.specs[model].price


def warnings(caplog: pytest.LogCaptureFixture) -> int:
    return caplog.text.count("over 5 times the list price; held are only 100")


async def test_a_cost_of_five_times_the_list_price_is_held_without_a_warning(
    made: Served, prices: Prices, caplog: pytest.LogCaptureFixture
) -> None:
    await paid(made, MOST * LISTED)
    await prices.follow("skills")

    assert (price(made), warnings(caplog)) == (MOST * LISTED, 0)


async def test_a_dearer_cost_is_logged_once_until_the_price_covers_the_costs_again(
    made: Served, prices: Prices, caplog: pytest.LogCaptureFixture
) -> None:
    await paid(made, MOST * LISTED + 1)
    for _ in range(2):
        await prices.follow("skills")
    assert (price(made), warnings(caplog)) == (MOST * LISTED, 1)
    assert "a picture of skills cost 100.001 credits" in caplog.text
    made.clock.now += COSTS_OF
    await prices.follow("skills")
    assert price(made) == LISTED

    await paid(made, 200_000, at=made.clock.now)
    await prices.follow("skills")
    assert warnings(caplog) == 2


async def test_costs_of_thirty_days_count(made: Served, prices: Prices) -> None:
    await paid(made, LISTED + 1)
    made.clock.now += COSTS_OF - MOMENT
    await prices.follow("skills")
    assert price(made) == LISTED + 1
    made.clock.now += MOMENT
    await prices.follow("skills")

    assert price(made) == LISTED


async def test_the_newest_costs_count(
    made: Served, prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.worker.prices.COSTS", 3)
    await paid(made, LISTED + 2)
    for number in range(2):
        await paid(made, LISTED + 1, at=NOW + timedelta(seconds=1 + number))
    await prices.follow("skills")
    assert price(made) == LISTED + 2
    await paid(made, LISTED + 1, at=NOW + timedelta(minutes=2))
    await prices.follow("skills")

    assert price(made) == LISTED + 1


async def test_every_model_is_refreshed(made: Served, prices: Prices) -> None:
    await paid(made, LISTED + 1)
    await paid(made, 8_000, provider="oxen")
    await prices.refresh()

    assert (price(made), price(made, "oxen")) == (LISTED + 1, 8_000)


async def test_a_model_that_is_not_on_offer_any_more_has_no_price(
    made: Served, prices: Prices, caplog: pytest.LogCaptureFixture
) -> None:
    await paid(made, 1_000_000, provider="removed")
    await prices.follow("removed")

    assert "removed" not in made.services.catalog.specs
    assert caplog.messages == []
