import asyncio
import re
from base64 import b64encode
from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer, Hold, HoldBefore, Reset
from bot.store.audit import verify
from bot.worker import events
from tests.support import cluster
from tests.support.delivery import drawing
from tests.support.easel import Stage
from tests.support.files import picture

ROW = "/api/ai/queue/[^/]+"
SKILLS_ROW = r"/api/v1/generation/gen_\w+"
PICTURE = "/api/repos/.*"
SEND = r"/api/v10/channels/\d+/messages"


@pytest.fixture(params=["sqlite"])  # the connections to services are tested, no new statement
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


def polls_of(at: Stage) -> int:
    """Return the number of requests to skills.video, but for those for the balance."""
    return sum(each.path != "/api/v1/credits" for each in at.skills.requests)


def fetches(at: Stage) -> int:
    """Return the number of requests to Oxen for the state of one generation."""
    return sum(bool(re.fullmatch(ROW, each.path)) for each in at.oxen.requests)


async def test_the_stream_reports_each_end_and_one_poll_reads_it(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.oxen.events.joined(1, 10)
        for number in range(1, 4):
            await at.imagine(f"a fox {number}")
            await at.said("Drawing")
            await at.finish()
            await at.settled(number)

    assert [job.status for job in await at.jobs()] == [JobStatus.SUCCEEDED] * 3
    assert fetches(at) == 3


async def test_an_end_before_the_job_is_stored_is_not_missed(at: Stage) -> None:
    """The stream may be faster than the answer that names the generation."""
    held = at.oxen.faults.add("POST", "/api/ai/queue", Hold())
    async with at.easel():
        await at.oxen.events.joined(1, 10)
        await at.imagine("a fox")
        await held.reached()
        async with asyncio.timeout(20):
            while not at.oxen.charges:
                await asyncio.sleep(0.01)
        held.release()
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert fetches(at) == 1


async def test_an_end_before_the_stream_is_followed_is_not_missed(at: Stage) -> None:
    """The stream opens between the end and the answer that names the generation."""
    at.oxen.manual = True
    events_held = at.oxen.faults.add("GET", "/api/events", HoldBefore())
    create_held = at.oxen.faults.add("POST", "/api/ai/queue", Hold())
    async with at.easel():
        await at.imagine("a fox")
        await create_held.reached()
        await at.finish()
        events_held.release()
        await at.oxen.events.joined(1, 10)
        create_held.release()
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert fetches(at) == 1


@pytest.mark.long
async def test_an_end_in_the_creating_answer_is_read_at_once(at: Stage) -> None:
    at.oxen.at_once = True
    at.oxen.faults.add("GET", "/api/events", Answer(500), times=None)
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert fetches(at) == 1


@pytest.mark.long
async def test_after_a_gap_of_the_stream_one_list_tells_which_jobs_have_ended(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "STREAM_RETRY", 0.05)
    async with at.easel(max_jobs=10):
        await at.oxen.events.joined(1, 10)
        await drawing(at, 6)
        closed = at.oxen.faults.add("GET", "/api/events", Answer(503), times=None)
        at.oxen.events.drop()
        await closed.reached()
        first = next(iter(at.oxen.generations))
        at.oxen.finish(first)
        await at.oxen.settled(first)
        before = len(at.oxen.requests)
        closed.remove()
        async with asyncio.timeout(20):
            while not any(job.status.settled for job in await at.jobs()):
                await asyncio.sleep(0.01)
        later = [each.path for each in at.oxen.requests[before:] if each.method == "GET"]

    assert later.count("/api/ai/queue") == 1
    assert fetches(at) == 1


@pytest.mark.long
async def test_without_a_stream_polling_finds_the_end(at: Stage) -> None:
    at.oxen.faults.add("GET", "/api/events", Answer(500), times=None)
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.long
async def test_what_is_finished_after_its_time_out_is_charged_and_shown(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that cannot stop what it has begun, and takes its money for it."""
    at.skills.hold_generations()
    async with at.easel(job_timeout=30):
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        at.clock.move(seconds=31)
        failure = await at.said("did not finish in time")
        (job,) = await at.settled()
        assert await at.balance() == 0
        at.skills.release_generations()
        at.clock.move(minutes=6)
        late = await at.result("a fox")
        (after,) = await at.settled()
        shown = await at.command("show", job=job.id)
        polls = polls_of(at)
        at.clock.move(minutes=6)
        await asyncio.sleep(2.5)  # a turn of the housekeeping
        assert polls_of(at) == polls  # its end is known, and not fetched again

    assert "after it had been given up" in late.text()
    assert not failure.deleted
    assert late.pings == [at.ada.id]
    assert (after.status, after.reason) == (JobStatus.FAILED, Reason.TIMEOUT)
    assert after.cost == 20_000
    assert await at.balance() == -20_000
    assert "overdue picture not downloaded" not in caplog.text
    assert shown.user is at.ada
    async with at.database() as database, database.reading() as view:
        assert (await verify(view)).findings == ()


async def failed_late(at: Stage, *, count: int = 1) -> None:
    """A job at skills.video that was given up at its time-out, and is finished since."""
    at.skills.hold_generations()
    await at.imagine("a fox", model="skills", count=count)
    await at.said("Drawing")
    at.clock.move(seconds=31)
    await at.said("did not finish in time")
    await at.settled()


@pytest.mark.long
async def test_a_late_end_without_a_picture_is_not_charged(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel(job_timeout=30):
        await failed_late(at)
        page = at.skills.faults.add("GET", "/output/.*", Answer(200, b"<html>"), times=None)
        at.skills.release_generations()
        at.clock.move(minutes=6)
        await page.reached()
        async with asyncio.timeout(20):
            while "without a picture" not in caplog.text:
                await asyncio.sleep(0.02)
        at.clock.move(minutes=6)
        await asyncio.sleep(2.5)  # the chores come round every two seconds
        (job,) = await at.settled()

    assert page.hits == 1  # it is known to have failed
    assert (job.status, job.cost, job.overdue_at) == (JobStatus.FAILED, None, None)
    assert await at.balance() == 0
    assert not any(message.pictures() for message in messages(at))


@pytest.mark.long
async def test_a_late_end_whose_cost_is_not_told_costs_the_price_of_its_pictures(at: Stage) -> None:
    """At skills.video, where one generation is all that was asked for."""
    async with at.easel(job_timeout=30):
        await failed_late(at, count=4)
        urls = [
            f"data:image/png;base64,{b64encode(picture(size=(20 + n, 20))).decode()}"
            for n in range(4)
        ]
        made = {"status": "COMPLETED", "data": {"images": [{"url": url} for url in urls]}}
        at.skills.faults.add("GET", SKILLS_ROW, Answer(200, made), times=None)
        at.clock.move(minutes=6)
        result = await at.result("a fox")

    assert len(result.pictures()) == 4
    assert await at.balance() == -80_000


@pytest.mark.long
async def test_of_a_late_end_a_part_is_taken_when_the_rest_cannot_be_had(at: Stage) -> None:
    async with at.easel(job_timeout=30):
        await failed_late(at, count=2)
        gone = at.skills.faults.add("GET", "/output/.*-2.png", Answer(404), times=None)
        at.skills.release_generations()
        at.clock.move(minutes=6)
        await gone.reached()
        await asyncio.sleep(0.5)
        assert not any(message.pictures() for message in messages(at))
        at.clock.move(minutes=30)
        result = await at.result("a fox")
        await at.settled()

    assert len(result.pictures()) == 1
    assert await at.balance() == -40_000


@pytest.mark.long
async def test_an_overdue_picture_is_not_taken_for_the_one_that_came_in_time(at: Stage) -> None:
    """The first post fails. The search for it passes over the earlier message of the same job."""
    at.oxen.manual = True
    async with at.easel(job_timeout=30):
        await at.imagine("a fox", count=2)
        await at.said("Drawing")
        first, second = at.oxen.generations
        kept = at.oxen.faults.add("DELETE", ROW, Answer(503, {}), times=None)
        at.oxen.finish(first)
        await at.oxen.settled(first)
        await ended(at, step=20)
        early = await at.result("a fox")
        (job,) = await at.settled()
        assert job.status is JobStatus.SUCCEEDED
        failing = at.discord.faults.add("POST", SEND, Answer(503, {}))
        kept.remove()
        at.oxen.finish(second)
        await at.oxen.settled(second)
        at.clock.move(minutes=6)
        await failing.reached()
        at.clock.move(seconds=30)
        (job,) = await at.settled()
        async with asyncio.timeout(20):
            while job.result_message_id == early.id or not job.delivered_at:
                await asyncio.sleep(0.1)
                (job,) = await at.jobs()

    shown = [each for each in messages(at) if each.pictures()]
    assert [each.id for each in shown] == [early.id, job.result_message_id]
    assert await at.balance() == -15_000


async def running_when_stopped(at: Stage, *, then: timedelta) -> None:
    """A job that was running when the bot was ended, and was finished before its next start."""
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Drawing")
    await at.finish()
    at.clock.move(seconds=then.total_seconds())


async def ended(at: Stage, *, step: float) -> None:
    """Let time pass, so many seconds at once, until the job is settled."""
    async with asyncio.timeout(30):
        while not (await at.jobs())[0].status.settled:
            at.clock.move(seconds=step)
            await asyncio.sleep(0.1)


@pytest.mark.long
@pytest.mark.parametrize("path", [ROW, PICTURE], ids=["the service", "its pictures"])
async def test_a_moment_without_answers_after_a_long_downtime_fails_no_job(
    at: Stage, path: str
) -> None:
    await running_when_stopped(at, then=timedelta(minutes=11))
    away = at.oxen.faults.add("GET", path, Answer(503, "<html>"), times=3)
    async with at.easel():
        await away.reached(hits=3)
        await ended(at, step=2)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    (message,) = [each for each in messages(at) if not each.deleted]
    assert len(message.pictures()) == 1


@pytest.mark.long
@pytest.mark.parametrize("path", [ROW, PICTURE], ids=["the service", "its pictures"])
async def test_what_cannot_be_had_for_long_is_had_when_it_can(at: Stage, path: str) -> None:
    """The job fails a few minutes after its time-out; what it made is charged and shown later."""
    await running_when_stopped(at, then=timedelta(minutes=11))
    away = at.oxen.faults.add("GET", path, Answer(503, "<html>"), times=None)
    async with at.easel():
        await away.reached(hits=3)
        await ended(at, step=20)
        (failed,) = await at.settled()
        assert await at.balance() == 0
        away.remove()
        at.clock.move(minutes=6)
        late = await at.result("a fox")
        await at.settled()

    assert failed.status is JobStatus.FAILED
    assert "after it had been given up" in late.text()
    assert await at.balance() == -7500


@pytest.mark.long
async def test_a_long_pause_that_is_asked_for_ends_no_later_than_patience(at: Stage) -> None:
    at.oxen.manual = True
    at.oxen.faults.add("GET", "/api/events", Answer(500), times=None)
    async with at.easel():
        paused = at.oxen.faults.add("GET", ROW, Answer(429, "", {"Retry-After": "3600"}))
        await at.imagine("a fox")
        await paused.reached()
        before = at.clock()
        await ended(at, step=30)
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.TIMEOUT)
    assert job.settled_at is not None
    assert job.settled_at - before < timedelta(minutes=45)


@pytest.mark.long
async def test_a_cancel_that_was_not_taken_is_sent_again(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Drawing")
        (job,) = await at.jobs()
        refused = at.oxen.faults.add("DELETE", ROW, Answer(429, "", {"Retry-After": "40"}))
        await at.command("cancel", job=job.id)
        await refused.reached()
        await asyncio.sleep(2.5)  # it is looked for every two seconds
        assert cancels(at) == 1
        at.clock.move(seconds=40)
        (job,) = await at.settled()
        await asyncio.sleep(0.1)

    assert job.status is JobStatus.CANCELED
    assert cancels(at) == 2
    assert await at.balance() == 0


def cancels(at: Stage) -> int:
    return sum(request.method == "DELETE" for request in at.oxen.requests)


@pytest.mark.long
async def test_what_is_never_finished_is_asked_about_for_a_day(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel(job_timeout=30):
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        at.clock.move(seconds=31)
        await at.settled()
        at.clock.move(hours=25)
        asked = polls_of(at)
        await asyncio.sleep(2.5)  # the chores come round every two seconds

    assert polls_of(at) == asked
    assert await at.balance() == 0


@pytest.mark.long
async def test_one_failed_poll_is_no_failed_job(at: Stage) -> None:
    at.oxen.faults.add("GET", ROW, Answer(502, "<html>"), times=4)
    at.oxen.faults.add("GET", ROW, Reset(), times=1)
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.long
async def test_a_new_id_may_be_unknown_for_a_moment(at: Stage) -> None:
    at.oxen.initial_404s = 2
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.long
async def test_an_id_that_stays_unknown_is_lost(at: Stage) -> None:
    at.oxen.initial_404s = 1000
    async with at.easel():
        await at.imagine("a fox")
        await ended(at, step=5)
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.NOT_FOUND)


@pytest.mark.long
async def test_a_slow_answer_delays_no_other_job(at: Stage) -> None:
    async with at.easel():
        slow = at.oxen.faults.add("GET", ROW, HoldBefore())
        await at.imagine("slow")
        await slow.reached()
        await at.imagine("quick")
        await at.result("quick")
        assert not any("slow" in m.text() and m.pictures() for m in messages(at))
        slow.release()
        await at.result("slow")


def messages(at: Stage) -> list[Message]:
    return list(at.discord.channel_messages(at.channel))


@pytest.mark.long
async def test_a_job_without_an_end_is_given_up_stopped_and_uncharged(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Drawing")
        at.clock.move(seconds=601)
        await at.said("did not finish in time")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.TIMEOUT)
    assert [each.status for each in at.oxen.generations.values()] == ["cancelled"]
    assert await at.balance() == 0


@pytest.mark.long
async def test_a_restart_goes_on_watching(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox", count=2)
        await at.said("Drawing")
    await at.finish()

    async with at.easel():
        result = await at.result("a fox")

    assert len(result.pictures()) == 2
    assert len(at.created()) == 1


@pytest.mark.long
@pytest.mark.parametrize("count", [1, 4])
async def test_what_has_ended_when_it_is_created_is_settled(at: Stage, count: int) -> None:
    at.oxen.at_once = True
    async with at.easel():
        await at.imagine("a fox", count=count)
        result = await at.result("a fox")

    assert len(result.pictures()) == count
