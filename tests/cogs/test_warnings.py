"""The warning to a member who has used 80 % of an allowance, or of a month."""

import asyncio
import logging

import pytest

from bot.periods import PeriodKind
from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer, Reset
from tests.support.allowances import allow
from tests.support.delivery import FOLLOW_UPS, private_to
from tests.support.easel import Stage
from tests.support.replying import edited, result, say

REPLY = r"/api/v10/interactions/.*"
REFUSED = {"code": 50013, "message": "Missing Permissions"}


def warnings(at: Stage) -> list[Message]:
    return [each for each in private_to(at, at.ada) if "You have used" in each.text()]


async def warned(at: Stage) -> Message:
    return await at.said("You have used")


@pytest.mark.parametrize(("locale", "left"), [("en-US", "2.5 credits"), ("de", "2,5 credits")])
async def test_a_member_is_warned_once_in_a_period(at: Stage, locale: str, left: str) -> None:
    at.ada.locale = locale
    await allow(at, 32.5, PeriodKind.DAY)
    async with at.easel():
        await at.imagine("a fox", count=2)  # 46 %
        await at.settled()
        assert warnings(at) == []
        await at.imagine("a hen", count=2)  # 92 %
        warning = await warned(at)
        await at.settled(2)
        refused = await at.imagine("a hare")
        at.clock.move(days=1)
        await at.imagine("an owl", count=4)
        async with asyncio.timeout(20):
            while len(warnings(at)) < 2:
                await asyncio.sleep(0.02)
        await at.settled(3)

    assert warning.ephemeral_to is at.ada
    assert f"You have used 92 % of your credits, and have {left} left. Your" in warning.text()
    assert refused.message is not None
    assert len(warnings(at)) == 2


async def test_both_limits_are_named_in_one_message(at: Stage) -> None:
    await allow(at, 16)
    async with at.easel(monthly_credits=17):
        await at.imagine("a fox", count=2)
        warning = await warned(at)
        await at.settled()

    here, month = warning.text().splitlines()
    assert "93 % of your credits, and have 1 credit left. Your credits are renewed <t:" in here
    assert "88 % of your credits for this month, in all servers, and have 2 credits" in month
    assert len(warnings(at)) == 1


async def test_the_budget_of_the_bot_is_no_matter_of_the_member(at: Stage) -> None:
    async with at.easel(budget_monthly=8):
        await at.imagine("a fox")
        await at.settled()

    assert warnings(at) == []


@pytest.mark.long
async def test_after_a_refused_reply_nothing_is_said(at: Stage) -> None:
    at.fails = True
    async with at.easel(monthly_credits=8):
        at.discord.faults.add("POST", REPLY, Answer(400, REFUSED))
        used = await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await used.answered()
        (job,) = await at.settled()

    assert job.result_message_id is None
    assert warnings(at) == []


@pytest.mark.long
@pytest.mark.parametrize("fault", [Answer(403, REFUSED), Reset()], ids=["refused", "unanswered"])
async def test_a_warning_that_cannot_be_sent_is_no_error(
    at: Stage, fault: Answer | Reset, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with at.easel(monthly_credits=8):
        at.discord.faults.add("POST", FOLLOW_UPS, fault, times=9)
        await at.imagine("a fox")
        await at.result("a fox")
        await at.settled()
        async with asyncio.timeout(20):
            while "warning about few credits not sent" not in caplog.text:
                await asyncio.sleep(0.05)

    assert warnings(at) == []
    assert all("Something went wrong" not in each.text() for each in private_to(at, at.ada))


@pytest.mark.long
async def test_a_reply_in_a_server_warns_nobody(at: Stage) -> None:
    async with at.easel(monthly_credits=16):
        source = await result(at)
        await say(at, source, "add snow")
        await edited(at, "add snow")

    everything = at.discord.world.messages.values()
    assert all("You have used" not in each.text() for each in everything)


@pytest.mark.long
async def test_the_next_command_warns_after_a_reply_in_a_server(at: Stage) -> None:
    async with at.easel(monthly_credits=37.5):
        source = await result(at)
        await at.imagine("two hares", model="oxen", count=2)
        await at.settled(2)
        await say(at, source, "add snow")  # 80 %
        await edited(at, "add snow")
        await at.settled(3)
        assert warnings(at) == []
        await at.imagine("a hen", model="oxen")
        assert "credits for this month" in (await warned(at)).text()


@pytest.mark.long
async def test_a_reply_in_direct_messages_warns_there(at: Stage) -> None:
    channel = at.discord.dm_channel(at.ada)
    async with at.easel(monthly_credits=16):
        await at.command("imagine", where=channel, prompt="a fox")
        source = await at.discord.wait_for_message(lambda it: bool(it.pictures()), 30, channel)
        await at.settled()
        await say(at, source, "add snow", mention=False)
        warning = await warned(at)
        await edited(at, "add snow")

    assert warning.channel is channel
    assert "93 % of your credits for this month, in all servers, and have 1 credit" in (
        warning.text()
    )
