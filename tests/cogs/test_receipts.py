"""Receipts: the cost under each result, and what is left where only the requester reads."""

import re
from typing import Any

import pytest

from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer
from tests.support.acting import press
from tests.support.allowances import allow, grant
from tests.support.delivery import SEND, drawing, private_to, until
from tests.support.easel import Stage

NO_ACCESS = {"code": 50013, "message": "Missing Permissions"}


async def private(at: Stage, prompt: str = "a fox", **options: Any) -> Message:  # noqa: ANN401
    """Return the private reply to a request, once it shows the result."""
    before = len(await at.jobs())
    reply = (await at.imagine(prompt, private=True, **options)).message
    assert reply is not None
    await at.settled(before + 1)
    return reply


def small_print(message: Message) -> str:
    (line,) = [each for each in message.text().splitlines() if each.startswith("-# ")]
    return line


@pytest.mark.parametrize(
    ("locale", "cost", "left"),
    [
        ("en-US", "7.5 credits", "1,992.5 credits left"),
        ("de", "7,5 credits", "1.992,5 credits left"),
        ("pt-BR", "7,5 credits", "1.992,5 credits left"),
    ],
)
async def test_a_private_result_says_what_is_left_in_one_line(
    at: Stage, locale: str, cost: str, left: str
) -> None:
    at.ada.locale = locale
    await allow(at, 2000)
    async with at.easel(monthly_credits=5000):
        line = small_print(await private(at))

    assert line.endswith(f" s · {cost} · {left}")


async def test_the_smaller_rest_is_what_is_left(at: Stage) -> None:
    await allow(at, 2000)
    async with at.easel(monthly_credits=100):
        line = small_print(await private(at))

    assert line.endswith("· 92.5 credits left")


async def test_grants_are_part_of_what_is_left(at: Stage) -> None:
    await allow(at, 10)
    await grant(at, 20)
    async with at.easel():
        line = small_print(await private(at, count=2))

    assert line.endswith("· 15 credits · 15 credits left")


async def test_a_public_result_says_the_cost_alone(at: Stage) -> None:
    at.ada.locale = "de"
    await allow(at, 2000)
    async with at.easel(monthly_credits=100):
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()

    assert small_print(result).endswith("· 7,5 credits")


@pytest.mark.long
async def test_without_a_limit_nothing_is_called_left(at: Stage) -> None:
    async with at.easel():
        line = small_print(await private(at))

    assert line.endswith("· 7.5 credits")


@pytest.mark.long
async def test_a_result_in_direct_messages_says_what_is_left(at: Stage) -> None:
    await allow(at, 10)
    channel = at.discord.dm_channel(at.ada)
    async with at.easel(monthly_credits=100):
        await at.command("imagine", where=channel, prompt="a fox")
        result = await at.discord.wait_for_message(lambda it: bool(it.pictures()), 30, channel)
        await at.settled()

    assert small_print(result).endswith("· 7.5 credits · 92.5 credits left")


@pytest.mark.long
async def test_a_result_among_others_without_the_bot_says_the_cost_alone(at: Stage) -> None:
    async with at.easel(monthly_credits=100, user_install=True):
        await at.command("imagine", user_install_only=True, prompt="a fox")
        result = await at.result("a fox")
        await at.settled()

    assert small_print(result).endswith("· 7.5 credits")


@pytest.mark.long
async def test_a_public_result_that_falls_back_to_the_member_says_what_is_left(at: Stage) -> None:
    """Neither the channel nor the reply takes the result; the follow-up is ephemeral."""
    async with at.easel(monthly_credits=100):
        at.discord.faults.add("POST", SEND, Answer(403, NO_ACCESS), times=9)
        edits = r"/api/v10/webhooks/\d+/[^/]+/messages/.*"
        at.discord.faults.add("PATCH", edits, Answer(403, NO_ACCESS), times=9)
        await at.imagine("a fox")
        await at.settled()

    (result,) = [each for each in private_to(at, at.ada) if each.pictures()]
    assert small_print(result).endswith("· 7.5 credits · 92.5 credits left")


@pytest.mark.long
async def test_an_estimate_is_called_one(at: Stage) -> None:
    at.ada.locale = "de"
    at.oxen.cost_delay = None
    async with at.easel(monthly_credits=100):
        line = small_print(await private(at))

    assert line.endswith("· about 7,5 credits · 92,5 credits left")


@pytest.mark.long
async def test_a_cost_above_the_hold_leads_below_zero(at: Stage) -> None:
    at.oxen.charged_price = "0.2"
    await allow(at, 7.5)
    async with at.easel():
        line = small_print(await private(at))

    assert line.endswith("· 20 credits · 12.5 credits below zero")


@pytest.mark.long
@pytest.mark.parametrize(("locale", "amount"), [("en-GB", "7.5"), ("sv-SE", "7,5")])
async def test_a_failure_says_what_was_released(at: Stage, locale: str, amount: str) -> None:
    at.ada.locale = locale
    at.oxen.fail_next("Content was rejected", times=2)
    async with at.easel(monthly_credits=100):
        await at.imagine("a fox")
        failure = await at.said("Nothing was charged")
        alone = await private(at, "a hen")

    released = f"Nothing was charged: {amount} credits are released."
    assert released in failure.text()
    assert "left" not in failure.text()
    assert released in alone.text()
    assert re.search(r"· 100 credits left · job \w{16}$", small_print(alone))


@pytest.mark.long
async def test_a_failure_of_one_credit_is_said_in_the_singular(at: Stage) -> None:
    at.skills.fail_next("Content was rejected", "IMAGE_GENERATION_CONTENT_REJECTED")
    async with at.easel(skills_price=1):
        await at.imagine("a fox", model="skills")
        failure = await at.said("Nothing was charged")

    assert "Nothing was charged: 1 credit is released." in failure.text()


@pytest.mark.long
async def test_a_job_that_was_given_up_says_what_stays_reserved(at: Stage) -> None:
    at.skills.manual = True
    async with at.easel(monthly_credits=100):
        reply = (await at.imagine("a fox", private=True, model="skills")).message
        assert reply is not None
        await until(at, lambda job: job.running_at)
        at.clock.move(minutes=14)
        await at.settled()
        failure = await at.said("Nothing was charged so far.")

    assert "Up to 20 credits may be charged within a day, if skills.video" in failure.text()
    assert "released" not in failure.text()
    assert "80 credits left" in failure.text()


@pytest.mark.long
async def test_a_canceled_job_says_what_was_released(at: Stage) -> None:
    at.ada.locale = "de"
    async with at.easel(monthly_credits=100):
        await drawing(at, 1)
        status = await at.said("Drawing")
        await press(at, status, "Cancel")
        await at.settled()
        public = status.text()
        reply = (await at.imagine("a hen", private=True)).message
        assert reply is not None
        await at.oxen.created(2)
        await until(at, lambda job: job.running_at)
        await press(at, reply, "Cancel")
        await at.settled(2)

    released = "**Canceled.** Nothing was charged: 7,5 credits are released."
    assert public.startswith(released)
    assert "left" not in public
    assert reply.text().startswith(released)
    assert "100 credits left" in small_print(reply)


@pytest.mark.long
async def test_the_reply_to_cancel_says_what_was_released(at: Stage) -> None:
    async with at.easel():
        at.oxen.faults.add("POST", "/api/ai/queue", Answer(429, {}), times=99)
        await at.imagine("a fox")
        job = await until(at, lambda each: each.submit_after)
        canceled = await at.command("cancel", job=job.id)

    assert canceled.message is not None
    assert "7.5 credits are released" in canceled.message.text()


@pytest.mark.long
@pytest.mark.parametrize(("reported", "cost"), [(20, "20 credits"), (0, "about 20 credits")])
async def test_an_overdue_result_says_what_was_charged(at: Stage, reported: int, cost: str) -> None:
    at.skills.price = reported
    at.skills.manual = True
    async with at.easel(monthly_credits=100):
        await at.imagine("a fox", model="skills")
        await until(at, lambda job: job.running_at)
        at.clock.move(minutes=14)
        await at.settled()
        (remote_id,) = at.skills.generations
        at.skills.finish(remote_id)
        at.clock.move(minutes=6)
        result = await at.result("a fox")
        await at.settled()

    assert f"The job is charged: {cost}." in result.text()
    assert small_print(result).endswith(f"· {cost}")


@pytest.mark.long
async def test_the_status_message_has_the_price_in_the_members_language(at: Stage) -> None:
    at.ada.locale = "de"
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        assert asked.message is not None
        assert small_print(asked.message).endswith("· 7,5 credits")
        await at.oxen.created()
        await at.finish()
        await at.settled()


@pytest.mark.long
async def test_the_models_have_their_prices_in_the_members_language(at: Stage) -> None:
    at.ada.locale = "de"
    async with at.easel():
        listed = (await at.command("models")).message

    assert listed is not None
    assert "7,5 credits a picture" in listed.text()
