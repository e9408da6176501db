import asyncio
from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.discord import Message
from bot.sandbox.faults import Answer, Reset, Stall
from bot.store.verify import verify
from tests.easel import Stage

ROW = "/api/ai/queue/[^/]+"
SECOND = timedelta(seconds=1)


async def test_the_stream_wakes_the_worker_before_the_first_poll(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.running_at is not None
    assert job.settled_at is not None
    assert job.settled_at - job.running_at < 1.5 * SECOND  # polls begin after two


async def test_without_a_stream_polling_finds_the_end(at: Stage) -> None:
    at.oxen.faults.add("GET", "/api/events", Answer(500), times=None)
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


async def test_what_is_finished_after_its_time_out_is_charged_and_shown(at: Stage) -> None:
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
        late = await at.result("a fox", timeout=20)
        (after,) = await at.settled()
        shown = await at.command("show", job=job.id)
        at.clock.move(minutes=6)
        await asyncio.sleep(0.5)

    assert "after it had been given up" in late.text()
    assert not failure.deleted
    assert late.pings == [at.ada.id]
    assert (after.status, after.reason) == (JobStatus.FAILED, Reason.TIMEOUT)
    assert after.cost == 20_000
    assert await at.balance() == -20_000
    assert shown.user is at.ada
    async with at.database() as database, database.reading() as view:
        assert (await verify(view)).findings == ()


async def test_what_is_never_finished_is_asked_about_for_a_day(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel(job_timeout=30):
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        at.clock.move(seconds=31)
        await at.settled()
        at.clock.move(hours=25)
        asked = len(at.skills.requests)
        await asyncio.sleep(2.5)  # the chores come round every two seconds

    assert len(at.skills.requests) == asked
    assert await at.balance() == 0


async def test_one_failed_poll_is_no_failed_job(at: Stage) -> None:
    at.oxen.faults.add("GET", ROW, Answer(502, "<html>"), times=4)
    at.oxen.faults.add("GET", ROW, Reset(), times=1)
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled(timeout=20)

    assert job.status is JobStatus.SUCCEEDED


async def test_a_new_id_may_be_unknown_for_a_moment(at: Stage) -> None:
    at.oxen.late_404s = 2
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


async def test_an_id_that_stays_unknown_is_lost(at: Stage) -> None:
    at.oxen.late_404s = 1000
    async with at.easel():
        await at.imagine("a fox")
        async with asyncio.timeout(30):
            while not (await at.jobs())[0].status.settled:
                at.clock.move(seconds=5)
                await asyncio.sleep(0.1)
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.NOT_FOUND)


async def test_a_slow_answer_delays_no_other_job(at: Stage) -> None:
    async with at.easel():
        slow = at.oxen.faults.add("GET", ROW, Stall(3))
        await at.imagine("slow")
        await slow.reached()
        await at.imagine("quick")
        await at.result("quick", timeout=2)
        assert not any("slow" in m.text() and m.pictures() for m in messages(at))
        await at.result("slow")


def messages(at: Stage) -> list[Message]:
    return list(at.discord.channel_messages(at.channel))


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


@pytest.mark.parametrize("count", [1, 4])
async def test_what_has_ended_when_it_is_created_is_settled(at: Stage, count: int) -> None:
    at.oxen.at_once = True
    async with at.easel():
        await at.imagine("a fox", count=count)
        result = await at.result("a fox")

    assert len(result.pictures()) == count
