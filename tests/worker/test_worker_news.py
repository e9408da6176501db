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
from bot.store.coordination import Alone, Duty, News
from bot.store.database import Database
from bot.store.jobs import MoveRefused
from bot.store.leases import Terms
from bot.worker.worker import Worker
from tests.providers.clients import oxen_at
from tests.support import cluster
from tests.support.rows import NOW, new_job, one
from tests.support.services import services_on


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
async def service() -> AsyncIterator[FakeOxen]:
    async with FakeOxen() as opened:
        opened.manual = True
        yield opened


@pytest.fixture
async def worker(database: Database, tmp_path: Path, service: FakeOxen) -> AsyncIterator[Worker]:
    async with aiohttp.ClientSession() as session:
        oxen = oxen_at(session, service.url, key=service.key)
        services = services_on(database, tmp_path, lambda: NOW, providers={"oxen": oxen})
        made = Worker(services)
        async with made._tasks:
            yield made


def services_of(worker: Worker) -> Services:
    return worker._services


async def polled(worker: Worker, remote_id: str = "g1", user_id: int = 1) -> Job:
    """Return a job that runs and is polled here."""
    database = services_of(worker).database
    job = await one(database, new_job(user_id))
    async with database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        running = await jobs.start_running(tx, job.id, NOW)
        await generations.add(tx, job.id, "oxen", [remote_id])
    await worker._poller.begin(running, [Submitted(remote_id, Waiting())])
    return running


def next_poll(worker: Worker) -> float:
    """Return the seconds until the next poll."""
    at = worker._poller.next_poll(NOW)
    assert at is not None
    return (at - NOW).total_seconds()


async def test_a_report_of_an_end_brings_the_poll_forward(worker: Worker) -> None:
    await polled(worker)
    assert next_poll(worker) > 1
    services_of(worker).coordination.announce(News.ENDED, "unknown")
    assert next_poll(worker) > 1
    services_of(worker).coordination.announce(News.ENDED, "g1")
    assert next_poll(worker) == 0


async def test_while_a_stream_lives_a_job_is_polled_later(worker: Worker) -> None:
    announce = services_of(worker).coordination.announce
    announce(News.STREAM_LIVES, "oxen")
    assert worker._poller.take_behind() == ["oxen"]
    await polled(worker)
    later = next_poll(worker)
    announce(News.STREAM_ENDED, "oxen")
    assert next_poll(worker) < later / 2


async def test_jobs_that_may_have_ended_unreported_are_looked_for(
    worker: Worker, service: FakeOxen
) -> None:
    """By one list for all of them."""
    for number in range(2):
        await polled(worker, f"g{number}", number)
    services_of(worker).coordination.announce(News.STREAM_LIVES, "oxen")
    await worker._turn()
    async with asyncio.timeout(5):
        while next_poll(worker):
            await asyncio.sleep(0.005)
    lists = [each for each in service.requests if each.path == "/api/ai/queue"]
    assert len(lists) == 1


async def test_a_due_poll_is_made_once(worker: Worker, service: FakeOxen) -> None:
    held = service.faults.add("GET", "/api/ai/queue/g1", HoldBefore())
    job = await polled(worker)
    worker._housekeeping.next_turn = NOW.replace(year=2027)
    services_of(worker).coordination.announce(News.ENDED, "g1")
    await worker._turn()
    await held.reached()
    assert worker._tasks.is_busy(job)
    assert worker._poller.next_poll(NOW) is None
    held.release()


async def test_a_process_without_the_duty_sends_no_probe(
    worker: Worker, service: FakeOxen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alone, "has", lambda self, duty: duty is not Duty.PROBES)
    services_of(worker).health.adopt("oxen", CircuitState(Circuit.OPEN, NOW, NOW))
    await worker._turn()
    await asyncio.sleep(0.02)

    assert service.requests == []


async def test_the_end_of_a_download_frees_its_slot_and_reads_the_rows(worker: Worker) -> None:
    """Also if the job was settled meanwhile."""
    database = services_of(worker).database
    job = await one(database)
    async with database.transaction() as tx:
        await settlement.cancel(tx, job.id, NOW)
    assert worker._downloads.choose([job]) == [job]
    assert worker._downloads.choose([await one(database)]) == []  # one of each member
    worker._rows_changed = False
    await worker._store_inputs(job)

    assert worker._rows_changed
    assert worker._downloads.choose([job]) == [job]


async def test_downloads_of_four_members_begin_at_once(worker: Worker) -> None:
    found = [await one(services_of(worker).database, new_job(user_id)) for user_id in range(6)]

    assert worker._downloads.choose(found) == found[:4]


async def test_a_job_with_a_task_is_not_idle(worker: Worker) -> None:
    busy, idle = [await one(services_of(worker).database, new_job(each)) for each in (1, 2)]
    ends = asyncio.Event()

    async def work() -> None:
        await ends.wait()

    worker._tasks.start(busy, work())
    assert worker._idle([busy, idle]) == [idle]
    ends.set()


class Held:
    """The stream of a submit, which ends when a test says so."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.closed = 0

    async def ends(self) -> AsyncIterator[str]:
        await self.over.wait()
        for remote_id in list[str]():
            yield remote_id

    def close(self) -> None:
        self.closed += 1


async def test_a_job_is_polled_on_schedule_once_its_stream_is_over(worker: Worker) -> None:
    job, held = await polled(worker), Held()
    worker._streams.hold(job.id, held)
    soon = next_poll(worker)
    worker._follow_stream(job.id)
    assert next_poll(worker) > 5 * soon
    held.over.set()
    async with asyncio.timeout(5):
        while not held.closed:
            await asyncio.sleep(0)
    assert next_poll(worker) < 5 * soon


async def test_the_stream_of_a_job_that_is_not_polled_is_followed_by_nobody(
    worker: Worker,
) -> None:
    held = Held()
    worker._streams.hold("unknown", held)
    worker._follow_stream("unknown")
    worker._streams.close_unfollowed("unknown")
    assert held.closed == 1


async def test_a_submit_that_fails_leaves_no_stream_open(worker: Worker) -> None:
    """The job has not been claimed."""
    job, held = await one(services_of(worker).database), Held()
    worker._streams.hold(job.id, held)
    worker._submits["oxen"][job.user_id] += 1
    with pytest.raises(MoveRefused):
        await worker._submit(job)

    assert held.closed == 1
    assert not worker._submits["oxen"]


async def test_the_stream_of_a_settled_job_is_closed(worker: Worker, service: FakeOxen) -> None:
    (made,) = (await services_of(worker).providers["oxen"].submit(new_job().request, 1)).generations
    job, held = await polled(worker, made.remote_id), Held()
    worker._streams.hold(job.id, held)
    worker._follow_stream(job.id)
    await worker._poll(job.id)
    assert held.closed == 0
    service.advance(made.remote_id, "failed")
    await worker._poll(job.id)

    assert held.closed > 0


@pytest.mark.long
async def test_a_download_of_a_job_that_another_process_has_takes_no_slot(
    postgres_url: str, tmp_path: Path
) -> None:
    async with open_database(postgres_url) as database:
        job = await one(database)
        async with database.transaction() as tx:
            assert await leases.take(tx, [job], Terms("another", NOW, None))
        worker = Worker(services_on(database, tmp_path, lambda: NOW))
        async with worker._tasks:
            await worker._start_downloads(worker._downloads.choose([job]))
            assert not worker._tasks.busy
        assert worker._downloads.choose([job]) == [job]
