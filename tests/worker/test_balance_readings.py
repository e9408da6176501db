"""When the balances at the services are read, and which changes are logged and stored."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import Reason
from bot.sandbox.http.faults import Answer, Hold
from bot.service_balances import FRESH, ServiceBalance, ServiceBalances
from bot.services import Services
from bot.store import service_balances
from bot.store.backends import open_database
from bot.worker import balances
from bot.worker.balances import AGAIN, EVERY, BalanceReader, refused
from tests.support.duties import without_duties
from tests.support.parts import Served, ends_soon, refusing, served, unreadable
from tests.support.rows import NOW
from tests.support.statements import statements

CREDITS = "/api/v1/credits"
MOMENT = timedelta(milliseconds=1)
FLOOR = 100


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def services(made: Served) -> Services:
    floors = {"skills": 1000 * FLOOR}
    return replace(made.services, balances=ServiceBalances(made.clock, floors))


def left(made: Served, credits: int) -> None:
    made.skills.subscription, made.skills.permanent = 0, credits


def readings(made: Served) -> int:
    return sum(each.path == CREDITS for each in made.skills.requests)


async def turn(reader: BalanceReader) -> None:
    await reader._turn()


async def begun(services: Services, made: Served) -> BalanceReader:
    """Return a reader that has read the balances once."""
    reader = BalanceReader(services)
    before = readings(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balances, "EXCHANGE", 1000.0)
        known = services.balances
        await ends_soon(
            asyncio.create_task(reader.run()),
            lambda: readings(made) > before and "skills" in known.known and _agrees(services),
        )
    return reader


def _agrees(services: Services) -> bool:
    known = services.balances.known["skills"]
    return known.low == services.balances.is_low("skills", known)


async def test_a_balance_is_read_every_five_minutes(made: Served, services: Services) -> None:
    reader = await begun(services, made)
    made.clock.now += EVERY - MOMENT
    await turn(reader)
    assert readings(made) == 1
    made.clock.now += MOMENT
    await turn(reader)
    await turn(reader)

    assert readings(made) == 2
    assert services.balances.known["skills"].read_at == made.clock.now


async def test_after_a_refusal_the_balance_is_read_soon_but_not_at_once(
    made: Served, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    reader = await begun(services, made)
    for reason in (Reason.REJECTED, Reason.AUTH):
        refused(services, "skills", reason, "no")
    assert "does not accept" in caplog.text
    made.clock.now += AGAIN
    await turn(reader)
    assert readings(made) == 1  # these say nothing about credits

    refused(services, "skills", Reason.CREDITS, "no credits")
    await turn(reader)
    assert readings(made) == 2
    refused(services, "skills", Reason.CREDITS, "no credits")
    made.clock.now += AGAIN - MOMENT
    await turn(reader)
    assert readings(made) == 2
    made.clock.now += MOMENT
    await turn(reader)
    assert readings(made) == 3


async def test_a_refusal_wakes_the_reader(
    made: Served, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For one turn."""
    monkeypatch.setattr(balances, "EXCHANGE", 1000.0)
    looks: list[bool] = []

    def now() -> datetime:
        looks.append(True)
        return made.clock.now

    def happened() -> bool:
        known = services.balances.known
        if known and readings(made) == 1:
            made.clock.now = NOW + AGAIN
            # Once more, since a refusal during a turn does not begin another one.
            refused(services, "skills", Reason.CREDITS, "no credits")
        return bool(known) and known["skills"].read_at == NOW + AGAIN

    task = asyncio.create_task(BalanceReader(replace(services, now=now)).run())
    try:
        async with asyncio.timeout(20):
            while not happened():
                await asyncio.sleep(0.001)
        turns = len(looks)
        await asyncio.sleep(0.02)
        assert len(looks) == turns
        assert readings(made) == 2
    finally:
        await ends_soon(task, lambda: True)


async def test_a_service_without_a_balance_is_asked_once(made: Served, services: Services) -> None:
    reader = await begun(services, made)
    refused(services, "oxen", Reason.CREDITS, "no credits")

    assert [*reader._next] == ["skills"]


async def test_the_first_failure_of_several_is_logged(
    made: Served, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    reader = await begun(services, made)
    for _ in range(2):
        away = made.skills.faults.add("GET", CREDITS, Answer(404, {"message": "gone"}), times=None)
        for _ in range(2):
            made.clock.now += EVERY
            await turn(reader)
        away.remove()
        made.clock.now += EVERY
        await turn(reader)

    assert caplog.text.count("balance at skills not read, retrying: ") == 2
    assert services.balances.known["skills"] == ServiceBalance(1_500_000, made.clock.now)


async def test_a_reading_without_an_answer_ends(
    made: Served,
    services: Services,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = await begun(services, made)
    monkeypatch.setattr(balances, "READ_SECONDS", 0.05)
    made.skills.faults.add("GET", CREDITS, Hold(), times=None)
    made.clock.now += EVERY
    await turn(reader)

    assert caplog.text.count("balance at skills not read, retrying: no answer") == 1
    assert services.balances.known["skills"].read_at == NOW


async def test_each_change_of_the_refusals_is_logged_once_and_stored(
    made: Served, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    left(made, FLOOR - 1)
    reader = await begun(services, made)
    for credits in (FLOOR - 1, FLOOR - 2, FLOOR, FLOOR + 1):
        left(made, credits)
        made.clock.now += EVERY
        await turn(reader)
    async with made.database.reading() as view:
        stored = await service_balances.read(view, ["skills"])

    assert caplog.messages == [
        "balance at skills is 99 credits, under the floor of 100: new jobs are refused",
        "new jobs at skills are accepted again: the balance was 100 credits at "
        "2026-11-21 12:15 UTC",
    ]
    assert stored == {"skills": ServiceBalance(1000 * (FLOOR + 1), made.clock.now, low=False)}


async def test_an_old_balance_refuses_nothing_any_more(
    made: Served, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    left(made, FLOOR - 1)
    reader = await begun(services, made)
    made.skills.faults.add("GET", CREDITS, Answer(404), times=None)
    made.clock.now += FRESH
    await turn(reader)
    async with made.database.reading() as view:
        stored = await service_balances.read(view, ["skills"])

    assert "the balance was 99 credits at 2026-11-21 12:00 UTC" in caplog.text
    assert stored == {"skills": ServiceBalance(1000 * (FLOOR - 1), NOW, low=False)}


async def test_without_the_duty_a_process_adopts_what_another_has_read(
    made: Served, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = ServiceBalance(7_000, NOW, low=True)
    async with made.database.transaction() as tx:
        await service_balances.store(tx, {"skills": theirs})
    monkeypatch.setattr(balances, "EXCHANGE", 1000.0)
    known = services.balances
    reader = BalanceReader(without_duties(services))
    await ends_soon(asyncio.create_task(reader.run()), lambda: known.known)

    assert known.known == {"skills": theirs}
    assert readings(made) == 0


async def test_without_providers_nothing_is_read(made: Served, services: Services) -> None:
    reader = BalanceReader(replace(services, providers={}))
    with statements() as executed:
        await reader.exchange()

    assert executed == []


@pytest.mark.usefixtures("short_waits")
async def test_the_reader_goes_on_after_a_database_that_cannot_be_read(
    made: Served,
    services: Services,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(balances, "EXCHANGE", 0.001)
    async with made.database.transaction() as tx:
        await service_balances.store(tx, {"skills": ServiceBalance(7_000, NOW)})
    known = services.balances
    async with unreadable(made.database):
        task = asyncio.create_task(BalanceReader(without_duties(services)).run())
        async with asyncio.timeout(20):
            while "balances at the services not stored, retrying" not in caplog.text:
                await asyncio.sleep(0.001)
    await ends_soon(task, lambda: known.known)

    assert "balances at the services not read" not in caplog.text


async def test_the_reader_goes_on_after_an_unexpected_error(
    made: Served,
    services: Services,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(balances, "EXCHANGE", 0.001)
    async with refusing(tmp_path / "easel.db", "INSERT ON notes"):
        task = asyncio.create_task(BalanceReader(services).run())
        async with asyncio.timeout(20):
            while "balances at the services not read, retrying" not in caplog.text:
                await asyncio.sleep(0.001)
    assert services.balances.known == {}
    made.clock.now += EVERY  # for the next reading
    await ends_soon(task, lambda: services.balances.known)

    assert caplog.text.count("balances at the services not read, retrying") == 1


@pytest.mark.long
async def test_a_process_that_takes_the_duty_over_does_not_log_what_another_has_logged(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        open_database(postgres_url) as database,
        served(database, tmp_path, floors={"skills": 1000 * FLOOR}) as made,
    ):
        left(made, FLOOR - 1)
        await begun(made.services, made)
        assert caplog.text.count("new jobs are refused") == 1
        balances_of_another = ServiceBalances(made.clock, {"skills": 1000 * FLOOR})
        await begun(replace(made.services, balances=balances_of_another), made)

    assert caplog.text.count("new jobs are refused") == 1
