"""When the worker reads the rows again, and when it pauses. No service is called here."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.errors import ProviderError, Reason
from bot.services import Services
from bot.store import claims, jobs, queue, settlement
from bot.store.coordination import CANCELS, News
from bot.store.database import Database
from bot.store.leases import Terms
from bot.store.tables import jobs as table
from bot.worker import deliveries
from bot.worker import worker as worker_module
from tests.support import cluster
from tests.support.clock import Moment, Sleeps
from tests.support.menus import until
from tests.support.open_worker import OpenWorker
from tests.support.parts import unreadable
from tests.support.rows import NOW, add, new_job, one
from tests.support.services import limited, services_on
from tests.support.statements import statements

MOMENT = timedelta(milliseconds=1)


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
def clock() -> Moment:
    return Moment()


@pytest.fixture
def services(database: Database, tmp_path: Path, clock: Moment) -> Services:
    return services_on(database, tmp_path, clock)


async def test_rows_are_read_after_a_change_or_when_one_is_due(
    services: Services, clock: Moment
) -> None:
    job = await one(services.database)
    async with services.database.transaction() as tx:
        at = NOW + timedelta(seconds=1)
        await jobs.postpone_submit(tx, job.id, at, Reason.RATE_LIMITED)
    worker = OpenWorker(services)
    worker.housekeeping.next_turn = NOW + timedelta(hours=1)
    reads: list[bool] = []

    async def turn() -> None:
        with statements() as executed:
            await worker.turn()
        reads.append(any("count(*) AS number" in each for each in executed))

    async with worker.tasks:
        await turn()
        assert worker.next_row == at
        clock.now = at - MOMENT
        await turn()
        worker.wake()
        await turn()
        clock.now = at
        await turn()
        worker.housekeeping.next_turn = at
        await turn()

    assert reads == [True, False, True, True, True]


async def test_rows_are_read_when_a_channel_takes_messages_again(services: Services) -> None:
    limited(services, channel_id=20)
    worker = OpenWorker(services)
    worker.housekeeping.next_turn = NOW + timedelta(hours=1)
    async with worker.tasks:
        await worker.turn()

    assert worker.next_row is not None
    assert NOW < worker.next_row <= NOW + timedelta(seconds=5)


async def test_while_more_deliveries_are_due_their_list_is_read_again_soon(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LISTED", 2)
    async with services.database.transaction() as tx:
        for number in range(3):
            job = await add(tx, new_job(number))
            await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)
    worker = OpenWorker(services)
    async with services.database.reading() as view:
        assert len(await worker.deliveries.read(view, NOW)) == 2
        at = await worker.next_row_at(view, NOW)

    assert at == worker.deliveries.next_read == NOW + deliveries.REREAD


async def test_requests_to_cancel_are_read_only_after_such_a_change(services: Services) -> None:
    worker = OpenWorker(services)
    worker.housekeeping.next_turn = NOW + timedelta(hours=1)
    reads: list[bool] = []
    async with worker.tasks:
        for text in ("", "", CANCELS, ""):
            worker.wake(text)
            with statements() as executed:
                await worker.turn()
            reads.append(any("cancel_requested_at IS NOT NULL" in each for each in executed))
        services.coordination.announce(News.ROWS, CANCELS)
        with statements() as executed:
            await worker.turn()

    assert reads == [True, False, True, False]
    assert any("cancel_requested_at IS NOT NULL" in each for each in executed)


async def test_the_pause_lasts_until_work_is_due(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []
    timeout = asyncio.timeout

    def noted(seconds: float | None) -> asyncio.Timeout:
        waits.append(seconds)
        return timeout(0)

    worker = OpenWorker(services)
    monkeypatch.setattr(asyncio, "timeout", noted)
    await worker.pause()  # the housekeeping is due
    worker.housekeeping.next_turn = NOW + timedelta(hours=1)
    await worker.pause()
    for seconds in (-3600.0, 0.0, 0.005):
        worker.next_row = NOW + timedelta(seconds=seconds)
        await worker.pause()

    assert waits == [0, 3600, 0, 0, 0.005]


async def test_the_pause_ends_with_news(services: Services) -> None:
    worker = OpenWorker(services)
    worker.housekeeping.next_turn = NOW + timedelta(hours=1)
    news: list[Callable[[], None]] = [
        worker.wake,
        lambda: services.coordination.announce(News.ENDED, "g1"),
        lambda: services.coordination.announce(News.STREAM_LIVES, "oxen"),
        lambda: services.coordination.announce(News.ROWS),
    ]
    async with asyncio.timeout(20):
        for announce in news:
            worker.woken.clear()
            pausing = asyncio.create_task(worker.pause())
            await asyncio.sleep(0)
            assert not pausing.done()
            announce()
            await pausing
        worker.woken.clear()
        worker.stop()
        assert worker.woken.is_set()
        worker.woken.clear()
        await worker.pause()


async def test_a_worker_that_is_woken_once_makes_one_turn(
    services: Services, clock: Moment
) -> None:
    metrics = services.metrics
    worker = OpenWorker(services)
    worker.housekeeping.next_turn = NOW + timedelta(hours=1)
    running = asyncio.create_task(worker.run())
    await until(lambda: metrics.last_turn == NOW)
    clock.move(seconds=1)
    await asyncio.sleep(0.02)
    assert metrics.last_turn == NOW
    with statements() as executed:
        worker.wake()
        await until(lambda: metrics.last_turn == clock.now)
    assert any("count(*) AS number" in each for each in executed)
    last = clock.now
    clock.move(seconds=1)
    await asyncio.sleep(0.02)
    assert metrics.last_turn == last
    worker.stop()
    async with asyncio.timeout(20):
        await running


async def test_nothing_is_delivered_after_a_stop(services: Services) -> None:
    job = await one(services.database)
    async with services.database.transaction() as tx:
        await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)
    for stops in (True, False):
        worker = OpenWorker(services)
        if stops:
            worker.stop()
        else:
            worker.housekeeping.next_turn = NOW + timedelta(hours=1)
            worker.rows_changed = False
            running = asyncio.create_task(worker.run())
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait({running})
        async with services.database.reading() as view:
            assert await worker.deliveries.read(view, NOW)
        assert not worker.deliveries.begin()


async def test_the_leases_of_the_last_run_are_ended_once(services: Services) -> None:
    worker = OpenWorker(services)
    worker.housekeeping.next_turn = NOW + timedelta(hours=1)

    async def unleased() -> int:
        async with services.database.reading() as view:
            return len(await queue.unleased(view, NOW, providers=["oxen"]))

    async def claim(user_id: int) -> None:
        await one(services.database, new_job(user_id))
        terms = Terms("this process", NOW, NOW + timedelta(minutes=3))
        async with services.database.transaction() as tx:
            await claims.claim(tx, "oxen", terms, created_after=NOW - timedelta(minutes=1))

    async with worker.tasks:
        await claim(1)
        assert await unleased() == 0
        await worker.turn()
        assert await unleased() == 1
        await claim(2)
        await worker.turn()
        assert await unleased() == 1


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("is_expected", [True, False])
async def test_an_error_of_a_turn_is_followed_by_a_pause(
    services: Services, sleeps: Sleeps, caplog: pytest.LogCaptureFixture, is_expected: bool
) -> None:
    """Of an error of the database, the log has the cause already."""
    job = await one(services.database)
    worker = OpenWorker(services)
    if is_expected:
        async with unreadable(services.database):
            await worker.turn()
    else:
        async with services.database.transaction() as tx:
            await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)
            await tx.execute(update(table).values(reason="of a newer version"))
        await worker.turn()

    assert sleeps.seconds == [5.0]
    assert ("the worker's turn failed, retrying" in caplog.text) is not is_expected


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
