"""The channel of a result, and the manner in which the result reaches the requester."""

import asyncio
from collections.abc import Callable

import pytest

from bot.jobs import Job, Notify
from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer, AnswerAfter, Hold
from bot.store.tables import jobs as rows
from tests.support.delivery import OPEN_DM, drawing, posts_to
from tests.support.easel import Stage

pytestmark = pytest.mark.long

SILENT = 1 << 12  # Discord's flag SUPPRESS_NOTIFICATIONS


async def wish(at: Stage, notify: Notify) -> None:
    """Give all jobs a manner, as a member's own choice does."""
    async with at.database() as database, database.transaction() as tx:
        await tx.execute(rows.update().values(notify=notify))


async def finished(at: Stage, notify: Notify, count: int = 1) -> list[Job]:
    await drawing(at, count)
    await wish(at, notify)
    await at.finish()
    return await at.settled(count)


def links(at: Stage) -> list[str]:
    """Return the texts of Ada's direct messages that have a link."""
    shown = at.discord.channel_messages(at.discord.dm_channel(at.ada))
    return [each.text() for each in shown if "https://discord.com" in each.text()]


def pings(message: Message) -> list[str]:
    return [each.name for each in message.mentions]


async def test_a_result_pings_once(at: Stage) -> None:
    async with at.easel():
        (job,) = await finished(at, Notify.PING)

    shown = at.discord.world.messages[job.result_message_id or 0]
    assert (pings(shown), shown.flags & SILENT) == (["Ada"], 0)
    assert job.result_channel_id == at.channel.id
    assert links(at) == []


async def test_a_silent_result_pings_nobody(at: Stage) -> None:
    async with at.easel():
        (job,) = await finished(at, Notify.SILENT)

    shown = at.discord.world.messages[job.result_message_id or 0]
    assert (pings(shown), shown.flags & SILENT) == ([], SILENT)
    assert "<@" in shown.text()  # named all the same
    assert links(at) == []


async def test_a_direct_message_links_the_result(at: Stage) -> None:
    async with at.easel():
        (job,) = await finished(at, Notify.DIRECT)

    shown = at.discord.world.messages[job.result_message_id or 0]
    assert (pings(shown), shown.flags & SILENT) == ([], SILENT)
    (text,) = links(at)
    path = f"{at.server.id}/{at.channel.id}/{shown.id}"
    assert text == f"Your result is ready: https://discord.com/channels/{path}"


async def test_a_refused_direct_message_is_no_error(at: Stage) -> None:
    at.ada.accepts_dms = False
    async with at.easel():
        (job,) = await finished(at, Notify.DIRECT)

    assert (job.delivery_attempts, job.delivery_error) == (1, None)
    assert links(at) == []


async def test_a_link_is_not_sent_twice_after_a_post_with_an_unknown_outcome(at: Stage) -> None:
    at.discord.faults.add("POST", posts_to(at.channel), AnswerAfter(503, {}))
    async with at.easel():
        (job,) = await finished(at, Notify.DIRECT)

    assert job.delivery_attempts == 2
    assert len(links(at)) == 1


async def test_a_link_is_not_sent_again_after_a_restart(at: Stage) -> None:
    """The first run ends after the link, and before the end is stored."""
    async with at.easel():
        await drawing(at, 1)
        await wish(at, Notify.DIRECT)
        held = at.discord.faults.add("DELETE", r"/api/v10/.*/messages/.*", Hold(), times=None)
        await at.finish()
        await held.reached()
    held.remove()
    assert len(links(at)) == 1
    at.clock.move(minutes=10)  # Discord has forgotten the nonce
    async with at.easel():
        (job,) = await at.settled()

    assert job.result_message_id is not None
    assert len(links(at)) == 1


async def test_a_link_that_cannot_be_sent_in_time_is_left_out(at: Stage) -> None:
    busy = at.discord.faults.add("POST", OPEN_DM, Answer(503, {}), times=None)
    async with at.easel():
        (job,) = await finished(at, Notify.DIRECT)

    assert busy.hits == 1
    assert job.delivery_attempts == 1


@pytest.mark.parametrize(
    ("setup", "channel"),
    [
        (lambda _: {}, lambda at: at.channel.id),
        (lambda _: {"private": True}, lambda _: 0),
        (
            lambda at: {"where": at.discord.dm_channel(at.ada)},
            lambda at: at.discord.dm_channel(at.ada).id,
        ),
    ],
    ids=["public", "private", "direct messages"],
)
async def test_the_channel_of_a_result_is_stored(
    at: Stage, setup: Callable[[Stage], dict[str, object]], channel: Callable[[Stage], int]
) -> None:
    async with at.easel():
        await at.command("imagine", prompt="a fox", **setup(at))  # type: ignore[arg-type]
        (job,) = await at.settled()

    assert job.result_channel_id == job.result_channel == channel(at)


async def test_a_result_by_direct_message_is_linked_there(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        await at.imagine("a fox", private=True)
        await at.oxen.created()
        at.clock.move(minutes=16)
        await at.finish()
        (job,) = await at.settled()

    assert job.result_channel_id == at.discord.dm_channel(at.ada).id


async def test_a_result_that_becomes_the_reply_has_the_channel_of_the_reply(at: Stage) -> None:
    refused = Answer(403, {"code": 50013, "message": "Missing Permissions"})
    at.discord.faults.add("POST", posts_to(at.channel), refused, times=None)
    async with at.easel():
        await at.imagine()
        (job,) = await at.settled()

    assert job.result_message_id == job.route.status_message_id
    assert job.result_channel_id == at.channel.id


async def test_a_result_whose_status_message_is_not_ended_has_its_channel_already(
    at: Stage,
) -> None:
    at.discord.faults.add("DELETE", r"/api/v10/.*", Answer(503, {}), times=6)
    async with at.easel():
        await at.imagine()
        async with asyncio.timeout(20):
            while not (await at.jobs())[0].result_message_id:
                await asyncio.sleep(0.02)
        (waiting,) = await at.jobs()
        (job,) = await at.settled()

    assert waiting.delivered_at is None
    assert waiting.result_channel_id == job.result_channel_id == at.channel.id
