"""The worker's turns by themselves: what begins in one, and when the next one comes.

Discord is not connected here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.health import Circuit, CircuitState
from bot.jobs import Job, JobStatus
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.sandbox.oxen.server import FakeOxen
from bot.services import Services
from bot.store import generations, jobs, settlement
from bot.store.coordination import Alone
from bot.store.database import Database
from bot.store.jobs import MoveRefused
from bot.worker.worker import BUSY_WAIT
from tests.providers.clients import oxen_at
from tests.support import cluster
from tests.support.clock import Moment
from tests.support.duties import without_duties
from tests.support.menus import until
from tests.support.open_worker import OpenWorker
from tests.support.rows import NOW, add, new_job, one
from tests.support.services import services_on
from tests.support.streams import HeldStream

QUEUE = "/api/ai/queue"
MOMENT = timedelta(milliseconds=1)

pytestmark = pytest.mark.usefixtures("no_waits_between_attempts")


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
async def service() -> AsyncIterator[FakeOxen]:
    async with FakeOxen() as opened:
        opened.manual = True
        yield opened


@pytest.fixture
def clock() -> Moment:
    return Moment()


@pytest.fixture
async def services(
    database: Database, tmp_path: Path, service: FakeOxen, clock: Moment
) -> AsyncIterator[Services]:
    async with aiohttp.ClientSession() as session:
        oxen = oxen_at(session, service.url, key=service.key)
        yield services_on(database, tmp_path, clock, providers={"oxen": oxen})


async def stored(database: Database, job: Job) -> Job:
    async with database.reading() as view:
        found = await jobs.get(view, job.id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("workers", "circuit", "slots"),
    [
        (1, Circuit.CLOSED, 4),
        (2, Circuit.CLOSED, 2),
        (3, Circuit.CLOSED, 1),
        (9, Circuit.CLOSED, 1),
        (1, Circuit.HALF_OPEN, 1),
        (9, Circuit.HALF_OPEN, 1),
        (1, Circuit.OPEN, 0),
        (9, Circuit.OPEN, 0),
    ],
)
async def test_workers_share_the_slots_of_a_provider(
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    circuit: Circuit,
    slots: int,
) -> None:
    monkeypatch.setattr(Alone, "workers", workers)
    services.health.adopt("oxen", CircuitState(circuit))

    assert OpenWorker(services).submit_slots("oxen") == slots


async def test_only_the_process_that_probes_submits_after_a_probe(
    services: Services,
) -> None:
    services.health.adopt("oxen", CircuitState(Circuit.HALF_OPEN))

    assert OpenWorker(without_duties(services)).submit_slots("oxen") == 0


async def test_claims_fill_the_slots_and_leave_the_last_to_another_member(
    services: Services, service: FakeOxen
) -> None:
    held = service.faults.add("POST", QUEUE, HoldBefore(), times=None)
    async with services.database.transaction() as tx:
        for number in range(6):
            await add(tx, new_job(1, prompt=f"a fox {number}"))
    worker = OpenWorker(services)
    async with worker.tasks:
        await worker.claim("oxen")
        await worker.claim("unknown")
        await held.reached(hits=3)
        assert worker.submits["oxen"] == {1: 3}
        await one(services.database, new_job(2))
        await worker.claim("oxen")
        await held.reached(hits=4)
        await one(services.database, new_job(3))
        await worker.claim("oxen")
        assert worker.submits["oxen"] == {1: 3, 2: 1}
        worker.rows_changed = False
        held.remove()
        await until(lambda: not worker.tasks.busy)
        worker.streams.stop()

    assert not worker.submits["oxen"]
    assert worker.rows_changed
    assert len(worker.poller.watched) == 4


async def test_a_claimed_job_that_has_another_task_is_put_back_for_a_moment(
    services: Services, clock: Moment
) -> None:
    job = await one(services.database)
    worker, ends = OpenWorker(services), asyncio.Event()

    async def work() -> None:
        await ends.wait()

    async with worker.tasks:
        worker.tasks.start(job, work())
        await worker.claim("oxen")
        found = await stored(services.database, job)
        assert (found.status, found.submit_after) == (JobStatus.QUEUED, NOW + BUSY_WAIT)
        assert not worker.submits["oxen"]
        ends.set()
    assert timedelta(milliseconds=200) == BUSY_WAIT


async def test_a_named_job_is_sent_with_each_probe_of_a_provider_that_is_down(
    services: Services, service: FakeOxen, clock: Moment
) -> None:
    """One at a time, and none of a member who named no model."""
    auto = await one(services.database, replace(new_job(at=NOW), model_auto=True))
    old = await one(services.database, new_job(2, at=NOW - MOMENT))
    named = [await one(services.database, new_job(user, at=NOW)) for user in (3, 4)]
    held = service.faults.add("POST", QUEUE, HoldBefore(), times=None)
    service.faults.add("GET", "/api/ai/models/.*", Answer(503, "<html>"), times=None)
    services.health.adopt("oxen", CircuitState(Circuit.OPEN, NOW, NOW + timedelta(seconds=5)))
    worker = OpenWorker(services)
    async with worker.tasks:
        await worker.probe()
        assert not worker.submits["oxen"]  # no probe is due
        clock.now = NOW + timedelta(seconds=5)
        await worker.probe()
        await held.reached()
        assert worker.submits["oxen"].total() == 1
        await until(lambda: not services.health.of("oxen").probing)
        clock.now += timedelta(minutes=5)
        await worker.probe()
        assert worker.submits["oxen"].total() == 1  # while one is on the way
        held.remove()
        await until(lambda: not worker.submits["oxen"])
        worker.streams.stop()

    found = [(await stored(services.database, each)).status for each in (auto, old, *named)]
    assert found[:2] == [JobStatus.QUEUED] * 2
    assert found.count(JobStatus.RUNNING) == 1


async def test_a_probe_of_a_suspected_provider_sends_no_job(
    services: Services, service: FakeOxen
) -> None:
    job = await one(services.database)
    services.health.adopt("oxen", CircuitState(Circuit.CLOSED, None, NOW))
    worker = OpenWorker(services)
    async with worker.tasks:
        await worker.probe()
        await until(lambda: services.health.of("oxen").probe_at is None)
    assert (await stored(services.database, job)).status is JobStatus.QUEUED
    assert [each.path for each in service.requests] == ["/api/ai/models/qwen-image-2"]


async def test_a_probe_that_fails_is_an_answer(services: Services, service: FakeOxen) -> None:
    service.faults.add("GET", "/api/ai/models/.*", Answer(503, "<html>"), times=None)
    services.health.adopt("oxen", CircuitState(Circuit.OPEN, NOW, NOW))
    assert services.health.due_probes() == ["oxen"]
    worker = OpenWorker(services)
    await worker.ping("oxen")
    assert "oxen" in services.health.down
    assert services.health.of("oxen").probe_at != NOW


async def test_a_poll_is_postponed_while_the_job_has_another_task(
    services: Services, clock: Moment
) -> None:
    job = await one(services.database)
    async with services.database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        running = await jobs.start_running(tx, job.id, NOW)
    worker, ends = OpenWorker(services), asyncio.Event()

    async def work() -> None:
        await ends.wait()

    async with worker.tasks:
        await worker.poller.begin_all([running])
        clock.now = NOW + timedelta(minutes=1)
        worker.edits.later(running, timedelta(0))
        worker.tasks.start(running, work())
        await worker.turn()
        later = clock.now + BUSY_WAIT
        assert worker.poller.next_poll(clock.now) == later
        assert worker.edits.next_due == later
        ends.set()


async def test_a_stopped_worker_ends_with_its_tasks(services: Services, service: FakeOxen) -> None:
    held = service.faults.add("POST", QUEUE, HoldBefore())
    job = await one(services.database)
    worker = OpenWorker(services)
    running = asyncio.create_task(worker.run())
    await held.reached()
    worker.stop()
    await asyncio.sleep(0.02)
    assert not running.done()
    held.release()
    async with asyncio.timeout(20):
        await running
    assert (await stored(services.database, job)).status is JobStatus.RUNNING


async def test_a_canceled_worker_ends_in_order(services: Services, service: FakeOxen) -> None:
    held = service.faults.add("POST", QUEUE, HoldBefore())
    await one(services.database)
    worker = OpenWorker(services)
    running = asyncio.create_task(worker.run())
    await held.reached()
    running.cancel()
    async with asyncio.timeout(20):
        await asyncio.wait({running})

    assert running.cancelled()
    assert not worker.deliveries.begin()
    held.remove()


async def polled(services: Services, worker: OpenWorker, remote_id: str = "g1") -> Job:
    """Return a job that runs and is polled here."""
    job = await one(services.database)
    async with services.database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        running = await jobs.start_running(tx, job.id, NOW)
        await generations.add(tx, job.id, "oxen", [remote_id])
    await worker.poller.begin_all([running])
    return running


async def test_all_work_on_a_job_that_is_lost_ends(services: Services) -> None:
    worker, begun, ended = OpenWorker(services), asyncio.Event(), list[str]()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    stream = HeldStream()
    async with worker.tasks:
        job = await polled(services, worker)
        worker.streams.hold(job.id, stream)
        worker.follow_stream(job.id)
        worker.tasks.start(job, work())
        await begun.wait()
        worker.lost(job.id)
        await until(lambda: not worker.tasks.busy)

    assert not worker.poller.is_watching(job.id)
    assert "task" in ended
    assert stream.closed


async def test_a_job_that_was_settled_elsewhere_is_polled_no_more(
    services: Services, service: FakeOxen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (made,) = (await services.providers["oxen"].submit(new_job().request, 1)).generations
    service.advance(made.remote_id, "failed")
    worker = OpenWorker(services)
    async with worker.tasks:
        job = await polled(services, worker, made.remote_id)
        async with services.database.transaction() as tx:
            await settlement.cancel(tx, job.id, NOW)
        with pytest.raises(MoveRefused):
            await worker.poll(job.id)

    assert not worker.poller.is_watching(job.id)


async def test_the_rows_are_read_after_a_poll_that_settles_the_job(
    services: Services, service: FakeOxen
) -> None:
    (made,) = (await services.providers["oxen"].submit(new_job().request, 1)).generations
    worker = OpenWorker(services)
    worker.rows_changed = False
    async with worker.tasks:
        job = await polled(services, worker, made.remote_id)
        await worker.poll(job.id)
        found = [(worker.rows_changed, worker.poller.is_watching(job.id))]
        service.advance(made.remote_id, "failed")
        await worker.poll(job.id)

    assert [*found, (worker.rows_changed, worker.poller.is_watching(job.id))] == [
        *((False, True), (True, False))
    ]
    assert (await stored(services.database, job)).status is JobStatus.FAILED
