"""The providers' circuits in several processes, and what a gateway follows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from bot.errors import ProviderError, Reason
from bot.health import FAILURES, Cause, Circuit, CircuitState, ServiceHealth
from bot.jobs import JobStatus, Picture, PictureKind
from bot.ledger import Cost
from bot.service_balances import ServiceBalance
from bot.services import Services
from bot.store import generations, service_balances, settlement
from bot.store.backends import open_database
from bot.store.tables import circuits as table
from bot.worker import circuits
from bot.worker.circuits import PRICES, SharedCircuits, follow_workers
from tests.support.clock import Moment
from tests.support.parts import Served, ends_soon, unreadable
from tests.support.rows import NOW
from tests.support.services import services_on
from tests.support.statements import statements

KEYS = {"oxen": "OXEN_API_KEY"}
MOMENT = timedelta(milliseconds=1)


def fail(services: Services, provider: str = "oxen") -> None:
    """Let requests of different members open the circuit."""
    for member in range(FAILURES):
        services.health.submitted(provider, Cause(member), ProviderError(Reason.UNAVAILABLE))


@pytest.fixture
async def two(postgres_url: str, tmp_path: Path) -> AsyncIterator[tuple[Services, Services]]:
    """The services of two processes that share a database."""
    clock = Moment()
    async with open_database(postgres_url) as database:
        made = [services_on(database, tmp_path, clock) for _ in range(2)]
        first, second = [replace(each, health=ServiceHealth(clock, KEYS)) for each in made]
        yield first, second


@pytest.mark.long
async def test_an_outage_and_its_end_are_known_to_all(
    two: tuple[Services, Services], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = two
    ours, theirs = SharedCircuits(first), SharedCircuits(second)
    fail(first)
    await ours.exchange()
    await theirs.exchange()
    assert second.health.down == {"oxen"}
    assert second.health.state_of("oxen") == first.health.state_of("oxen")
    second.health.submitted("oxen", Cause(9))  # accepted
    for _ in range(2):
        await theirs.exchange()
        await ours.exchange()

    assert first.health.down == second.health.down == frozenset()
    assert first.health.outages == frozenset()
    assert caplog.text.count("oxen is down, as another process has found") == 1
    assert caplog.text.count("oxen is up again, as another process has found") == 1


@pytest.mark.long
async def test_a_state_is_adopted_once(two: tuple[Services, Services]) -> None:
    """Else the failures since then would not count."""
    first, second = two
    ours, theirs = map(SharedCircuits, two)
    fail(first)
    first.health.submitted("oxen", Cause(9))
    await ours.exchange()
    fail(first)
    await ours.exchange()
    first.health.submitted("oxen", Cause(9))
    await ours.exchange()
    for member in range(FAILURES):
        await theirs.exchange()
        second.health.submitted("oxen", Cause(member), ProviderError(Reason.UNAVAILABLE))

    assert second.health.down == {"oxen"}


@pytest.mark.long
async def test_only_changes_are_published(two: tuple[Services, Services]) -> None:
    ours, theirs = map(SharedCircuits, two)
    with statements() as executed:
        await ours.exchange()
        assert not any("INSERT" in each for each in executed)  # no circuit has opened
        fail(two[0])
        await ours.exchange()
        published = len([each for each in executed if "INSERT" in each])
        await ours.exchange()
        await theirs.exchange()
        await theirs.exchange()

    assert published == 1
    assert len([each for each in executed if "INSERT" in each]) == 1


@pytest.mark.long
async def test_a_provider_that_is_not_configured_here_is_left_out(
    two: tuple[Services, Services],
) -> None:
    first, second = two
    fail(first, "skills")
    await SharedCircuits(first).exchange()
    await SharedCircuits(second).exchange()

    assert second.health.known == ("oxen",)


async def test_a_file_belongs_to_one_process(made: Served) -> None:
    fail(made.services)
    with statements() as executed:
        await SharedCircuits(made.services).exchange()

    assert executed == []


async def paid(made: Served, cost: int) -> None:
    job = await made.running([f"gen_{cost}"])
    async with made.database.transaction() as tx:
        (generation,) = await generations.of_job(tx, job.id)
        await settlement.succeed(
            *(tx, job, NOW),
            cost=Cost(cost, {}),
            pictures=[Picture("e" * 64, PictureKind.PNG, 9, 1, 1)],
            ends={generation.id: JobStatus.SUCCEEDED},
        )


class Turns:
    """The turns of a gateway, each of which reads the balances."""

    def __init__(self, executed: list[str]) -> None:
        self._executed = executed

    @property
    def number(self) -> int:
        return sum("FROM notes" in each for each in self._executed)

    async def more(self, number: int = 3) -> None:
        """Wait until as many turns have begun; all but the last one have ended then."""
        wanted = self.number + number
        async with asyncio.timeout(20):
            while self.number < wanted:
                await asyncio.sleep(0.001)


async def test_a_gateway_refreshes_the_prices_every_minute(
    made: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuits, "EXCHANGE", 0.001)
    specs = made.services.catalog.specs
    await paid(made, 21_000)
    with statements() as executed:
        turns = Turns(executed)
        task = asyncio.create_task(follow_workers(made.services))
        await turns.more()
        made.clock.now += PRICES - MOMENT
        await turns.more()
        assert specs["skills"].price == 20_000
        made.clock.now += MOMENT
        await turns.more()
        assert specs["skills"].price == 21_000
        await paid(made, 22_000)
        made.clock.now += PRICES - MOMENT
        await turns.more()
        assert specs["skills"].price == 21_000
        made.clock.now += MOMENT
        await ends_soon(task, lambda: specs["skills"].price == 22_000)


@pytest.mark.usefixtures("short_waits")
async def test_a_gateway_goes_on_after_a_database_that_cannot_be_read(
    made: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuits, "EXCHANGE", 0.001)
    async with made.database.transaction() as tx:
        await service_balances.store(tx, {"skills": ServiceBalance(7_000, NOW)})
    async with unreadable(made.database):
        task = asyncio.create_task(follow_workers(made.services))
        async with asyncio.timeout(20):
            while "circuits and prices of the workers not read, retrying" not in caplog.text:
                await asyncio.sleep(0.001)
    await ends_soon(task, lambda: made.services.balances.known)

    assert "exchange with the workers failed" not in caplog.text


@pytest.mark.long
async def test_a_gateway_goes_on_after_a_row_that_it_cannot_read(
    two: tuple[Services, Services],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(circuits, "EXCHANGE", 0.001)
    ours, _ = two
    odd = {"provider": "oxen", "state": "odd", "openings": 1, "changed_by": "a newer version"}
    async with ours.database.transaction() as tx:
        await tx.execute(insert(table).values(odd))
    task = asyncio.create_task(follow_workers(ours))
    async with asyncio.timeout(20):
        while "exchange with the workers failed, retrying" not in caplog.text:
            await asyncio.sleep(0.001)
    async with ours.database.transaction() as tx:
        await tx.execute(delete(table))
        await tx.execute(insert(table).values(odd | {"state": Circuit.OPEN, "outage_since": NOW}))
    await ends_soon(task, lambda: ours.health.outages)

    assert ours.health.state_of("oxen") == CircuitState(Circuit.OPEN, NOW, None, 1)
