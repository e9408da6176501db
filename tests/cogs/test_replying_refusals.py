"""Replies that request nothing: those that nobody meant so, and those that get a short answer."""

import asyncio

import pytest

from bot.sandbox.discord import Upload, permissions
from bot.store import jobs
from cogs import _notes
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.replying import ignored, note, result, say

pytestmark = pytest.mark.long

CAT = Upload("cat.png", picture())
GIF = Upload("cat.gif", b"GIF89a" + bytes(20))
NEUTRAL = "This picture was not edited. See /help."


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
    assert [each for each in at.discord.requests if each.status == 403] == []


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
        async with asyncio.timeout(20):
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
        shown = await note(at, "This picture was not edited. See /usage.")

    assert not any(each.isdigit() for each in shown.text())
    assert await at.jobs(at.ben) == []


async def test_a_wrong_number_is_refused(at: Stage) -> None:
    async with at.easel():
        source = await result(at, count=2)
        await say(at, source, "3: add snow")
        await note(at, "This result has 2 pictures")

    assert len(await at.jobs()) == 1


async def test_a_reply_to_a_message_that_is_gone_is_refused(at: Stage) -> None:
    """Discord sends null in place of a message that was deleted in the meantime."""
    async with at.easel():
        source = await result(at)
        said = await say(at, source, "nice", mention=False)
        gone = {"content": f"<@{at.discord.bot_user.id}> add snow", "referenced_message": None}
        at.discord.world.dispatch("MESSAGE_CREATE", said.to_json() | gone, guild=at.server)
        await note(at, NEUTRAL)

    assert len(await at.jobs()) == 1
