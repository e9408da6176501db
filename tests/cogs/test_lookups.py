"""Message lists that fail: the search is bounded, and no result is doubled where others see it."""

import asyncio
from datetime import timedelta

import pytest

from bot.backoff import Backoff
from bot.sandbox.http.faults import Answer, AnswerAfter, Fault
from bot.worker import deliver, housekeeping
from tests.support.delivery import (
    REPLIES,
    attempted,
    direct,
    drawing,
    one_each,
    posts_to,
    private_to,
    results_in,
    unfinished,
)
from tests.support.easel import Stage

pytestmark = pytest.mark.long

BROKEN = Answer(503, {"code": 0, "message": "503: Service Unavailable"})
LOST = Answer(503, "<html>Unavailable</html>")
ARRIVED = AnswerAfter(503, "<html>Unavailable</html>")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "INTERVAL", timedelta(seconds=0.3))


@pytest.mark.parametrize("first", [LOST, ARRIVED], ids=["lost", "arrived"])
@pytest.mark.parametrize("restart", [False, True])
async def test_within_the_nonce_window_a_post_is_repeated_without_a_search(
    at: Stage, first: Fault, restart: bool
) -> None:
    at.discord.faults.add("GET", posts_to(at.channel), BROKEN, times=None)
    async with at.easel():
        await drawing(at, 1)
        at.discord.faults.add("POST", posts_to(at.channel), first)
        await at.finish()
        await attempted(at)
        at.clock.move(seconds=30)
        if not restart:
            await at.settled()
    if restart:
        async with at.easel():
            await at.settled()
    (job,) = await at.jobs()

    one_each(results_in(at, at.channel), [job])
    assert not unfinished(at)
    assert not direct(at)


@pytest.mark.parametrize("minutes", [0, 16])
async def test_a_result_in_doubt_is_shown_to_the_requester_alone(
    at: Stage, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search fails on after the nonce window: others see the result once, if they do."""
    three = timedelta(minutes=3)  # no attempt begins before the test moves the clock
    monkeypatch.setattr(deliver, "RETRIES", Backoff(first=three, longest=three))
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        (status,) = at.discord.channel_messages(at.channel)
        at.clock.move(minutes=minutes)
        at.discord.faults.add("GET", posts_to(at.channel), BROKEN, times=None)
        at.discord.faults.add("POST", posts_to(at.channel), ARRIVED)
        await at.finish()
        await attempted(at)
        for number in range(2, 5):
            at.clock.move(minutes=4)
            if number < 4:
                await attempted(at, number)
        (job,) = await at.settled()

    assert len(results_in(at, at.channel)) == 1
    alone = direct(at) if minutes else [each for each in private_to(at, at.ada) if each.pictures()]
    one_each(alone, [job])
    assert unfinished(at) == []
    assert "The result" in status.text()


async def test_a_private_reply_that_cannot_be_read_is_edited_again(at: Stage) -> None:
    at.fails = True  # discord.py cannot read the answer
    async with at.easel():
        await drawing(at, 1, private=True)
        at.discord.faults.add("GET", REPLIES, Answer(429, "<html>"), times=None)
        at.discord.faults.add("PATCH", REPLIES, AnswerAfter(200, {}))
        await at.finish()
        await attempted(at)
        at.clock.move(seconds=10)
        (job,) = await at.settled()

    assert job.result_message_id == job.route.status_message_id
    assert not unfinished(at)
    assert not direct(at)


async def test_a_reply_that_cannot_be_searched_for_ends_after_half_an_hour(at: Stage) -> None:
    """The token has expired, and the channel's list fails."""
    lost = at.discord.faults.add("POST", ".*/callback", AnswerAfter(503, "<html>"))
    at.discord.faults.add("GET", posts_to(at.channel), BROKEN, times=None)
    at.discord.faults.add("GET", REPLIES, BROKEN, times=None)
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await lost.reached()
        at.clock.move(minutes=16)
        await asyncio.sleep(1)
        (job,) = await at.jobs()
        assert job.delivered_at is None
        at.clock.move(minutes=15)
        (job,) = await at.settled()

    assert job.cost is None
    assert await at.balance() == 0
