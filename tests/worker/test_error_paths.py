"""Errors on the way from a running job to a paid and delivered one: each is asked about again."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from bot.app import App
from bot.backoff import Backoff
from bot.errors import Reason
from bot.jobs import TOKEN_MARGIN, JobStatus
from bot.sandbox.http.faults import Answer, Hold, ResetAfter
from bot.store import jobs
from bot.store.sqlite import READERS
from tests.support import cluster
from tests.support.cluster import sqlite_only
from tests.support.easel import Stage, worker_of

pytestmark = pytest.mark.long

QUEUE = "/api/ai/queue"
COST = "/api/ai/generations/.+"
SKILLS_ROW = r"/api/v1/generation/gen_\w+"
SKILLS_CREATE = "/api/v1/generation/.*"
PICTURE = "/api/repos/.*"
SEND = r"/api/v10/channels/\d+/messages"
REFUSED = Answer(400, {"error": {"message": "not at the moment"}})  # no client repeats a 400


@pytest.fixture(params=["sqlite"])  # the connections to services are tested, no new statement
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def until(happened: Callable[[], bool], *, timeout: float = 20.0) -> None:
    async with asyncio.timeout(timeout):
        while not happened():
            await asyncio.sleep(0.01)


async def pass_time(at: Stage, app: App, **by: float) -> None:
    """Move the clock, and let the worker look at the rows now instead of in two seconds.

    Tasks end first: a job that has one would be left out of this look.
    """
    await until(lambda: not worker_of(app)._tasks._busy)
    at.clock.move(**by)
    worker_of(app).wake()


async def loss_amounts(at: Stage) -> list[int]:
    return [entry.amount for entry in await at.losses()]


async def test_a_late_cost_that_cannot_be_asked_for_is_asked_for_again(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.oxen.charge_failed = True
    at.oxen.fail_next("Out of memory")
    refused = at.oxen.faults.add("GET", COST, REFUSED, times=None)
    async with at.easel() as app:
        await at.imagine("a fox", model="oxen")
        await at.settled()
        asked = refused.hits
        await pass_time(at, app, minutes=2)
        await until(lambda: "without a picture not reported, retrying" in caplog.text)
        assert refused.hits == asked + 1
        assert await at.losses() == []
        await pass_time(at, app, minutes=4)  # less than the wait
        assert refused.hits == asked + 1

        refused.remove()
        await pass_time(at, app, minutes=6)
        async with asyncio.timeout(20):
            while not await at.losses():
                await asyncio.sleep(0.02)

    assert await loss_amounts(at) == [-7_500]
    assert await at.balance() == 0


async def test_an_overdue_generation_that_cannot_be_polled_is_polled_again(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.skills.hold_generations()
    async with at.easel(job_timeout=30) as app:
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        await pass_time(at, app, seconds=31)
        await at.said("did not finish in time")
        await at.settled()
        at.skills.release_generations()
        await at.skills.settled(next(iter(at.skills.generations)))
        refused = at.skills.faults.add("GET", SKILLS_ROW, REFUSED, times=None)
        await pass_time(at, app, minutes=6)
        await until(lambda: "poll of an overdue generation failed" in caplog.text)
        assert await at.balance() == 0

        refused.remove()
        await pass_time(at, app, minutes=6)
        await at.result("a fox")
        (job,) = await at.settled()

    assert (job.status, job.cost) == (JobStatus.FAILED, 20_000)
    assert await at.balance() == -20_000


async def test_a_submit_whose_key_was_taken_out_is_a_loss_after_a_day(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is known of it: the program ended before the service had answered."""
    held = at.skills.faults.add("POST", SKILLS_CREATE, Hold())
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await held.reached()
    at.clock.move(hours=24, minutes=9)
    async with at.easel(skills_api_key=None) as app:
        (job,) = await at.jobs()
        assert job.status is JobStatus.SUBMITTING
        assert "has no key" not in caplog.text
        await pass_time(at, app, minutes=2)
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.DOUBTFUL)
    assert [(each.amount, each.reason) for each in await at.losses()] == [
        (-20_000, "unknown outcome")
    ]
    assert await at.balance() == 0
    (line,) = (each for each in caplog.records if "has no key: job failed" in each.message)
    assert line.levelno == logging.ERROR


@sqlite_only  # the wait between two searches is a lease, which PostgreSQL's own clock ends
async def test_a_search_for_lost_generations_that_fails_is_repeated(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.oxen.faults.add("POST", QUEUE, ResetAfter())
    refused = at.oxen.faults.add("GET", QUEUE, REFUSED, times=None)
    async with at.easel() as app:
        await at.imagine("a fox", model="oxen")
        await until(lambda: "provider cannot be searched" in caplog.text)
        await pass_time(at, app, minutes=11)
        (job,) = await at.settled()
        assert (job.status, job.reason) == (JobStatus.FAILED, Reason.DOUBTFUL)
        assert await loss_amounts(at) == [-7_500]
        await pass_time(at, app, minutes=6)
        await until(lambda: "generations of an unknown outcome not searched" in caplog.text)

        refused.remove()
        await at.oxen.settled(next(iter(at.oxen.generations)))
        await pass_time(at, app, minutes=6)
        await until(lambda: "of a failed job with an unknown outcome" in caplog.text)
        assert sum(await loss_amounts(at)) == 0
        await pass_time(at, app, minutes=6)
        await at.result("a fox")
        (job,) = await at.settled()

    assert (job.status, job.cost) == (JobStatus.FAILED, 7_500)
    assert await at.balance() == -7_500
    assert len(at.created()) == 1


async def test_a_finished_generation_without_picture_and_cost_is_a_loss_of_its_price(
    at: Stage,
) -> None:
    at.oxen.cost_delay = None
    at.oxen.faults.add("GET", PICTURE, Answer(200, b"<html>no picture</html>"), times=None)
    async with at.easel():
        await at.imagine("a fox", model="oxen", count=2)
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.NO_PICTURE)
    assert await loss_amounts(at) == [-7_500, -7_500]  # of 15 credits for two
    assert {each.reason for each in await at.losses()} == at.oxen.generations.keys()
    assert await at.balance() == 0


@sqlite_only
async def test_a_picture_that_cannot_be_written_harms_no_other_job(
    at: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is where the folder of the pictures should be."""
    at.fails = True
    monkeypatch.setattr("bot.worker.tasks.COOL_DOWN", 0.1)
    at.skills.faults.add("POST", SKILLS_CREATE, REFUSED)
    obstacle = at.folder / "pictures"
    async with at.easel():
        assert not obstacle.exists()
        obstacle.touch()
        await at.imagine("a fox", model="oxen")
        await until(lambda: "unexpected error in a job, retrying" in caplog.text)
        (job,) = await at.jobs()
        assert job.status is JobStatus.RUNNING

        await at.imagine("a hen", model="skills", by=at.ben)
        async with asyncio.timeout(20):
            while not (await at.jobs(at.ben))[0].delivered_at:
                await asyncio.sleep(0.02)
        (other,) = await at.jobs(at.ben)
        (job,) = await at.jobs()
        assert (other.status, job.status) == (JobStatus.FAILED, JobStatus.RUNNING)

        obstacle.unlink()
        await at.result("a fox")
        (job,) = await at.settled()

    assert "FileExistsError" in caplog.text or "NotADirectoryError" in caplog.text
    assert job.status is JobStatus.SUCCEEDED
    assert await at.balance() == -7_500
    assert len(at.created()) == 1


@sqlite_only
async def test_a_picture_waits_for_a_database_that_cannot_be_read(
    at: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The space for the picture is not known then."""
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.3)
    monkeypatch.setattr("bot.worker.tasks.COOL_DOWN", 0.1)
    monkeypatch.setattr("bot.worker.worker.COOL_DOWN", 0.1)
    held = at.oxen.faults.add("GET", PICTURE, Hold())
    async with at.easel() as app:
        await at.imagine("a fox", model="oxen")
        await held.reached()
        async with AsyncExitStack() as reading:
            for _ in range(READERS):
                await reading.enter_async_context(app.services.database.reading())
            held.release()
            await until(
                lambda: "job waits for the database or the pictures, retrying" in caplog.text
            )
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert "unexpected error" not in caplog.text
    assert await at.balance() == -7_500


async def test_a_job_that_is_polled_no_longer_is_not_fetched(at: Stage) -> None:
    async with at.easel() as app:
        await at.imagine("a fox", model="oxen")
        (job,) = await at.settled()
        await at.oxen.settled(next(iter(at.oxen.generations)))
        before = list(at.oxen.requests)
        assert await worker_of(app)._poller.poll(job.id) is None
        assert [each for each in at.oxen.requests if each not in before] == []


@pytest.mark.parametrize("model", ["oxen", "skills"])
async def test_a_cancel_is_sent_only_to_a_service_that_has_one(at: Stage, model: str) -> None:
    """The command refuses it; a row may still say so, such as of a model that has changed."""
    at.oxen.hold_generations()
    at.skills.hold_generations()
    async with at.easel() as app:
        await at.imagine("a fox", model=model)
        await at.said("Drawing")
        (job,) = await at.jobs()
        due = worker_of(app)._poller.due_cancels([job])
        assert [each.id for each in due] == ([job.id] if model == "oxen" else [])
        async with at.database() as database, database.transaction() as tx:
            await jobs.request_cancel(tx, job.id, at.clock())
        worker_of(app).wake()
        if model == "skills":
            at.skills.release_generations()
            await at.skills.settled(next(iter(at.skills.generations)))
            await pass_time(at, app, seconds=3)  # for the next poll
        (job,) = await at.settled()

    sent = [each.method for each in (*at.oxen.requests, *at.skills.requests)].count("DELETE")
    if model == "oxen":
        assert (job.status, sent, await at.balance()) == (JobStatus.CANCELED, 1, 0)
    else:
        assert (job.status, sent, await at.balance()) == (JobStatus.SUCCEEDED, 0, -20_000)


async def test_a_delivery_is_tried_again_before_its_reply_can_no_longer_be_edited(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = timedelta(hours=1)
    monkeypatch.setattr("bot.worker.deliver.RETRIES", Backoff(first=hour, longest=hour))
    at.oxen.manual = True
    async with at.easel() as app:
        await at.imagine("a fox")
        await at.said("Drawing")
        failing = at.discord.faults.add("POST", SEND, Answer(503, {"message": "busy"}), times=None)
        await at.finish()
        async with asyncio.timeout(20):
            while not (await at.jobs())[0].delivery_error:
                await asyncio.sleep(0.02)
        (job,) = await at.jobs()
        last_chance = job.route.token_expires_at - TOKEN_MARGIN
        assert job.deliver_after == last_chance

        failing.remove()
        await pass_time(at, app, seconds=(last_chance - at.clock()).total_seconds())
        (job,) = await at.settled()

    assert job.delivered_at is not None
    assert job.delivered_at - last_chance < TOKEN_MARGIN
    assert job.delivery_attempts == 2
