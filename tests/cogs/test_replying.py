"""Edit by replying: a reply to a result requests a change of the picture."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.jobs import Job, JobStatus
from bot.sandbox.discord import ChannelKind, Message, Upload, User, permissions
from bot.sandbox.http.faults import Hold
from bot.store import jobs
from cogs import _notes
from tests.support.delivery import until
from tests.support.easel import Stage
from tests.support.files import picture

CAT = Upload("cat.png", picture())
GIF = Upload("cat.gif", b"GIF89a" + bytes(20))
NEUTRAL = "This picture was not edited. See /help."


async def result(at: Stage, prompt: str = "a fox", *, count: int = 1) -> Message:
    await at.imagine(prompt, count=count)
    found = await at.result(prompt)
    await at.settled()
    return found


async def say(
    at: Stage,
    to: Message,
    text: str,
    files: Sequence[Upload] = (),
    *,
    by: User | None = None,
    mention: bool = True,
) -> Message:
    content = f"<@{at.discord.bot_user.id}> {text}" if mention else text
    return await at.discord.say(by or at.ada, to.channel, content, files, reply_to=to)


async def edited(at: Stage, prompt: str, *, by: User | None = None) -> tuple[Job, Message]:
    """Wait for the result of a reply; return its job and its message."""
    async with asyncio.timeout(20):
        while True:
            for job in await at.jobs(by or at.ada):
                if job.request.prompt == prompt and job.delivered_at:
                    shown = at.discord.world.messages[job.result_message_id or 0]
                    return job, shown
            await asyncio.sleep(0.02)


async def note(at: Stage, text: str) -> Message:
    """Wait for a note in the channel."""
    found = await at.said(text)
    assert found.reference is not None
    return found


async def ignored(at: Stage, *, count: int = 1, by: User | None = None) -> None:
    """Check that nothing has come of a reply, once the bot has surely read it."""
    before = len(at.discord.channel_messages(at.channel))
    await at.command("help", by=at.server.owner)
    await asyncio.sleep(0.2)  # a job or a note would follow within milliseconds
    assert len(await at.jobs(by)) == count
    assert len(at.discord.channel_messages(at.channel)) == before


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


async def test_a_number_chooses_the_picture(at: Stage) -> None:
    async with at.easel():
        source = await result(at, count=3)
        await say(at, source, "2: add snow")
        job, _ = await edited(at, "add snow")
        await say(at, source, "16:9 please")
        shape, _ = await edited(at, "16:9 please")

    assert "-2.png" in job.inputs[0].url
    assert "-1.png" in shape.inputs[0].url


async def test_a_wrong_number_is_refused(at: Stage) -> None:
    async with at.easel():
        source = await result(at, count=2)
        await say(at, source, "3: add snow")
        await note(at, "This result has 2 pictures")

    assert len(await at.jobs()) == 1


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


@pytest.mark.parametrize("text", ["nice!", ""])
async def test_a_mere_ping_buys_nothing(at: Stage, text: str) -> None:
    async with at.easel():
        source = await result(at)
        said = await say(at, source, text, [] if text else [CAT], mention=False)
        assert at.discord.bot_user in said.mentions or source.of_webhook
        await ignored(at)


async def test_bots_and_webhooks_buy_nothing(at: Stage) -> None:
    other = at.discord.add_user("Other", bot=True)
    async with at.easel():
        source = await result(at)
        await say(at, source, "add snow", by=other)
        text = f"<@{at.discord.bot_user.id}> add snow"
        await at.discord.post_by_webhook(at.channel, "Hook", text)
        await at.discord.say(at.ada, at.channel, text)  # no reply
        said = await say(at, source, "nice", mention=False)
        forged = {"content": text, "webhook_id": str(at.ada.id)}
        at.discord.world.dispatch("MESSAGE_CREATE", said.to_json() | forged, guild=at.server)
        await ignored(at)


async def test_a_blocked_member_gets_no_answer(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
    async with at.easel(blocked_users=frozenset({at.ben.id})):
        await say(at, source, "add snow", by=at.ben)
        await ignored(at, by=at.ben, count=0)


@pytest.mark.parametrize(
    ("text", "files", "answer"),
    [
        ("", [], "Write after the mention which change to make"),
        ("1: ", [CAT], "Write after the mention which change to make"),
        ("add snow", [GIF], "is a GIF. Save it as PNG"),
        ("add snow", [CAT] * 4, "Attach fewer"),
        ("2: add snow", [], "This result has 1 picture."),
    ],
)
async def test_a_reply_that_cannot_be_a_request_is_answered(
    at: Stage, text: str, files: list[Upload], answer: str
) -> None:
    async with at.easel():
        source = await result(at)
        said = await say(at, source, text, files)
        assert (await note(at, answer)).reference is said

    assert len(await at.jobs()) == 1


async def test_a_text_that_only_nitro_allows_is_refused(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        said = await say(at, source, "add snow", mention=False)
        long = {"content": f"<@{at.discord.bot_user.id}> {'x' * 2001}"}
        at.discord.world.dispatch("MESSAGE_CREATE", said.to_json() | long, guild=at.server)
        await note(at, "2000")

    assert len(await at.jobs()) == 1


async def test_a_reply_to_another_message_of_the_bot_is_refused_if_it_asks(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        other = await at.discord.say(at.ben, at.channel, "look", [CAT])
        await say(at, other, "add snow", by=at.ben)  # nothing of the bot's
        await say(at, status, "add snow", mention=False)
        await ignored(at)
        await say(at, status, "add snow")
        await note(at, "This message has no picture to edit")

    assert len(await at.jobs()) == 1


async def test_a_deleted_or_hidden_result_is_refused(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        async with at.database() as database, database.transaction() as tx:
            (job,) = await at.jobs()
            await jobs.change(tx, job.id, hidden_at=at.clock())
        await say(at, source, "add snow")
        await note(at, NEUTRAL)

    assert len(await at.jobs()) == 1


async def test_pictures_that_are_no_longer_stored_are_refused(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        for each in (at.folder / "pictures").rglob("*.png"):
            each.unlink()
        await say(at, source, "add snow")
        await note(at, "are no longer stored")

    assert len(await at.jobs()) == 1


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


@pytest.mark.parametrize(
    ("lacks", "answer"),
    [
        (permissions.SEND_MESSAGES, None),
        (permissions.VIEW_CHANNEL, None),
        (permissions.ATTACH_FILES, "Missing permissions: Attach Files"),
    ],
)
async def test_nothing_is_made_where_the_bot_may_not_post(
    at: Stage, lacks: int, answer: str | None
) -> None:
    async with at.easel():
        source = await result(at)
        at.discord.set_channel_permissions(at.channel, at.discord.bot_user, deny=lacks)
        await say(at, source, "add snow")
        if answer:
            await note(at, answer)
        else:
            await ignored(at)

    assert len(await at.jobs()) == 1


async def test_who_may_not_use_the_command_may_not_reply(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        at.discord.set_channel_permissions(
            at.channel, at.ben, deny=permissions.USE_APPLICATION_COMMANDS
        )
        await say(at, source, "add snow", by=at.ben)
        await note(at, NEUTRAL)

        everybody = at.server.roles[0]
        at.discord.set_command_permissions(at.server, "edit", {everybody: False})
        await at.command("help")
        said = await say(at, source, "add snow")
        await at.discord.wait_for_message(lambda each: each.reference is said)

    assert len(await at.jobs()) == 1
    assert await at.jobs(at.ben) == []


async def test_a_member_has_one_note_at_a_time_and_it_is_deleted(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_notes, "NOTE_SECONDS", 1.0)
    async with at.easel():
        source = await result(at)
        await say(at, source, "")
        first = await note(at, "Write after the mention")
        await say(at, source, "")
        await ignored(at)
        async with asyncio.timeout(10):
            while not first.deleted:
                await asyncio.sleep(0.02)


async def test_a_note_is_deleted_before_the_bot_stops(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        await say(at, source, "")
        shown = await note(at, "Write after the mention")

    assert shown.deleted


async def test_no_note_tells_a_members_credits(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
    async with at.easel(monthly_credits=1):
        await say(at, source, "add snow", by=at.ben)
        shown = await note(at, "you have too few credits")

    assert not any(each.isdigit() for each in shown.text())
    assert await at.jobs(at.ben) == []


async def test_the_same_reply_twice_makes_one_job(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        said = await say(at, source, "add snow")
        for _ in range(2):
            at.discord.world.dispatch("MESSAGE_CREATE", said.to_json(), guild=at.server)
        await edited(at, "add snow")
        await ignored(at, count=2)


async def test_two_replies_at_once_make_two_jobs(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
        await asyncio.gather(say(at, source, "add snow"), say(at, source, "add a moon"))
        await edited(at, "add snow")
        await edited(at, "add a moon")

    assert len(await at.jobs()) == 3


async def test_a_result_is_edited_by_a_reply_after_a_restart(at: Stage) -> None:
    async with at.easel():
        source = await result(at)
    at.clock.move(hours=30)  # the addresses of the result have expired, too
    async with at.easel():
        await say(at, source, "add snow")
        job, _ = await edited(at, "add snow")

    assert job.status is JobStatus.SUCCEEDED
    assert job.created_at - at.clock() < timedelta(minutes=1)


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
