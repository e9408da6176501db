"""Several odd answers of Discord at once: no result is lost, doubled or left without a word."""

import asyncio
from datetime import timedelta

import pytest

from bot.jobs import JobStatus
from bot.sandbox.http.faults import Answer, AnswerAfter
from bot.worker import housekeeping
from tests.cogs.test_buttons import cancel_button
from tests.cogs.test_edit import CAT, waited_long
from tests.cogs.test_private import NO_POSTING, NOTICE
from tests.support.delivery import (
    FOLLOW_UPS,
    OPEN_DM,
    REPLIES,
    attempted,
    direct,
    drawing,
    posts_to,
    private_to,
    results_in,
    unfinished,
    until,
)
from tests.support.easel import Stage, text_of

pytestmark = pytest.mark.long

GONE = Answer(404, {"code": 10008, "message": "Unknown Message"})
BLOCK = Answer(403, {"code": 40333, "message": "internal network error"})
EXPLICIT = Answer(400, {"code": 20009, "message": "Explicit content"})
# The pause outlasts the last edit: an attempt at that time could show the result in its place.
TOO_FAST = Answer(403, {"code": 40003, "message": "too fast"}, {"Retry-After": "900"})
PAGE = ("<html>hello", {"Content-Type": "text/html"})
UNREADABLE = {"204": AnswerAfter(204), "page": AnswerAfter(200, *PAGE)}


@pytest.fixture(autouse=True)
def quick_housekeeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "INTERVAL", timedelta(seconds=0.3))


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_follow_up_that_cannot_be_confirmed_is_not_sent_again(
    at: Stage, answer: AnswerAfter
) -> None:
    at.fails = True  # discord.py cannot read the answer
    async with at.easel():
        await drawing(at, 1, private=True)
        at.discord.faults.add("PATCH", REPLIES, GONE, times=None)
        sent = at.discord.faults.add("POST", FOLLOW_UPS, answer, times=None)
        await at.finish()
        await attempted(at)
        at.clock.move(minutes=2)
        await at.settled()

    assert sent.hits == 1
    assert len([each for each in private_to(at, at.ada) if each.pictures()]) == 1
    assert len(direct(at)) == 1


@pytest.mark.parametrize("lists", [BLOCK, Answer(503, {"code": 0, "message": "no"})], ids=str)
async def test_a_channel_that_fails_without_doubt_is_left_also_if_it_cannot_be_searched(
    at: Stage, lists: Answer
) -> None:
    async with at.easel():
        await drawing(at, 1)
        at.discord.faults.add("GET", posts_to(at.channel), lists, times=None)
        posts = at.discord.faults.add("POST", posts_to(at.channel), BLOCK, times=None)
        await at.finish()
        for attempt in range(1, 5):
            await posts.reached(hits=attempt)
            await until(at, lambda job: bool(job.delivered_at or job.deliver_after))
            at.clock.move(minutes=2)
        (job,) = await at.settled()

    (result,) = results_in(at, at.channel)  # the reply
    assert result.id == job.result_message_id == job.route.status_message_id
    assert unfinished(at) == []


@pytest.mark.parametrize("status", [200, 204])
async def test_a_reply_that_can_never_be_looked_up_holds_no_price_for_ever(
    at: Stage, status: int
) -> None:
    page = PAGE if status == 200 else ("", {})
    at.discord.faults.add("POST", r".*/callback", AnswerAfter(status, *page))
    at.discord.faults.add("GET", REPLIES, Answer(status, *page), times=None)
    at.discord.faults.add("GET", posts_to(at.channel), Answer(status, *page), times=None)
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        async with asyncio.timeout(20):
            while not await at.jobs():
                await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            while not (await at.jobs())[0].status.settled:
                at.clock.move(minutes=1)
                await asyncio.sleep(0.1)

    assert await at.balance() == 0
    assert at.created() == []


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
async def test_copies_that_cannot_be_confirmed_are_no_unknown_outcome_of_a_submit(
    at: Stage, answer: AnswerAfter
) -> None:
    await waited_long(at, "skills")
    copies = at.discord.faults.add("POST", FOLLOW_UPS, answer, times=None)
    async with at.easel():
        await copies.reached()
        async with asyncio.timeout(20):
            while not (await at.jobs())[0].status.settled:
                at.clock.move(minutes=1)
                await asyncio.sleep(0.1)
        (job,) = await at.jobs()

    assert job.status is JobStatus.FAILED
    assert await at.losses() == []
    assert at.skills.generations == {}


async def test_the_status_of_a_result_that_is_still_to_be_delivered_is_edited_in_time(
    at: Stage,
) -> None:
    async with at.easel():
        await drawing(at, 1, private=True)
        at.clock.move(minutes=8)
        edits = at.discord.faults.add("PATCH", REPLIES, EXPLICIT)
        rules = [
            at.discord.faults.add("POST", FOLLOW_UPS, EXPLICIT, times=None),
            at.discord.faults.add("POST", OPEN_DM, TOO_FAST, times=None),
        ]
        await at.finish()
        await attempted(at)
        assert edits.hits == 1
        at.clock.move(minutes=6, seconds=5)
        await at.said(NOTICE)
        for rule in rules:
            rule.remove()
        at.clock.move(minutes=10)
        await at.settled()

    assert unfinished(at) == []


async def test_a_form_that_cannot_be_confirmed_opens_no_second_way(at: Stage) -> None:
    async with at.easel():
        message = await at.discord.say(at.ada, at.channel, "look", [CAT])
        at.discord.faults.add("POST", r".*/callback", AnswerAfter(204))
        menu = await at.discord.menu(at.ada, message.channel, "Edit image", message)
        opened = await menu.answered()
        assert opened.modal is not None
        (prompt,) = (each["component"]["custom_id"] for each in opened.modal["components"])
        sent = await at.discord.submit_modal(at.ada, opened, {prompt: "as a watercolour"})
        await sent.answered()
        again = await at.discord.submit_modal(at.ada, opened, {prompt: "as an oil"})
        await again.answered()

    assert "This form is closed" in text_of(again)
    assert len(await at.jobs()) == 1


async def test_a_cancel_after_the_last_edit_hides_a_prompt_that_automod_refuses(
    at: Stage,
) -> None:
    at.discord.set_bot_permissions(at.channel, NO_POSTING)
    at.discord.add_keyword_rule(at.server, "fox")
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        await at.imagine("a fox")
        await at.said("Drawing")
        at.clock.move(minutes=14, seconds=5)
        status = await at.said(NOTICE)
        pressed = await at.discord.click(at.ada, status, await cancel_button(at))
        await pressed.answered()
        async with asyncio.timeout(20):
            while "Cancel" not in status.text():
                await asyncio.sleep(0.02)

    assert private_to(at, at.ada) == []
