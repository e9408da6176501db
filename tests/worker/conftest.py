"""The tests of the worker run on both kinds of databases."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
import stamina

from bot.database_address import is_postgres
from bot.sandbox.oxen.server import FakeOxen
from bot.store.backends import open_database
from bot.store.database import Database
from bot.store.sqlite import SQLiteDatabase
from bot.worker.deliver import Deliverer
from bot.worker.leases import Leases
from bot.worker.poll import Poller
from bot.worker.settle import Settler
from tests.providers.clients import oxen_at
from tests.support import cluster
from tests.support.clock import Elapsed, Sleeps
from tests.support.easel import Stage, stage
from tests.support.outcomes import Outcomes
from tests.support.parts import Parts, Served, parts_on, served
from tests.support.rows import NOW


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        yield opened


@pytest.fixture
async def at(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.chdir(tmp_path)  # beside PostgreSQL, the pictures are in the present folder
    postgres_url = database_url if is_postgres(database_url) else ""
    async with stage(tmp_path, postgres_url=postgres_url) as made:
        yield made


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a database file that is opened afterwards wait for a moment only."""
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> Elapsed:
    """The time by which leases end."""
    made = Elapsed()
    monkeypatch.setattr("bot.worker.leases.elapsed", made)
    return made


@pytest.fixture
def no_waits_between_attempts() -> Iterator[None]:
    """Let requests to services, and downloads, be repeated at once."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> Sleeps:
    made = Sleeps()
    monkeypatch.setattr(asyncio, "sleep", made)
    return made


@pytest.fixture
async def made(empty_file: Path, tmp_path: Path) -> AsyncIterator[Served]:
    """Parts of the worker on a database file, between both stand-ins."""
    async with SQLiteDatabase(empty_file) as opened, served(opened, tmp_path) as found:
        yield found


@pytest.fixture
def costs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a cost that is not known once."""
    monkeypatch.setattr("bot.worker.settle.COST_WAITS", (0.0,))


@pytest.fixture
def freed() -> list[bool]:
    """The ends of requests of `poller`."""
    return []


@pytest.fixture
def poller(made: Served, freed: list[bool]) -> Poller:
    settler = Settler(made.services, Leases(made.services))
    return Poller(made.services, settler, freed=lambda: freed.append(True))


@pytest.fixture
def discord() -> Outcomes:
    return Outcomes()


@pytest.fixture
def deliverer(made: Served, discord: Outcomes) -> Deliverer:
    services = replace(made.services, delivery=discord)
    return Deliverer(services, Leases(services))


@pytest.fixture
async def service() -> AsyncIterator[FakeOxen]:
    """Oxen at the time of the rows; its generations end when a test says so."""
    async with FakeOxen(clock=NOW.timestamp) as opened:
        opened.manual = True
        yield opened


@pytest.fixture
async def parts(database: Database, tmp_path: Path, service: FakeOxen) -> AsyncIterator[Parts]:
    """Parts that reach `service` alone."""
    async with aiohttp.ClientSession() as session:
        yield parts_on(database, tmp_path, {"oxen": oxen_at(session, service.url, key=service.key)})


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds between attempts and between searches, which take no time."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    for module in ("submit", "recovery"):
        monkeypatch.setattr(f"bot.worker.{module}.asyncio", SimpleNamespace(sleep=sleep))
    return found
