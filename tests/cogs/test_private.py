"""Private jobs, whose results never reach a channel; and the last status before a token expires."""

import asyncio

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Interaction, Message
from bot.sandbox.http.faults import Answer, HoldBefore, Reset
from cogs.delivery import timeouts
from tests.support.delivery import FOLLOW_UPS
from tests.support.easel import Stage, text_of

NO_POSTING = 1024  # View Channel alone
NOTICE = "will be sent to you by direct message"
REPLIES = r"/api/v10/webhooks/.*"


async def private(at: Stage, prompt: str = "a fox") -> tuple[Interaction, Message]:
    asked = await at.imagine(prompt, private=True)
    assert asked.message is not None
    return asked, asked.message


def in_channel(at: Stage) -> list[Message]:
    """Return the messages that everybody sees."""
    return at.discord.channel_messages(at.channel)


def in_direct_messages(at: Stage) -> list[Message]:
    return at.discord.channel_messages(at.discord.dm_channel(at.ada))


async def test_the_ephemeral_reply_becomes_the_result(at: Stage) -> None:
    async with at.easel():
        asked, reply = await private(at)
        (job,) = await at.settled()

    assert len(reply.pictures()) == 1
    assert "a fox" in text_of(asked)
    assert job.result_message_id == reply.id
    assert in_channel(at) == []
    assert in_direct_messages(at) == []


async def test_a_failure_is_private_too(at: Stage) -> None:
    at.oxen.faults.add("POST", "/api/ai/queue", Answer(402, {"error": "insufficient credits"}))
    async with at.easel():
        asked, _ = await private(at)
        (job,) = await at.settled()

    assert job.status is JobStatus.FAILED
    assert "account at Oxen.ai is empty" in text_of(asked)
    assert in_channel(at) == []


async def test_the_cancel_button_works(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked, reply = await private(at)
        await at.said("Drawing")
        button = str(reply.buttons()[0]["custom_id"])
        await (await at.discord.click(at.ada, reply, button)).answered()
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert "Canceled" in text_of(asked)
    assert in_channel(at) == []


async def test_at_14_minutes_the_status_announces_a_direct_message(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        _, reply = await private(at)
        await at.oxen.created()
        await at.said("Drawing")
        assert NOTICE not in reply.text()
        at.clock.move(minutes=14, seconds=5)
        await at.said(NOTICE)
        assert "Drawing" not in reply.text()  # which would stay for ever
        at.clock.move(minutes=2)
        await at.finish()
        await at.settled()

    (result,) = in_direct_messages(at)
    assert len(result.pictures()) == 1
    assert "a fox" in result.text()
    assert in_channel(at) == []
    assert reply.pictures() == []


@pytest.mark.long
async def test_the_status_of_a_public_job_announces_nothing(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        asked = await at.imagine("a fox")
        await at.said("Drawing")
        at.clock.move(minutes=14, seconds=30)
        await at.imagine("a hare", by=at.ben)
        await at.oxen.created(2)
        at.clock.move(minutes=2)
        await at.finish()
        result = await at.result("a fox")

    assert asked.message is not None
    assert NOTICE not in asked.message.text()
    assert result.channel is at.channel


@pytest.mark.long
async def test_a_public_job_without_permission_to_post_announces_a_direct_message(
    at: Stage,
) -> None:
    at.discord.set_bot_permissions(at.channel, NO_POSTING)
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        await at.imagine("a fox")
        await at.said("Drawing")
        at.clock.move(minutes=14, seconds=5)
        await at.said(NOTICE)
        at.clock.move(minutes=2)
        await at.finish()
        await at.settled()

    (result,) = in_direct_messages(at)
    assert len(result.pictures()) == 1


@pytest.mark.long
async def test_an_undeliverable_result_is_shown_by_show(at: Stage) -> None:
    at.oxen.manual = True
    at.ada.accepts_dms = False
    async with at.easel(job_timeout=3600):
        await private(at)
        await at.oxen.created()
        at.clock.move(minutes=16)
        await at.finish()
        (job,) = await at.settled()
        shown = await at.command("show", job=job.id)
        await at.discord.wait_for_message(
            lambda it: it.ephemeral_to is at.ada and bool(it.pictures())
        )

    assert job.status is JobStatus.SUCCEEDED
    assert job.result_message_id is None
    assert shown.user is at.ada
    assert in_channel(at) == in_direct_messages(at) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [Answer(404, {"message": "Unknown Message", "code": 10008}), Answer(403, {"message": "no"})],
    ids=["gone", "forbidden"],
)
async def test_a_result_whose_reply_is_gone_goes_to_direct_messages(
    at: Stage, fault: Answer
) -> None:
    for method, path in (("PATCH", REPLIES), ("POST", FOLLOW_UPS)):
        at.discord.faults.add(method, path, fault, times=None)
    async with at.easel():
        await private(at)
        await at.settled()

    (result,) = in_direct_messages(at)
    assert len(result.pictures()) == 1
    assert in_channel(at) == []


@pytest.mark.long
@pytest.mark.parametrize("fault", [Answer(503, {"message": "busy"}), Reset()], ids=str)
async def test_an_edit_that_fails_is_retried_and_goes_to_no_other_destination(
    at: Stage, fault: Answer | Reset
) -> None:
    async with at.easel():
        at.oxen.manual = True
        _, reply = await private(at)
        await at.said("Drawing")
        at.discord.faults.add("PATCH", REPLIES, fault)
        await at.finish()
        await at.settled()

    assert len(reply.pictures()) == 1
    assert in_channel(at) == in_direct_messages(at) == []


@pytest.mark.long
async def test_a_direct_message_with_an_unknown_outcome_is_not_sent_again(at: Stage) -> None:
    """The search also works after the nonce has expired."""
    at.oxen.manual = True
    async with at.easel(job_timeout=7200):
        await private(at)
        await at.oxen.created()
        at.clock.move(minutes=16)
        lost = at.discord.faults.add("POST", r"/api/v10/channels/\d+/messages", Answer(503, {}))
        await at.finish()
        await lost.reached()
        at.clock.move(hours=1)
        await at.settled()

    assert len(in_direct_messages(at)) == 1


@pytest.mark.long
async def test_a_job_is_private_only_if_requested(at: Stage) -> None:
    async with at.easel():
        await private(at, "a secret")
        await at.imagine("a fox")
        await at.result("a fox")
        await at.settled(2)
        mine = await at.command("jobs")

    assert "a secret" not in "".join(message.text() for message in in_channel(at))
    lines = text_of(mine).splitlines()
    (secret,) = [line for line in lines if "a secret" in line]
    assert "discord.com/channels" not in secret  # nobody can follow a link to an ephemeral message


@pytest.mark.long
async def test_an_edit_that_arrives_after_its_timeout_undoes_no_result(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "SHOW_TIMEOUT", 0.3)
    at.oxen.manual = True
    held = at.discord.faults.add("PATCH", REPLIES, HoldBefore())
    async with at.easel():
        asked = await at.imagine("a fox", private=True)
        await held.reached()
        await asyncio.sleep(0.5)
        await at.finish()
        async with asyncio.timeout(20):
            while asked.message is None or not asked.message.pictures():
                await asyncio.sleep(0.02)
        held.release()
        async with asyncio.timeout(20):
            while asked.message.pictures() or not (await at.jobs())[0].deliver_after:
                await asyncio.sleep(0.02)
        at.clock.move(seconds=30)
        (job,) = await at.settled()

    assert asked.message.pictures()
    assert job.result_message_id == asked.message.id
