import asyncio
import gc
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import hypothesis
import pytest
from discord.gateway import KeepAliveHandler

from bot.pictures import FileStore
from bot.store.database import Database
from bot.store.sqlite import SQLiteDatabase
from bot.studio import credits, erasure, jobs, menu, preferences, requests, servers, tiers
from bot.worker import durations, status_edits
from bot.worker.schedule import Schedule
from tests.support import cluster
from tests.support.bucket import Bucket, bucket
from tests.support.compiling import share_compiled
from tests.support.easel import Stage, stage
from tests.support.stores import Shelf

SLOWEST = {  # files with tests of half a minute and more, beside other tests
    "test_bucket_commands.py",
    "test_cluster.py",
    "test_demo.py",
    "test_harness.py",
    "test_hostile_benchmark.py",
    "test_ledger_machine.py",
}

# In these modules, WRITE_LOCK_TIMEOUT bounds the wait of a member's command.
MEMBERS_WRITE = (credits, erasure, jobs, menu, preferences, requests, servers, tiers)

# No test depends on how fast the machine is.
hypothesis.settings.register_profile(
    "easel", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("easel")


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(20_000, 20, 50)  # collections take a tenth of the processor's time otherwise
    if cluster.FOLDER not in os.environ:  # in the first process of this run
        os.environ[cluster.FOLDER] = str(cluster.make_folder())
        config.add_cleanup(lambda: cluster.remove(Path(os.environ.pop(cluster.FOLDER))))
    # Hundreds of tests start Easel as a process, which would compile all modules without these.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    share_compiled()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that take longest early, so that none of them ends long after all others.

    Not all at once in the beginning, when each process of the run collects the tests.
    """
    slowest = [each for each in items if each.path.name in SLOWEST]
    others = [each for each in items if each.path.name not in SLOWEST]
    quarter = len(others) // 4
    items[:] = [*others[:quarter], *slowest, *others[quarter:]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if count := sum(cluster.ABSENT in str(each.longrepr) for each in skipped):
        terminalreporter.write_line(f"{count} tests on PostgreSQL were skipped: {cluster.ABSENT}")


@pytest.fixture(autouse=True)
def polls_every_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect generations of the stand-ins, which take a tenth of a second instead of fifteen."""
    every_two = Schedule([2.0] * 600, durations.PRIOR.late)
    monkeypatch.setattr(durations, "PRIOR", every_two)


@pytest.fixture(autouse=True)
def end_heartbeats() -> Iterator[None]:
    """End the connections, and their threads, that discord.py was making when it was closed.

    The threads fail at their next heartbeat, in another test: while a thread formats a traceback,
    Python 3.11 cannot parse modules in another one.
    """
    yield
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler):
            thread.stop()
            thread.join(5)
            if connection := thread.ws.socket._response.connection:
                connection.close()


@pytest.fixture(autouse=True)
def status_edits_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a running job after a moment, since tests wait for that."""
    monkeypatch.setattr(status_edits, "QUIET", timedelta(milliseconds=20))


@pytest.fixture(autouse=True)
def patient_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a member's command wait for its turn to write while other tests use the disk."""
    for each in MEMBERS_WRITE:
        monkeypatch.setattr(each, "WRITE_LOCK_TIMEOUT", 2.4)  # Discord waits for 3 seconds


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows. A copy of it costs a tenth of the migrations."""

    async def write(path: Path) -> None:
        async with SQLiteDatabase(path):
            pass

    path = tmp_path_factory.mktemp("migrated") / "easel.db"
    asyncio.run(write(path))
    return path


@pytest.fixture
def empty_file(migrated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(migrated, tmp_path / "easel.db"))


@pytest.fixture
async def database(empty_file: Path) -> AsyncIterator[Database]:
    async with SQLiteDatabase(empty_file) as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres() -> cluster.Cluster:
    """The PostgreSQL server of this run; the test is skipped if there is none."""
    return cluster.running()


@pytest.fixture(scope="session")
def postgres_database(postgres: cluster.Cluster) -> Iterator[str]:
    url = asyncio.run(postgres.copy())
    yield url
    asyncio.run(postgres.drop(url))


@pytest.fixture
def postgres_url(postgres: cluster.Cluster, postgres_database: str) -> str:
    """The address of a database that has the tables and no rows."""
    asyncio.run(postgres.clear(postgres_database))
    return postgres_database


@pytest.fixture
def own_postgres_url(postgres: cluster.Cluster) -> Iterator[str]:
    """The same, of a database that no other test uses: for one that changes the tables."""
    url = asyncio.run(postgres.copy())
    yield url
    asyncio.run(postgres.drop(url))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a database without rows, of each kind."""
    return cluster.url_of(request)


@pytest.fixture
async def at(empty_file: Path) -> AsyncIterator[Stage]:
    """Discord and the image APIs, ready; a test starts Easel between them itself."""
    async with stage(empty_file.parent) as made:
        yield made


@pytest.fixture(name="bucket")
def _bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with bucket(monkeypatch) as made:
        yield made


@pytest.fixture(params=["files", "bucket"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """Each of both stores of pictures."""
    if request.param == "files":
        return Shelf(FileStore(tmp_path / "pictures"), tmp_path)
    made = request.getfixturevalue("bucket")
    return Shelf(made.store(tmp_path), tmp_path, made)
