"""Delivery by the route of a job: the common failures, and uploads over the limit."""

import io

import aiohttp
import pytest

from bot.jobs import JobStatus
from bot.pictures import sniff
from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer, AnswerAfter, Fault, Hold, Reset, ResetAfter
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.marks import MARK, marked

RESULT = r"/api/repos/.+"
SEND = r"/api/v10/channels/\d+/messages"
NO_VIEW = 0
ATTACH_BUT_NOT_SEND = 1024 | 32768


def results(at: Stage) -> list[Message]:
    return [m for m in at.discord.channel_messages(at.channel) if m.pictures()]


@pytest.mark.parametrize(
    "fault",
    [
        Answer(503, {"message": "no"}),
        Reset(),
        ResetAfter(),
        AnswerAfter(503, {"message": "executed all the same"}),
        Answer(429, {"retry_after": 0.1, "message": "slow", "global": False}),
    ],
    ids=str,
)
async def test_a_post_that_fails_is_retried_and_never_doubled(at: Stage, fault: Fault) -> None:
    failed = at.discord.faults.add("POST", SEND, fault)
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()

    assert failed.hits == 1
    assert len(results(at)) == 1


async def test_a_bot_killed_while_posting_finds_the_message(at: Stage) -> None:
    """The search also works after the nonce has expired."""
    held = at.discord.faults.add("POST", SEND, Hold())
    async with at.easel():
        await at.imagine("a fox")
        await held.reached()
    held.remove()
    assert (await at.jobs())[0].delivered_at is None
    at.clock.move(hours=1)

    async with at.easel():
        (job,) = await at.settled()

    assert [job.result_message_id] == [message.id for message in results(at)]


async def test_without_permission_to_post_the_reply_becomes_the_result(at: Stage) -> None:
    at.discord.set_bot_permissions(at.channel, NO_VIEW)
    async with at.easel():
        asked = await at.imagine("a fox")
        (job,) = await at.settled()

    assert asked.message is not None
    assert [message.id for message in results(at)] == [asked.message.id]
    assert job.result_message_id == asked.message.id
    labels = [each["label"] for each in asked.message.buttons()]
    assert labels == ["Again", "Remix", "Edit", "More"]  # and no Cancel


@pytest.mark.long
async def test_after_the_token_expired_too_the_result_comes_by_direct_message(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        await at.imagine("a fox")
        await at.said("Drawing")
        at.discord.set_bot_permissions(at.channel, NO_VIEW)
        at.clock.move(minutes=20)
        await at.finish()
        result = await at.result("a fox")

    assert result.channel is at.discord.dm_channel(at.ada)


@pytest.mark.long
async def test_without_a_destination_the_result_is_stored(at: Stage) -> None:
    at.oxen.manual = True
    at.ada.accepts_dms = False
    async with at.easel(job_timeout=3600):
        await at.imagine("a fox")
        await at.said("Drawing")
        at.discord.set_bot_permissions(at.channel, NO_VIEW)
        at.clock.move(minutes=20)
        await at.finish()
        (job,) = await at.settled()

    assert (job.status, job.result_message_id) == (JobStatus.SUCCEEDED, None)
    assert await at.balance() == -7500


@pytest.mark.long
async def test_a_request_in_direct_messages_is_delivered_to_them(at: Stage) -> None:
    async with at.easel():
        channel = at.discord.dm_channel(at.ada)
        await at.discord.command(at.ada, channel, "imagine", {"prompt": "a fox"})
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert result.channel is channel
    assert job.route.account_server_id == 0


@pytest.mark.long
async def test_a_result_over_the_upload_limit_is_shrunk_and_says_so(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a detailed fox in a garden")
        whole = await at.result("detailed fox")
        limit = await size_of(whole) // 2
        at.discord.set_upload_limit(at.server, limit)
        await at.imagine("a detailed fox in a garden again")
        shrunk = await at.result("garden again")
        await at.settled(2)

    assert "Shrunk to fit the upload limit" in shrunk.text()
    assert await size_of(shrunk) <= limit


@pytest.mark.long
@pytest.mark.parametrize("over", [False, True], ids=["at the limit", "over the limit"])
async def test_in_direct_messages_a_file_has_10_mib_at_most(at: Stage, over: bool) -> None:
    plain = picture(size=(96, 64))
    mark = len(marked(plain, MARK)) - len(plain)
    data = plain.ljust(10 * 1024 * 1024 - mark + over, b"\0")
    at.oxen.faults.add("GET", RESULT, Answer(200, data, {"Content-Type": "image/png"}))
    async with at.easel():
        channel = at.discord.dm_channel(at.ada)
        await at.discord.command(at.ada, channel, "imagine", {"prompt": "a fox", "model": "oxen"})
        result = await at.result("a fox")
        await at.settled()

    assert ("Shrunk to fit the upload limit" in result.text()) is over


async def size_of(message: Message) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(message.pictures()[0]) as response,
    ):
        data = await response.read()
    assert sniff(data) is not None
    return len(io.BytesIO(data).getbuffer())
