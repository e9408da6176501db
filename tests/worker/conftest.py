"""The tests of the worker run on both kinds of databases."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stamina

from bot.database_address import is_postgres
from bot.store.backends import open_database
from bot.store.database import Database
from bot.store.sqlite import SQLiteDatabase
from bot.worker.deliver import Deliverer
from bot.worker.leases import Leases
from bot.worker.poll import Poller
from bot.worker.settle import Settler
from tests.support import cluster
from tests.support.clock import Elapsed, Sleeps
from tests.support.easel import Stage, stage
from tests.support.outcomes import Outcomes
from tests.support.parts import Served, served


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
    """What a single part of the worker needs, on a database file."""
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
