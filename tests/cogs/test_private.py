"""Private jobs, whose results never reach a channel; and the last word before an answer is lost."""

import asyncio

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Interaction, Message
from bot.sandbox.http.faults import Answer, HoldBefore, Reset
from cogs.delivery import timeouts
from tests.support.easel import Stage, text_of

NO_POSTING = 1024  # View Channel alone
LATE = "will be sent to you by direct message"
ANSWERS = r"/api/v10/webhooks/.*"


async def private(at: Stage, prompt: str = "a fox") -> tuple[Interaction, Message]:
    asked = await at.imagine(prompt, private=True)
    assert asked.message is not None
    return asked, asked.message


def in_channel(at: Stage) -> list[Message]:
    """What everybody sees there."""
    return at.discord.channel_messages(at.channel)


def in_direct_messages(at: Stage) -> list[Message]:
    return at.discord.channel_messages(at.discord.dm_channel(at.ada))


async def test_the_answer_that_only_its_member_sees_becomes_the_result(at: Stage) -> None:
    async with at.easel():
        asked, answer = await private(at)
        (job,) = await at.settled()

    assert len(answer.pictures()) == 1
    assert "a fox" in text_of(asked)
    assert job.result_message_id == answer.id
    assert in_channel(at) == []
    assert in_direct_messages(at) == []


async def test_its_failure_is_private_too(at: Stage) -> None:
    at.oxen.faults.add("POST", "/api/ai/queue", Answer(402, {"error": "insufficient credits"}))
    async with at.easel():
        asked, _ = await private(at)
        (job,) = await at.settled()

    assert job.status is JobStatus.FAILED
    assert "account at Oxen.ai is empty" in text_of(asked)
    assert in_channel(at) == []


async def test_its_cancel_button_works(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked, answer = await private(at)
        await at.said("Drawing")
        button = str(answer.buttons()[0]["custom_id"])
        await (await at.discord.click(at.ada, answer, button)).answered()
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert "Canceled" in text_of(asked)
    assert in_channel(at) == []


async def test_at_14_minutes_it_says_how_it_will_come_and_then_comes_so(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        _, answer = await private(at)
        await at.oxen.created()
        await at.said("Drawing")
        assert LATE not in answer.text()
        at.clock.move(minutes=14, seconds=5)
        await at.said(LATE)
        at.clock.move(minutes=2)
        await at.finish()
        await at.settled()

    (result,) = in_direct_messages(at)
    assert len(result.pictures()) == 1
    assert "a fox" in result.text()
    assert in_channel(at) == []
    assert answer.pictures() == []


async def test_a_public_job_has_no_need_of_a_last_word(at: Stage) -> None:
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
    assert LATE not in asked.message.text()
    assert result.channel is at.channel


async def test_where_the_bot_may_not_post_a_public_job_has_a_last_word_too(at: Stage) -> None:
    at.discord.set_bot_permissions(at.channel, NO_POSTING)
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        await at.imagine("a fox")
        await at.said("Drawing")
        at.clock.move(minutes=14, seconds=5)
        await at.said(LATE)
        at.clock.move(minutes=2)
        await at.finish()
        await at.settled()

    (result,) = in_direct_messages(at)
    assert len(result.pictures()) == 1


async def test_with_no_way_left_it_is_kept_for_history(at: Stage) -> None:
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


@pytest.mark.parametrize(
    "fault",
    [Answer(404, {"message": "Unknown Message", "code": 10008}), Answer(403, {"message": "no"})],
    ids=["gone", "forbidden"],
)
async def test_an_answer_that_is_gone_sends_it_by_direct_message(at: Stage, fault: Answer) -> None:
    at.discord.faults.add("PATCH", ANSWERS, fault, times=None)
    async with at.easel():
        await private(at)
        await at.settled()

    (result,) = in_direct_messages(at)
    assert len(result.pictures()) == 1
    assert in_channel(at) == []


@pytest.mark.parametrize("fault", [Answer(503, {"message": "busy"}), Reset()], ids=str)
async def test_an_edit_that_fails_is_tried_again_and_goes_nowhere_else(
    at: Stage, fault: Answer | Reset
) -> None:
    async with at.easel():
        at.oxen.manual = True
        _, answer = await private(at)
        await at.said("Drawing")
        at.discord.faults.add("PATCH", ANSWERS, fault)
        await at.finish()
        await at.settled()

    assert len(answer.pictures()) == 1
    assert in_channel(at) == in_direct_messages(at) == []


async def test_a_message_in_doubt_is_not_sent_a_second_time(at: Stage) -> None:
    """A direct message that Discord took, whose answer was lost; long afterwards."""
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


async def test_jobs_of_the_server_are_private_only_where_that_was_asked(at: Stage) -> None:
    async with at.easel():
        await private(at, "a secret")
        await at.imagine("a fox")
        await at.result("a fox")
        await at.settled(2)
        mine = await at.command("jobs")

    assert "a secret" not in "".join(message.text() for message in in_channel(at))
    lines = text_of(mine).splitlines()
    (secret,) = [line for line in lines if "a secret" in line]
    assert "discord.com/channels" not in secret  # nobody can follow a link to it


async def test_an_edit_that_was_given_up_and_arrives_late_undoes_no_result(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "SHOW_TIMEOUT", 0.3)
    at.oxen.manual = True
    held = at.discord.faults.add("PATCH", ANSWERS, HoldBefore())
    async with at.easel():
        asked = await at.imagine("a fox", private=True)
        await held.reached()
        await asyncio.sleep(0.5)
        await at.finish()
        async with asyncio.timeout(10):
            while asked.message is None or not asked.message.pictures():
                await asyncio.sleep(0.02)
        held.release()
        async with asyncio.timeout(10):
            while asked.message.pictures() or not (await at.jobs())[0].deliver_after:
                await asyncio.sleep(0.02)
        at.clock.move(seconds=30)
        (job,) = await at.settled()

    assert asked.message.pictures()
    assert job.result_message_id == asked.message.id
