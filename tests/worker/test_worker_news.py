"""What news change for the jobs that a worker polls, and the work that a job alone begins."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.health import Circuit, CircuitState
from bot.jobs import Job, JobStatus
from bot.providers.base import Submitted, Waiting
from bot.sandbox.http.faults import HoldBefore
from bot.sandbox.oxen.server import FakeOxen
from bot.services import Services
from bot.store import generations, jobs, leases, settlement
from bot.store.backends import open_database
from bot.store.coordination import News
from bot.store.database import Database
from bot.store.jobs import MoveRefused
from bot.store.leases import Terms
from tests.providers.clients import oxen_at
from tests.support import cluster
from tests.support.duties import without_duties
from tests.support.open_worker import OpenWorker
from tests.support.rows import NOW, new_job, one
from tests.support.services import services_on
from tests.support.streams import HeldStream


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
async def service() -> AsyncIterator[FakeOxen]:
    async with FakeOxen() as opened:
        opened.manual = True
        yield opened


@pytest.fixture
async def services(
    database: Database, tmp_path: Path, service: FakeOxen
) -> AsyncIterator[Services]:
    async with aiohttp.ClientSession() as session:
        oxen = oxen_at(session, service.url, key=service.key)
        yield services_on(database, tmp_path, lambda: NOW, providers={"oxen": oxen})


@pytest.fixture
async def worker(services: Services) -> AsyncIterator[OpenWorker]:
    made = OpenWorker(services)
    async with made.tasks:
        yield made


async def polled(worker: OpenWorker, remote_id: str = "g1", user_id: int = 1) -> Job:
    """Return a job that runs and is polled here."""
    database = worker.services.database
    job = await one(database, new_job(user_id))
    async with database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        running = await jobs.start_running(tx, job.id, NOW)
        await generations.add(tx, job.id, "oxen", [remote_id])
    await worker.poller.begin(running, [Submitted(remote_id, Waiting())])
    return running


def next_poll(worker: OpenWorker) -> float:
    """Return the seconds until the next poll."""
    at = worker.poller.next_poll(NOW)
    assert at is not None
    return (at - NOW).total_seconds()


async def test_a_report_of_an_end_brings_the_poll_forward(worker: OpenWorker) -> None:
    await polled(worker)
    assert next_poll(worker) > 1
    worker.services.coordination.announce(News.ENDED, "unknown")
    assert next_poll(worker) > 1
    worker.services.coordination.announce(News.ENDED, "g1")
    assert next_poll(worker) == 0


async def test_while_a_stream_lives_a_job_is_polled_later(worker: OpenWorker) -> None:
    announce = worker.services.coordination.announce
    announce(News.STREAM_LIVES, "oxen")
    assert worker.poller.take_behind() == ["oxen"]
    await polled(worker)
    later = next_poll(worker)
    announce(News.STREAM_ENDED, "oxen")
    assert next_poll(worker) < later / 2


async def test_jobs_that_may_have_ended_unreported_are_looked_for(
    worker: OpenWorker, service: FakeOxen
) -> None:
    """By one list for all of them."""
    for number in range(2):
        await polled(worker, f"g{number}", number)
    worker.services.coordination.announce(News.STREAM_LIVES, "oxen")
    await worker.turn()
    async with asyncio.timeout(20):
        while next_poll(worker):
            await asyncio.sleep(0.005)
    lists = [each for each in service.requests if each.path == "/api/ai/queue"]
    assert len(lists) == 1


async def test_a_due_poll_is_made_once(worker: OpenWorker, service: FakeOxen) -> None:
    held = service.faults.add("GET", "/api/ai/queue/g1", HoldBefore())
    job = await polled(worker)
    worker.housekeeping.next_turn = NOW.replace(year=2027)
    worker.services.coordination.announce(News.ENDED, "g1")
    await worker.turn()
    await held.reached()
    assert worker.tasks.is_busy(job)
    assert worker.poller.next_poll(NOW) is None
    held.release()


async def test_a_process_without_the_duty_sends_no_probe(
    services: Services, service: FakeOxen
) -> None:
    worker = OpenWorker(without_duties(services))
    worker.services.health.adopt("oxen", CircuitState(Circuit.OPEN, NOW, NOW))
    async with worker.tasks:
        await worker.turn()

    assert service.requests == []


async def test_the_end_of_a_download_frees_its_slot_and_reads_the_rows(worker: OpenWorker) -> None:
    """Also if the job was settled meanwhile."""
    database = worker.services.database
    job = await one(database)
    async with database.transaction() as tx:
        await settlement.cancel(tx, job.id, NOW)
    assert worker.downloads.choose([job]) == [job]
    assert worker.downloads.choose([await one(database)]) == []  # one of each member
    worker.rows_changed = False
    await worker.store_inputs(job)

    assert worker.rows_changed
    assert worker.downloads.choose([job]) == [job]


async def test_downloads_of_four_members_begin_at_once(worker: OpenWorker) -> None:
    found = [await one(worker.services.database, new_job(user_id)) for user_id in range(6)]

    assert worker.downloads.choose(found) == found[:4]


async def test_a_job_with_a_task_is_not_idle(worker: OpenWorker) -> None:
    busy, idle = [await one(worker.services.database, new_job(each)) for each in (1, 2)]
    ends = asyncio.Event()

    async def work() -> None:
        await ends.wait()

    worker.tasks.start(busy, work())
    assert worker.idle([busy, idle]) == [idle]
    ends.set()


async def test_a_job_is_polled_on_schedule_once_its_stream_is_over(worker: OpenWorker) -> None:
    job, held = await polled(worker), HeldStream()
    worker.streams.hold(job.id, held)
    soon = next_poll(worker)
    worker.follow_stream(job.id)
    assert next_poll(worker) > 5 * soon
    held.over.set()
    async with asyncio.timeout(20):
        while not held.closed:
            await asyncio.sleep(0)
    assert next_poll(worker) < 5 * soon


async def test_the_stream_of_a_job_that_is_not_polled_is_followed_by_nobody(
    worker: OpenWorker,
) -> None:
    held = HeldStream()
    worker.streams.hold("unknown", held)
    worker.follow_stream("unknown")
    worker.streams.close_unfollowed("unknown")
    assert held.closed == 1


async def test_a_submit_that_fails_leaves_no_stream_open(worker: OpenWorker) -> None:
    """The job has not been claimed."""
    job, held = await one(worker.services.database), HeldStream()
    worker.streams.hold(job.id, held)
    worker.submits["oxen"][job.user_id] += 1
    with pytest.raises(MoveRefused):
        await worker.submit(job)

    assert held.closed == 1
    assert not worker.submits["oxen"]


async def test_the_stream_of_a_settled_job_is_closed(worker: OpenWorker, service: FakeOxen) -> None:
    (made,) = (await worker.services.providers["oxen"].submit(new_job().request, 1)).generations
    job, held = await polled(worker, made.remote_id), HeldStream()
    worker.streams.hold(job.id, held)
    worker.follow_stream(job.id)
    await worker.poll(job.id)
    assert held.closed == 0
    service.advance(made.remote_id, "failed")
    await worker.poll(job.id)

    assert held.closed > 0


@pytest.mark.long
async def test_a_download_of_a_job_that_another_process_has_takes_no_slot(
    postgres_url: str, tmp_path: Path
) -> None:
    async with open_database(postgres_url) as database:
        job = await one(database)
        async with database.transaction() as tx:
            assert await leases.take(tx, [job], Terms("another", NOW, None))
        worker = OpenWorker(services_on(database, tmp_path, lambda: NOW))
        async with worker.tasks:
            await worker.start_downloads(worker.downloads.choose([job]))
            assert not worker.tasks.busy
        assert worker.downloads.choose([job]) == [job]
