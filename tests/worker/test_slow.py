"""The usual time of a running job, and "slower than usual", once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from bot.delivery import Usual
from bot.jobs import JobStatus
from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.store import generations, jobs, settlement
from bot.worker.estimates import usual_of
from cogs.ui.status import usual_text
from tests.support import cluster
from tests.support.books import picture
from tests.support.delivery import REPLIES
from tests.support.easel import Stage, text_of
from tests.support.rows import add, new_job
from tests.worker.test_places import TURNS, edits, shows

SLOW = "Slower than usual."
TEN = [4, 6, 8, 10, 12, 14, 16, 20, 25, 40]  # seconds: median 12, 90th percentile 25


@pytest.fixture(params=["sqlite"])  # the connections to services are tested, no new statement
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


async def made(at: Stage, seconds: Sequence[float], *, count: int = 1, days: float = 1) -> None:
    """Store successes of Oxen's model, some days old, that took so many seconds."""
    async with at.database() as database, database.transaction() as tx:
        for number, taken in enumerate(seconds):
            began = at.clock() - timedelta(days=days, minutes=number)
            new = new_job(at.ben.id, at=began, price=7500 * count, count=count)
            job = await add(tx, new)
            await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=began)
            running = await jobs.start_running(tx, job.id, began)
            end = began + timedelta(seconds=taken)
            remote_ids = [f"{job.id}-{position}" for position in range(count)]
            known = await generations.add(tx, job.id, "oxen", remote_ids)
            ends = {each.id: JobStatus.SUCCEEDED for each in known}
            pictures = [picture(number * 4 + position) for position in range(count)]
            await settlement.succeed(tx, running, end, cost=None, pictures=pictures, ends=ends)
            await jobs.mark_delivered(tx, job.id, end, message_id=1, channel_id=0, error=None)


async def drawing(at: Stage, **options: Any) -> Message:  # noqa: ANN401
    at.oxen.manual = True
    asked = await at.imagine("a fox", model="oxen", **options)
    assert asked.message is not None
    await shows(asked.message, "Drawing")
    return asked.message


async def test_while_drawing_the_usual_time_is_shown(at: Stage) -> None:
    await made(at, TEN)
    async with at.easel():
        status = await drawing(at)
        assert "usually 12–25 s" in status.text()
        await at.finish()
        await at.result("a fox")


@pytest.mark.long
async def test_with_nine_jobs_nothing_is_said(at: Stage) -> None:
    await made(at, TEN[1:])
    async with at.easel():
        status = await drawing(at)
        assert "usually" not in status.text()
        at.clock.move(minutes=5)
        await asyncio.sleep(TURNS)
        assert SLOW not in status.text()


async def test_old_jobs_and_those_with_more_pictures_do_not_count(at: Stage) -> None:
    await made(at, [1] * 10, days=31)
    await made(at, TEN, count=2)
    async with at.easel():
        one = await drawing(at)
        two = await drawing(at, count=2, private=True)

    assert "usually" not in one.text()
    assert "usually 12–25 s" in two.text()


async def test_the_newest_fifty_count(at: Stage) -> None:
    await made(at, [1] * 60, days=2)
    await made(at, [30] * 50)
    async with at.easel():
        assert "usually about 30 s" in (await drawing(at)).text()


@pytest.mark.long
async def test_a_job_is_slow_once_after_the_90th_percentile(at: Stage) -> None:
    await made(at, TEN)
    async with at.easel():
        status = await drawing(at)
        at.clock.move(seconds=20)
        await asyncio.sleep(TURNS)
        assert SLOW not in status.text()
        before = edits(at)
        at.clock.move(seconds=5)
        await shows(status, SLOW)
        assert "usually" not in status.text()
        at.clock.move(minutes=3)
        await asyncio.sleep(TURNS)
        assert sum((edits(at) - before).values()) == 1
        assert (await at.jobs())[0].slow_shown
        await at.finish()
        await at.result("a fox")


@pytest.mark.long
async def test_after_a_restart_a_slow_job_is_not_shown_again(at: Stage) -> None:
    await made(at, TEN)
    async with at.easel():
        status = await drawing(at)
        at.clock.move(seconds=30)
        await shows(status, SLOW)
    before = edits(at)
    async with at.easel():
        at.clock.move(minutes=1)
        await asyncio.sleep(TURNS)
        assert edits(at) == before
        await at.finish()
        await at.result("a fox")


@pytest.mark.long
async def test_a_job_that_becomes_slow_while_the_bot_is_off_says_so_after_the_start(
    at: Stage,
) -> None:
    await made(at, TEN)
    async with at.easel():
        status = await drawing(at)
    at.clock.move(seconds=40)
    async with at.easel():
        await shows(status, SLOW)


@pytest.mark.long
async def test_a_kill_during_the_edit_repeats_nothing_and_loses_no_result(at: Stage) -> None:
    await made(at, TEN)
    async with at.easel():
        status = await drawing(at)
        held = at.discord.faults.add("PATCH", REPLIES, HoldBefore(), times=None)
        at.clock.move(seconds=30)
        await held.reached()
    held.remove()
    before = edits(at)
    async with at.easel():
        at.clock.move(seconds=30)
        await asyncio.sleep(TURNS)
        assert edits(at) == before
        await at.finish()
        await at.result("a fox")
        held.release()
        await at.settled()
        await at.command("usage")

    assert status.deleted


async def test_a_private_slow_job_says_so_to_its_requester(at: Stage) -> None:
    await made(at, TEN)
    async with at.easel(user_install=True):
        status = await drawing(at, private=True, user_install_only=True)
        at.clock.move(seconds=30)
        await shows(status, SLOW)
        await at.finish()
        await at.settled()

    assert status.ephemeral_to is at.ada


@pytest.mark.long
async def test_a_job_that_is_being_canceled_is_not_slow(at: Stage) -> None:
    await made(at, TEN)
    refused = Answer(500, {"error": {"message": "Internal server error"}})
    async with at.easel():
        status = await drawing(at)
        rule = at.oxen.faults.add("DELETE", ".*", refused, times=None)
        (job,) = await at.jobs()
        assert "Canceling" in text_of(await at.command("cancel", job=job.id))
        await shows(status, "Canceling")
        at.clock.move(seconds=40)
        await asyncio.sleep(TURNS)
        assert SLOW not in status.text()
        assert "usually" not in status.text()
        rule.remove()
        at.clock.move(minutes=1)
        await at.settled()


@pytest.mark.long
async def test_while_discord_does_not_answer_no_second_edit_is_tried(at: Stage) -> None:
    """Only jobs whose edit was tried are marked; the others say so later."""
    await made(at, TEN)
    async with at.easel(job_timeout=3600):
        found = [await drawing(at) for _ in range(8)]
        rule = at.discord.faults.add("PATCH", REPLIES, Answer(503), times=None)
        at.clock.move(seconds=40)
        await rule.reached()
        await asyncio.sleep(TURNS)
        at.clock.move(seconds=20)
        await asyncio.sleep(TURNS)
        marked = [job for job in await at.jobs() if job.slow_shown]
        assert len(marked) == 5
        rule.remove()
        at.clock.move(seconds=31)
        async with asyncio.timeout(20):
            while sum(SLOW in each.text() for each in found) != 3:
                await asyncio.sleep(0.05)
        await at.finish()
        await at.settled(8)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (TEN[1:], None),
        (TEN, (12, 25)),
        ([*TEN, 100], (14, 40)),
        ([*range(1, 51)], (25, 45)),
        ([7] * 10, (7, 7)),
    ],
    ids=str,
)
def test_the_usual_time_is_the_median_to_the_90th_percentile(
    seconds: list[float], expected: tuple[float, float] | None
) -> None:
    usual = usual_of([timedelta(seconds=each) for each in reversed(seconds)])

    found = usual and (usual.median.total_seconds(), usual.most.total_seconds())
    assert found == expected


@pytest.mark.parametrize(
    ("median", "most", "text"),
    [
        (12, 25, "usually 12–25 s"),
        (11.6, 24.2, "usually 12–25 s"),
        (0.2, 0.3, "usually about 1 s"),
        (6.8, 7.0, "usually about 7 s"),
        (50, 119.5, "usually 50–120 s"),
        (50, 120, "usually 1–2 min"),
        (119, 121, "usually 2–3 min"),
        (170, 180, "usually about 3 min"),
    ],
)
def test_the_usual_time_in_words(median: float, most: float, text: str) -> None:
    assert usual_text(Usual(timedelta(seconds=median), timedelta(seconds=most))) == text
