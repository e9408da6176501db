"""The ends of watched jobs: by a cancel, at the deadline, and with pictures that are away."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.providers.base import Running, Submitted
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.store import jobs
from bot.worker.poll import Poller
from bot.worker.watch import IN_OVERTIME, OVERTIME
from tests.support.parts import Served, refusing
from tests.support.polling import due_in, end, requests, states, watched
from tests.support.rows import NOW

pytestmark = pytest.mark.usefixtures("costs_at_once")

SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=1)
TIMEOUT = timedelta(minutes=10)  # JOB_TIMEOUT of the services of the tests
ROW = "/api/ai/queue/[^/]+"
LIST = "/api/ai/queue"


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_a_cancel_is_sent_once_to_each_open_generation(made: Served, poller: Poller) -> None:
    job = await watched(made, poller, count=2)
    first, second = made.oxen.generations
    end(made, first)
    assert await poller.poll(job.id) is None
    (due,) = poller.due_cancels([job])
    assert [*poller.canceling] == [job.id]
    await poller.cancel(due)

    assert made.oxen.generations[second].status == "cancelled"
    assert requests(made, "DELETE") == 1
    assert due_in(poller, made) == timedelta(0)
    assert poller.due_cancels([]) == []
    assert poller.running == []
    settled = await poller.poll(job.id)
    assert settled is not None
    assert [*poller.canceling] == []
    assert poller.due_cancels([job]) == []


async def test_a_cancel_that_failed_is_sent_again(
    made: Served, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    job = await watched(made, poller, count=2)
    made.oxen.faults.add("DELETE", ROW, Answer(429, "", {"Retry-After": "40"}))
    await poller.cancel(job)
    assert due_in(poller, made) > timedelta(0)
    assert poller.due_cancels([job]) == []
    made.clock.now += 40 * SECOND - MOMENT
    assert poller.due_cancels([]) == []
    made.clock.now += MOMENT
    assert poller.due_cancels([]) == [job]
    assert requests(made, "DELETE") == 2
    await poller.cancel(job)

    assert requests(made, "DELETE") == 3  # the other one was stopped before
    assert caplog.text.count("failed, retrying") == 1


async def test_a_cancel_that_was_requested_before_the_begin_is_due(
    made: Served, poller: Poller
) -> None:
    (remote_id,) = await made.submitted()
    job = await made.running([remote_id], provider="oxen")
    async with made.database.transaction() as tx:
        await jobs.request_cancel(tx, job.id, NOW)
    await poller.begin(job, [])

    assert [each.id for each in poller.due_cancels([])] == [job.id]
    assert poller.running == []


@pytest.mark.parametrize(("later", "deletes"), [(TIMEOUT - MOMENT, 0), (TIMEOUT, 1)])
async def test_at_its_deadline_a_job_is_stopped_and_settled(
    made: Served, poller: Poller, later: timedelta, deletes: int
) -> None:
    job = await watched(made, poller)
    made.clock.now += later
    settled = await poller.poll(job.id)

    assert requests(made, "DELETE") == deletes
    assert (settled is not None) is bool(deletes)
    if settled is not None:
        assert (settled.status, settled.reason) == (JobStatus.FAILED, Reason.TIMEOUT)


async def test_beyond_the_deadline_a_service_without_answers_is_asked_for_three_minutes(
    made: Served, poller: Poller
) -> None:
    job = await watched(made, poller)
    made.oxen.faults.add("*", ROW, Answer(400), times=None)
    made.clock.now += TIMEOUT
    assert await poller.poll(job.id) is None
    assert due_in(poller, made) <= IN_OVERTIME
    made.clock.now += OVERTIME - MOMENT
    assert await poller.poll(job.id) is None
    made.clock.now += MOMENT
    settled = await poller.poll(job.id)

    assert settled is not None
    assert (settled.reason, await states(made, job)) == (Reason.TIMEOUT, [None])


async def test_a_service_without_a_cancel_is_not_asked_for_one(
    made: Served, poller: Poller
) -> None:
    job = await made.running(["gen_1"])
    await poller.begin(job, [])
    made.skills.faults.add("GET", ".*", Answer(200, {"status": "IN_PROGRESS"}), times=None)
    assert poller.due_cancels([job]) == []
    made.clock.now += TIMEOUT
    settled = await poller.poll(job.id)

    assert settled is not None
    assert settled.reason is Reason.TIMEOUT
    assert all(each.method != "DELETE" for each in made.skills.requests)


async def test_pictures_that_cannot_be_downloaded_are_asked_for_anew(
    made: Served, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    job = await made.running(["gen_1"])
    await poller.begin(job, [])
    away = f"{made.skills.cdn_origin}/output/away.png"
    body = {"status": "COMPLETED", "data": {"images": [{"url": away}]}}
    row = made.skills.faults.add("GET", ".*/gen_1", Answer(200, body), times=None)
    made.skills.faults.add("GET", "/output/away.png", Answer(404), times=None)
    for number in (1, 2):
        assert await poller.poll(job.id) is None
        assert caplog.text.count("pictures not downloaded, retrying") == number
        assert row.hits == number

    assert due_in(poller, made) > timedelta(0)


async def test_a_job_whose_settlement_failed_is_polled_again_soon(
    made: Served, poller: Poller, tmp_path: Path
) -> None:
    """Although a stream has reported its end, and reports it once only."""
    poller.stream_lives("oxen")
    job = await watched(made, poller, submitted=[Submitted("other", Running())])
    end(made)
    async with refusing(tmp_path / "easel.db", "UPDATE ON jobs"):
        with pytest.raises(IntegrityError):
            await poller.poll(job.id)
    assert due_in(poller, made) <= 15 * SECOND

    assert await poller.poll(job.id) is not None


async def test_the_time_of_a_generation_ends_between_its_last_polls(
    made: Served, poller: Poller
) -> None:
    (remote_id,) = await made.submitted()
    job = await made.running([remote_id], provider="oxen")
    await poller.begin(job, [])
    made.clock.now += 10 * SECOND
    assert await poller.poll(job.id) is None
    made.oxen.finish(remote_id)
    await made.oxen.settled(remote_id)
    made.clock.now += 2 * SECOND
    settled = await poller.poll(job.id)

    assert settled is not None
    assert (settled.status, settled.generation_ms) == (JobStatus.SUCCEEDED, 11_000)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_job_that_is_forgotten_during_a_request_is_polled_no_more(
    made: Served, poller: Poller, method: str
) -> None:
    """Another process has taken it."""
    job = await watched(made, poller)
    held = made.oxen.faults.add(method, ROW, HoldBefore())
    work = poller.poll(job.id) if method == "GET" else poller.cancel(job)
    request = asyncio.create_task(work)
    await held.reached()
    poller.forget(job.id)
    held.release()
    await request

    assert poller.next_poll(made.clock.now) is None
    assert poller.take_due() == []
