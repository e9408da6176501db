"""Discord's error codes: each leads to a retry, another shape, the next destination or a notice."""

import asyncio
from datetime import timedelta

import pytest

from bot.jobs import JobStatus
from bot.sandbox.http.faults import Answer
from bot.worker import housekeeping
from cogs.delivery.error_codes import AT, EVERYWHERE, Meaning, meaning_of_code
from cogs.delivery.fallback import DestinationName
from tests.support.delivery import (
    FOLLOW_UPS,
    OPEN_DM,
    REPLIES,
    SEND,
    attempted,
    direct,
    drawing,
    one_each,
    posts_to,
    private_to,
    results_in,
    unfinished,
    until,
)
from tests.support.easel import Stage

EXPLICIT = Answer(
    400, {"code": 20009, "message": "Explicit content cannot be sent to the desired recipient(s)"}
)
UNKNOWN_WEBHOOK = Answer(404, {"code": 10015, "message": "Unknown Webhook"})
TOO_FAST = Answer(403, {"code": 40003, "message": "You are opening direct messages too fast"})
FORBIDDEN = Answer(403, {"code": 50013, "message": "Missing Permissions"})
NO_GALLERY = Answer(
    400,
    {
        "code": 50035,
        "message": "Invalid Form Body",
        "errors": {
            "components": {
                "_errors": [
                    {
                        "code": "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
                        "message": "The referenced attachment was not found",
                    }
                ]
            }
        },
    },
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "INTERVAL", timedelta(seconds=0.3))


def test_a_code_has_one_meaning_for_each_destination() -> None:
    assert meaning_of_code(40333, DestinationName.CHANNEL) is Meaning.RETRY
    assert meaning_of_code(10015, DestinationName.REPLY) is Meaning.RETRY_BRIEFLY
    assert meaning_of_code(10015, DestinationName.CHANNEL) is None
    assert meaning_of_code(50013, DestinationName.CHANNEL) is None
    assert all(code not in EVERYWHERE for codes in AT.values() for code in codes)


@pytest.mark.parametrize("fault", [NO_GALLERY, None], ids=["gallery refused", "reply deleted"])
async def test_a_reply_that_cannot_be_edited_is_followed_by_a_private_message(
    at: Stage, fault: Answer | None
) -> None:
    async with at.easel():
        await drawing(at, 1, private=True)
        (status,) = private_to(at, at.ada)
        if fault is None:
            at.discord.world.delete(status)
        else:
            at.discord.faults.add("PATCH", REPLIES, fault)
        await at.finish()
        (job,) = await at.settled()

    shown = [each for each in private_to(at, at.ada) if each.pictures()]
    assert [each.id for each in shown] == [job.result_message_id]
    assert job.result_channel_id == 0  # nobody else sees the message
    assert shown[0] is not status
    assert not unfinished(at)
    assert direct(at) == results_in(at, at.channel) == []
    assert fault is None or "in a message that only you see" in status.text()


@pytest.mark.long
async def test_an_unknown_webhook_is_retried_for_half_a_minute(at: Stage) -> None:
    async with at.easel():
        await drawing(at, 1, private=True)
        unknown = at.discord.faults.add("PATCH", REPLIES, UNKNOWN_WEBHOOK)
        await at.finish()
        await attempted(at)
        at.clock.move(seconds=5)
        (job,) = await at.settled()

    assert unknown.hits == 1
    assert job.result_message_id == job.route.status_message_id


@pytest.mark.long
async def test_a_webhook_that_stays_unknown_is_left_for_a_direct_message(at: Stage) -> None:
    async with at.easel():
        await drawing(at, 1, private=True)
        for method, path in (("PATCH", REPLIES), ("POST", FOLLOW_UPS), ("DELETE", REPLIES)):
            unknown = at.discord.faults.add(method, path, UNKNOWN_WEBHOOK, times=None)
        await at.finish()
        await attempted(at)
        at.clock.move(minutes=2)
        await until(at, lambda job: job.result_message_id)
        at.clock.move(minutes=5)
        (job,) = await at.settled()

    assert unknown.hits <= 2
    assert job.status is JobStatus.SUCCEEDED
    one_each(direct(at), [job])


async def test_a_picture_that_every_destination_refuses_ends_as_text(at: Stage) -> None:
    """The status message says where the result waits; the private job is in no channel."""
    async with at.easel():
        await drawing(at, 1, private=True)
        (status,) = private_to(at, at.ada)
        for method, path in (("PATCH", REPLIES), ("POST", FOLLOW_UPS), ("POST", SEND)):
            at.discord.faults.add(method, path, EXPLICIT)
        await at.finish()
        (job,) = await at.settled()
        shown = await at.command("show", job=job.id)
        async with asyncio.timeout(20):
            while not (shown.message and shown.message.pictures()):
                await asyncio.sleep(0.02)

    assert (job.status, job.result_message_id) == (JobStatus.SUCCEEDED, None)
    assert f"See `/show` with the job `{job.id}`" in status.text()
    assert "fox" not in status.text()
    assert unfinished(at) == []
    assert at.discord.channel_messages(at.channel) == direct(at) == []
    assert await at.balance() == -7500


async def test_a_notice_follows_if_the_status_message_is_gone(at: Stage) -> None:
    async with at.easel():
        await drawing(at, 1, private=True)
        (status,) = private_to(at, at.ada)
        at.discord.world.delete(status)
        for path in (FOLLOW_UPS, SEND):
            at.discord.faults.add("POST", path, EXPLICIT)
        await at.finish()
        await at.settled()

    (notice,) = private_to(at, at.ada)
    assert "See `/show`" in notice.text()
    assert at.discord.channel_messages(at.discord.dm_channel(at.ada)) == []


@pytest.mark.long
async def test_direct_messages_that_were_opened_too_fast_are_opened_later(at: Stage) -> None:
    async with at.easel(job_timeout=3600):
        await drawing(at, 1, private=True)
        at.clock.move(minutes=16)
        too_fast = at.discord.faults.add("POST", OPEN_DM, TOO_FAST)
        await at.finish()
        job = await attempted(at)
        assert job.deliver_after
        wait = job.deliver_after - at.clock()
        at.clock.move(minutes=2)
        (job,) = await at.settled()

    assert too_fast.hits == 1
    assert wait > timedelta(seconds=50)
    one_each(direct(at), [job])


@pytest.mark.long
async def test_a_status_message_ends_when_the_result_goes_elsewhere(at: Stage) -> None:
    """The first attempt to end it fails: the result is not posted again for that."""
    refused = at.discord.faults
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)
        (status,) = at.discord.channel_messages(at.channel)
        refused.add("POST", posts_to(at.channel), FORBIDDEN)
        refused.add("PATCH", rf"{SEND}/\d+", FORBIDDEN)  # with the pictures
        failed = refused.add("PATCH", rf"{SEND}/\d+", Answer(503, "<html>"))
        await at.finish()
        waiting = await attempted(at)
        at.clock.move(seconds=10)
        (job,) = await at.settled()

    assert failed.hits == 1
    assert waiting.result_message_id == job.result_message_id
    one_each(direct(at), [job])
    assert unfinished(at) == []
    assert status.deleted


@pytest.mark.long
@pytest.mark.parametrize("restart", [False, True])
async def test_a_status_message_that_cannot_be_deleted_now_is_deleted_later(
    at: Stage, restart: bool
) -> None:
    async with at.easel():
        await drawing(at, 1)
        status = await at.said("Drawing")
        failed = at.discord.faults.add("DELETE", REPLIES, Answer(429, "<html>"), times=None)
        await at.finish()
        await attempted(at)
        assert unfinished(at) != []
        failed.remove()
        at.clock.move(seconds=10)
        if not restart:
            await at.settled()
    if restart:
        async with at.easel():
            await at.settled()
    (job,) = await at.jobs()

    one_each(results_in(at, at.channel), [job])
    assert unfinished(at) == []
    assert status.deleted  # and does not say that the result is elsewhere
