"""Errors on the way from a queued job to a running one, and in the worker itself."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.app import App
from bot.errors import ProviderError, Reason
from bot.health import FAILURES, Cause
from bot.jobs import Job, JobStatus
from bot.ledger import EntryKind
from bot.precedence import Precedence
from bot.sandbox.discord import Upload
from bot.sandbox.http.faults import Answer, Hold
from bot.store import claims, generations, jobs, ledger, tables
from bot.store.database import Database
from bot.store.leases import Terms
from bot.store.sqlite import READERS
from bot.worker.failover import Failover
from bot.worker.leases import Leases
from bot.worker.tasks import Tasks
from tests.support.cluster import sqlite_only
from tests.support.easel import Stage, worker_of
from tests.support.files import picture
from tests.support.rows import NOW, new_job, one
from tests.support.services import services_on
from tests.test_trouble import locked
from tests.worker.test_error_paths import pass_time, until

pytestmark = pytest.mark.long

QUEUE = "/api/ai/queue"
SKILLS_CREATE = "/api/v1/generation/.*"
FOLLOW_UP = r"/api/v10/webhooks/\d+/[^/]+"
CDN = "/ephemeral-attachments/.*"
BUSY = Answer(429, {"error": {"message": "Rate limit exceeded"}})
CAT = Upload("cat.png", picture())


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.3)
    monkeypatch.setattr("bot.worker.tasks.COOL_DOWN", 0.1)
    monkeypatch.setattr("bot.worker.worker.COOL_DOWN", 0.1)


async def put_back(at: Stage, *, since: Job | None = None) -> Job:
    """Wait until Ada's job is in the queue (again `since` then), not to be claimed at once."""
    known = {None, since.submit_after if since else None}
    async with asyncio.timeout(20):
        while True:
            for job in await at.jobs():
                if job.status is JobStatus.QUEUED and job.submit_after not in known:
                    return job
            await asyncio.sleep(0.02)


async def stored(database: Database, job: Job) -> Job | None:
    async with database.reading() as view:
        return await jobs.get(view, job.id)


async def claimed(database: Database) -> Job:
    async with database.transaction() as tx:
        job = await claims.claim(
            tx,
            "oxen",
            Terms("this process", NOW, NOW + timedelta(minutes=3)),
            created_after=NOW - timedelta(minutes=1),
        )
    assert job is not None
    return job


async def held_amounts(database: Database, job: Job) -> list[int]:
    async with database.reading() as view:
        entries = await ledger.entries_of(view, job.id)
    assert {entry.kind for entry in entries} == {EntryKind.HOLD}
    return [entry.amount for entry in entries]


@sqlite_only
async def test_new_addresses_that_cannot_be_stored_put_the_job_back(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.skills.faults.add("POST", SKILLS_CREATE, BUSY)
    async with at.easel() as app:
        await at.edit(CAT, model="skills")
        first = await put_back(at)
        copied = at.discord.faults.add("POST", FOLLOW_UP, Hold())
        await pass_time(at, app, minutes=12)  # the attachment's own address counts as gone
        await copied.reached()
        async with locked(at):
            copied.release()
            # The addresses are not stored, and then not the return to the queue.
            await until(lambda: caplog.text.count("the database cannot be used") > 1)
        again = await put_back(at, since=first)
        assert at.skills.generations == {}
        assert again.inputs == first.inputs
        await pass_time(at, app, seconds=3)
        (generation,) = await at.skills.created()
        await at.skills.settled(generation.id)
        await pass_time(at, app, seconds=3)  # for the next poll
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert job.inputs[0].copied
    assert len(at.skills.generations) == 1
    assert sum(each.method == "POST" for each in at.skills.requests) == 2  # one was refused
    assert await at.balance() == -20_000


async def test_a_refusal_is_stored_although_the_inputs_cannot_be_read(at: Stage) -> None:
    refused = at.oxen.faults.add("POST", QUEUE, Answer(503, BUSY.body, held=True))
    async with at.easel() as app:
        await at.edit(CAT, model="oxen")
        await refused.reached()
        async with AsyncExitStack() as reading:
            for _ in range(READERS):
                await reading.enter_async_context(app.services.database.reading())
            refused.release()
            job = await put_back(at)
        assert job.reason is Reason.UNAVAILABLE
        await pass_time(at, app, seconds=3)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.created()) == 2
    assert len(at.oxen.generations) == 1


async def test_a_job_that_is_settled_while_it_waits_for_a_download_is_delivered(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All members share one place here, so that one waits for another."""
    monkeypatch.setattr("bot.pictures.inputs.PLACES", 1)
    monkeypatch.setattr("bot.pictures.inputs.CHECK_TIMEOUT", 0.1)
    held = at.discord.faults.add("GET", CDN, Hold(), times=None)
    async with at.easel() as app:
        await at.edit(CAT, model="oxen")
        await held.reached(hits=2)  # the check of its first bytes, and the download
        await at.edit(CAT, model="oxen", by=at.ben)
        (job,) = await at.jobs(at.ben)
        await until(lambda: worker_of(app)._tasks.is_busy(job))
        await at.command("cancel", job=job.id, by=at.ben)
        async with asyncio.timeout(20):
            while not (await at.jobs(at.ben))[0].delivered_at:
                await asyncio.sleep(0.02)
        (job,), (other,) = await at.jobs(at.ben), await at.jobs()
        assert (job.status, other.status) == (JobStatus.CANCELED, JobStatus.QUEUED)
        held.remove()
        (other,) = await at.settled()

    assert other.status is JobStatus.SUCCEEDED
    assert await at.balance(at.ben) == 0
    assert len(at.created()) == 1


async def test_a_request_whose_outcome_another_task_has_found_is_left_alone(at: Stage) -> None:
    async with at.app() as app:
        database = app.services.database
        await one(database, new_job())
        job = await claimed(database)
        async with database.transaction() as tx:
            running = await jobs.start_running(tx, job.id, NOW)
            await generations.add(tx, job.id, "oxen", ["gen-1"])

        assert await worker_of(app)._recovery.reconcile(job) is None
        assert await stored(database, job) == running
        assert await held_amounts(database, job) == [-7_500]

    assert not any(each.path == QUEUE for each in at.oxen.requests)  # nothing was searched


async def test_a_refused_move_is_no_error_and_no_reason_to_wait(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job, other = await one(database), await one(database, new_job(2))
    calls: list[str] = []

    async def start_running(job: Job) -> None:
        async with database.transaction() as tx:
            await jobs.start_running(tx, job.id, NOW)  # a queued job was not claimed

    async def cancel_request(job: Job) -> None:
        async with database.transaction() as tx:
            await jobs.request_cancel(tx, job.id, NOW)

    async with Tasks(
        Leases(services_on(database, tmp_path, lambda: NOW)),
        Precedence(),
        wake=lambda: calls.append("wake"),
        ended=lambda: calls.append("ended"),
        goes_on=lambda _: False,
    ) as tasks:
        assert tasks.start(job, start_running(job))
        await until(lambda: not tasks.is_busy(job))
        assert calls == ["ended"]  # without the wake that follows a wait
        await tasks.start_all([(cancel_request, other)])
        await until(lambda: not tasks.is_busy(other))

    (line,) = (each for each in caplog.records if each.name == "bot.worker.tasks")
    assert (line.levelno, line.message) == (logging.INFO, f"job {job.id} cannot become running")
    assert await stored(database, job) == job
    changed = await stored(database, other)
    assert changed is not None
    assert changed.cancel_requested_at == NOW


async def test_an_unexpected_error_ends_the_task_of_one_job_only(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job, other = await one(database), await one(database, new_job(2))
    woken: list[bool] = []

    async def fail(job: Job) -> None:
        raise ValueError(job.id)

    async def cancel_request(job: Job) -> None:
        async with database.transaction() as tx:
            await jobs.request_cancel(tx, job.id, NOW)

    async with Tasks(
        Leases(services_on(database, tmp_path, lambda: NOW)),
        Precedence(),
        wake=lambda: woken.append(True),
        ended=lambda: None,
        goes_on=lambda _: False,
    ) as tasks:
        await tasks.start_all([(fail, job), (cancel_request, other)])
        assert not tasks.start(job, cancel_request(job))  # it has a task
        await until(lambda: not tasks.is_busy(job) and not tasks.is_busy(other))
        assert tasks.start(job, cancel_request(job))  # the retry
        await until(lambda: not tasks.is_busy(job))

    (line,) = (each for each in caplog.records if "unexpected error in a job" in each.message)
    assert line.exc_info is not None
    assert isinstance(line.exc_info[1], ValueError)
    assert len(woken) == 2  # for the retry, and by the other job
    for each in (job, other):
        changed = await stored(database, each)
        assert changed is not None
        assert changed.cancel_requested_at == NOW


async def test_a_task_that_is_canceled_before_it_begins_ends_in_order(
    database: Database, tmp_path: Path
) -> None:
    job = await one(database)
    ended: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async with Tasks(
        Leases(services_on(database, tmp_path, lambda: NOW)),
        Precedence(),
        wake=lambda: None,
        ended=lambda: None,
        goes_on=lambda _: False,
    ) as tasks:
        assert tasks.start(job, work())
        tasks.cancel(job.id)
        await until(lambda: not tasks.is_busy(job))

    assert ended == [True]


async def test_the_worker_goes_on_after_an_unexpected_error_in_its_turn(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that was changed by hand cannot be read, until it is repaired."""
    at.fails = True

    async def write_reason(job: Job, reason: str | None) -> None:
        row = update(tables.jobs).where(tables.jobs.c.id == job.id)
        async with at.database() as database, database.transaction() as tx:
            await tx.execute(row.values(reason=reason))

    at.oxen.faults.add("POST", QUEUE, BUSY)
    async with at.easel() as app:
        await at.imagine("a fox", model="oxen")
        job = await put_back(at)
        await write_reason(job, "nonsense")
        await pass_time(at, app, seconds=5)
        await until(lambda: caplog.text.count("the worker's turn failed, retrying") > 1)
        assert len(at.created()) == 1
        await write_reason(job, None)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert "'nonsense' is not a valid Reason" in caplog.text
    assert len(at.created()) == 2


async def test_a_queued_job_waits_for_its_key_and_others_go_on(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.oxen.faults.add("POST", QUEUE, BUSY)
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await put_back(at)
    at.clock.move(seconds=5)
    async with at.easel(oxen_api_key=None) as app:
        await at.imagine("a hen", by=at.ben)
        (generation,) = await at.skills.created()
        await at.skills.settled(generation.id)
        await pass_time(at, app, seconds=3)  # for the next poll
        await at.result("a hen")
        (job,) = await at.jobs()
        assert job.status is JobStatus.QUEUED
        assert "turn failed" not in caplog.text
    async with at.easel():
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.created()) == 2
    assert [each.request.model for each in await at.jobs(at.ben)] == ["skills"]


def take_down(app: App, *providers: str) -> Failover:
    """Let requests of different members fail at these providers."""
    for provider in providers:
        for user_id in range(FAILURES):
            error = ProviderError(Reason.UNAVAILABLE)
            app.services.health.submitted(provider, Cause(user_id), error)
        assert provider in app.services.health.down
    return worker_of(app)._housekeeping._failover


async def test_a_job_stays_if_the_other_provider_has_gone_down_meanwhile(at: Stage) -> None:
    async with at.app() as app:
        database = app.services.database
        job = await one(database, replace(new_job(), model_auto=True))
        failover = take_down(app, "oxen")
        async with database.reading() as view:
            due = await failover.due(view, NOW)
        assert [each.id for method, each in due if method == failover.hand_over] == [job.id]
        take_down(app, "skills")
        for method, each in due:
            await method(each)

        assert await stored(database, job) == job
        assert await held_amounts(database, job) == [-7_500]


async def test_a_job_that_was_claimed_meanwhile_is_not_handed_over(at: Stage) -> None:
    async with at.app() as app:
        database = app.services.database
        job = await one(database, replace(new_job(), model_auto=True))
        failover = take_down(app, "oxen")
        submitting = await claimed(database)
        await failover.hand_over(job)

        assert await stored(database, job) == submitting
        assert (submitting.status, submitting.provider) == (JobStatus.SUBMITTING, "oxen")
        assert await held_amounts(database, job) == [-7_500]


async def test_only_a_request_that_the_other_model_takes_is_handed_over(at: Stage) -> None:
    async with at.app() as app:
        database = app.services.database
        wide = await one(database, replace(new_job(aspect_ratio="2:1"), model_auto=True))
        plain = await one(database, replace(new_job(2), model_auto=True))
        failover = take_down(app, "oxen")
        async with database.reading() as view:
            due = await failover.due(view, NOW)
        moving = [job.id for method, job in due if method == failover.hand_over]
        await failover.hand_over(wide)
        await failover.hand_over(plain)

        assert moving == [plain.id]
        assert await stored(database, wide) == wide
        assert await held_amounts(database, wide) == [-7_500]
        moved = await stored(database, plain)
        assert moved is not None
        assert (moved.provider, moved.request.model, moved.price) == ("skills", "skills", 20_000)
        assert await held_amounts(database, plain) == [-7_500, 7_500, -20_000]
