"""Edit by replying: a reply to a result requests a change of the picture."""

import asyncio
from datetime import timedelta

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import ChannelKind, Upload
from bot.sandbox.http.faults import Hold
from tests.support.delivery import until
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.replying import edited, ignored, result, say

CAT = Upload("cat.png", picture())
GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES = 1 << 0, 1 << 9, 1 << 12


@pytest.mark.long
async def test_no_privileged_intent_is_used(at: Stage) -> None:
    async with at.easel():
        intents = [session.intents for session in at.discord.gateway.live]

    assert intents == [GUILDS | GUILD_MESSAGES | DIRECT_MESSAGES]


async def test_a_reply_edits_the_result_for_who_replies(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        said = await say(at, source, "add snow", by=at.ben)
        status = await at.discord.wait_for_message(lambda each: each.reference is said)
        job, shown = await edited(at, "add snow", by=at.ben)
        (made_from,) = await at.jobs()

    assert status.deleted
    assert shown.reference is source
    assert f"<@{at.ben.id}>" in shown.text()
    assert (job.user_id, job.status) == (at.ben.id, JobStatus.SUCCEEDED)
    assert (job.source_job_id, job.origin_id) == (made_from.id, said.id)
    assert (job.result_channel_id, job.route.reply_to_id) == (at.channel.id, source.id)
    assert (job.route.interaction_token, job.of_message) == (None, True)
    assert await at.balance(at.ben) < 0
    assert len(job.inputs) == 1
    (_, body) = at.created()
    assert f"/easel-{made_from.id}-1.png" in str(body)


async def test_a_result_whose_source_was_deleted_is_posted_without_a_reply(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        at.oxen.manual = True
        await say(at, source, "add snow")
        await at.oxen.created(2)
        at.discord.delete(at.server.owner, source)
        await at.finish()
        _, shown = await edited(at, "add snow")

    assert (shown.channel, shown.reference) == (at.channel, None)


@pytest.mark.long
async def test_a_chain_of_replies_and_references(at: Stage) -> None:
    async with at.easel():
        first = await result(at)
        await say(at, first, "add snow", [CAT])
        one, second = await edited(at, "add snow")
        await say(at, second, "add a moon")
        two, third = await edited(at, "add a moon")

    assert (len(one.inputs), len(two.inputs)) == (2, 1)
    assert (second.reference, third.reference) == (first, second)
    assert two.source_job_id == one.id


@pytest.mark.long
async def test_a_reply_may_come_before_the_end_of_the_delivery(at: Stage) -> None:
    """The status message is deleted first, which may take seconds; then the result is stored."""
    slow = at.discord.faults.add("DELETE", r"/api/v10/.*/messages/.*", Hold(), times=None)
    async with at.easel():
        await at.imagine("a fox")
        source = await at.result("a fox")
        await slow.reached()
        await say(at, source, "add snow", by=at.ben)
        status = await at.discord.wait_for_message(
            lambda each: each.author is at.discord.bot_user and "> add snow" in each.text()
        )
        (job,) = await at.jobs(at.ben)
        assert not (await at.jobs())[0].delivered_at
        slow.remove()
        await edited(at, "add snow", by=at.ben)

    assert status.id == job.route.status_message_id
    assert job.route.reply_to_id == source.id


@pytest.mark.long
async def test_a_number_chooses_the_picture(at: Stage) -> None:
    async with at.easel():
        source = await result(at, count=3)
        await say(at, source, "2: add snow")
        job, _ = await edited(at, "add snow")
        await say(at, source, "16:9 please")
        shape, _ = await edited(at, "16:9 please")

    assert "-2.png" in job.inputs[0].url
    assert "-1.png" in shape.inputs[0].url


async def test_in_direct_messages_every_reply_counts(at: Stage) -> None:
    async with at.easel():
        where = at.discord.dm_channel(at.ada)
        await at.command("imagine", where=where, prompt="a fox")
        source = await at.result("a fox")
        await at.settled()
        await say(at, source, "add snow", mention=False)
        job, shown = await edited(at, "add snow")

    assert (shown.channel, shown.reference) == (where, source)
    assert not job.route.private


@pytest.mark.long
async def test_what_is_made_from_a_private_result_is_private(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        await at.imagine("a fox", private=True)
        await at.oxen.created()
        at.clock.move(minutes=16)  # the token has expired: the result comes by direct message
        await at.finish()
        (private,) = await at.settled()
        at.oxen.manual = False
        source = await at.result("a fox")
        await say(at, source, "add snow", mention=False)
        job, shown = await edited(at, "add snow")

    where = at.discord.dm_channel(at.ada)
    assert private.result_channel_id == where.id
    assert job.route.private
    assert (shown.channel, shown.reference, job.result_channel_id) == (where, source, where.id)
    assert [each for each in at.discord.channel_messages(where) if "Queued" in each.text()] == []


@pytest.mark.long
async def test_a_reply_in_a_thread_is_answered_there(at: Stage) -> None:
    thread = at.discord.add_channel(
        at.server, "foxes", kind=ChannelKind.PUBLIC_THREAD, parent=at.channel
    )
    async with at.easel():
        await at.command("imagine", where=thread, prompt="a fox")
        source = await at.result("a fox")
        await say(at, source, "add snow", by=at.ben)
        job, shown = await edited(at, "add snow", by=at.ben)

    assert (shown.channel, shown.reference) == (thread, source)
    assert (job.route.channel_id, job.route.parent_id) == (thread.id, at.channel.id)


async def test_the_same_reply_twice_makes_one_job(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        said = await say(at, source, "add snow")
        for _ in range(2):
            at.discord.world.dispatch("MESSAGE_CREATE", said.to_json(), guild=at.server)
        await edited(at, "add snow")
        await ignored(at, count=2)


@pytest.mark.long
async def test_two_replies_at_once_make_two_jobs(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        await asyncio.gather(say(at, source, "add snow"), say(at, source, "add a moon"))
        await edited(at, "add snow")
        await edited(at, "add a moon")

    assert len(await at.jobs()) == 3


@pytest.mark.long
async def test_a_result_is_edited_by_a_reply_after_a_restart(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
    at.clock.move(hours=30)  # the addresses of the result have expired, too
    async with at.easel():
        await say(at, source, "add snow")
        job, _ = await edited(at, "add snow")

    assert job.status is JobStatus.SUCCEEDED
    assert job.created_at - at.clock() < timedelta(minutes=1)


@pytest.mark.long
async def test_a_reply_can_be_canceled(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        at.oxen.manual = True
        said = await say(at, source, "add snow")
        status = await at.discord.wait_for_message(
            lambda each: each.reference is said and "Drawing" in each.text()
        )
        pressed = await at.discord.click(at.ada, status, str(status.buttons()[0]["custom_id"]))
        await pressed.answered()
        job = await until(at, lambda job: job.delivered_at)

    assert job.status is JobStatus.CANCELED
    assert "Canceled" in status.text()
    assert job.result_message_id == status.id


@pytest.mark.long
@pytest.mark.parametrize(("choice", "silent"), [("silent", True), ("private", False)])
async def test_a_reply_obeys_the_choice_of_who_replies(
    at: Stage, choice: str, silent: bool
) -> None:
    """But for `private`: nothing that a message requests in a server can be private."""
    async with at.easel():
        source = await result(at)
        await at.command("my notify", how=choice, by=at.ben)
        await say(at, source, "add snow", by=at.ben)
        _, shown = await edited(at, "add snow", by=at.ben)

    assert bool(shown.flags & 1 << 12) is silent  # SUPPRESS_NOTIFICATIONS
    assert (shown.pings == []) is silent
    assert shown.ephemeral_to is None
