"""When the worker reads the rows again, and when it pauses. No service is called here."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import ProviderError, Reason
from bot.services import Services
from bot.store import jobs
from bot.store.coordination import CANCELS, Alone, News
from bot.store.database import Database
from bot.worker import worker as worker_module
from bot.worker.worker import Worker
from tests.support import cluster
from tests.support.rows import NOW, one
from tests.support.services import services_on
from tests.support.statements import statements

MOMENT = timedelta(milliseconds=1)


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(database: Database, tmp_path: Path, clock: Clock) -> Services:
    return services_on(database, tmp_path, clock)


async def test_rows_are_read_after_a_change_or_when_one_is_due(
    services: Services, clock: Clock
) -> None:
    job = await one(services.database)
    async with services.database.transaction() as tx:
        at = NOW + timedelta(seconds=1)
        await jobs.postpone_submit(tx, job.id, at, Reason.RATE_LIMITED)
    worker = Worker(services)
    worker._housekeeping.next_turn = NOW + timedelta(hours=1)
    reads: list[bool] = []

    async def turn() -> None:
        with statements() as executed:
            await worker._turn()
        reads.append(any("count(*) AS number" in each for each in executed))

    async with worker._tasks:
        await turn()
        assert worker._next_row == at
        clock.now = at - MOMENT
        await turn()
        worker.wake()
        await turn()
        clock.now = at
        await turn()
        worker._housekeeping.next_turn = at
        await turn()

    assert reads == [True, False, True, True, True]


async def test_requests_to_cancel_are_read_only_after_such_a_change(services: Services) -> None:
    worker = Worker(services)
    worker._housekeeping.next_turn = NOW + timedelta(hours=1)
    reads: list[bool] = []
    async with worker._tasks:
        for text in ("", "", CANCELS, ""):
            worker.wake(text)
            with statements() as executed:
                await worker._turn()
            reads.append(any("cancel_requested_at IS NOT NULL" in each for each in executed))
        services.coordination.announce(News.ROWS, CANCELS)
        with statements() as executed:
            await worker._turn()

    assert reads == [True, False, True, False]
    assert any("cancel_requested_at IS NOT NULL" in each for each in executed)


async def test_the_pause_ends_when_work_is_due_or_with_news(
    services: Services, clock: Clock
) -> None:
    worker = Worker(services)
    async with asyncio.timeout(5):
        await worker._pause()  # the housekeeping is due
        worker._housekeeping.next_turn = NOW + timedelta(hours=1)
        for at in (NOW - timedelta(hours=1), NOW, NOW + timedelta(milliseconds=5)):
            worker._next_row = at
            await worker._pause()
        worker._next_row = None
        news: list[Callable[[], None]] = [
            worker.wake,
            lambda: services.coordination.announce(News.ENDED, "g1"),
            lambda: services.coordination.announce(News.STREAM_LIVES, "oxen"),
            lambda: services.coordination.announce(News.ROWS),
        ]
        for announce in news:
            worker._wake.clear()
            pausing = asyncio.create_task(worker._pause())
            await asyncio.sleep(0)
            assert not pausing.done()
            announce()
            await pausing
        worker._wake.clear()
        worker.stop()
        worker._wake.clear()
        await worker._pause()


async def test_an_error_of_a_turn_is_followed_by_a_pause(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    worker = Worker(services)
    monkeypatch.setattr(Alone, "has", lambda self, duty: 1 // 0)
    monkeypatch.setattr(asyncio, "sleep", noted)
    await worker._turn()

    assert 5.0 in waits
    assert "the worker's turn failed, retrying" in caplog.text


async def test_whole_work_ends_before_its_cancel() -> None:
    ends, ended = asyncio.Event(), list[bool]()

    async def work() -> None:
        await ends.wait()
        ended.append(True)

    task = asyncio.create_task(worker_module._whole(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    ends.set()
    await asyncio.wait({task})
    assert (task.cancelled(), ended) == (True, [True])

    async def fail() -> None:
        raise ProviderError(Reason.UNKNOWN)

    with pytest.raises(ProviderError):
        await worker_module._whole(fail())
