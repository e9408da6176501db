"""*More → Continue in a thread*, and *More → Lineage*."""

import pytest

from bot.sandbox.discord import Channel, ChannelKind, Interaction, Message, User
from bot.sandbox.discord.permissions import CREATE_PUBLIC_THREADS, EVERYONE, VIEW_CHANNEL
from bot.sandbox.http.faults import Answer
from bot.store import jobs
from tests.support.acting import press
from tests.support.easel import Stage
from tests.support.menus import drawn, forge, labels, menu, told, until

pytestmark = pytest.mark.long

THREADS = r"/api/v10/channels/\d+/messages/\d+/threads"


def threads(at: Stage) -> list[Channel]:
    return [each for each in at.discord.world.channels.values() if each.is_thread]


async def result_in(at: Stage, channel: Channel, text: str) -> Message:
    return await at.discord.wait_for_message(
        lambda it: bool(it.pictures()) and text in it.text(), 30, channel
    )


async def opened_thread(at: Stage, result: Message, by: User | None = None) -> Channel:
    opened = await menu(at, result, by=by)
    await press(at, opened, "Continue in a thread", by=by)
    await until(lambda: "The thread is open" in opened.text())
    (thread,) = threads(at)
    assert f"<#{thread.id}>" in opened.text()
    return thread


async def test_everything_made_in_the_thread_is_posted_there(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        thread = await opened_thread(at, result, by=at.ben)
        assert thread.kind is ChannelKind.PUBLIC_THREAD
        assert thread.name == "a fox"
        assert result.thread is thread
        start = await at.discord.wait_for_message(
            lambda it: "Everything that is made in this thread" in it.text(), 30, thread
        )
        assert labels(start) == ["Again", "Remix", "Edit", "More"]
        await press(at, start, "Again", by=at.ben)
        again = await result_in(at, thread, f"<@{at.ben.id}>")
        await at.command("imagine", by=at.ada, where=thread, prompt="a hare")
        await result_in(at, thread, "a hare")
        await at.settled(2)
        lineage = await menu(at, again, by=at.ada)
        await press(at, lineage, "Lineage", by=at.ada)

    assert f"/{at.channel.id}/{result.id})" in lineage.text()
    assert f"/{at.channel.id}/{result.id}) by <@{at.ada.id}>" in again.text()
    assert [each for each in at.discord.channel_messages(at.channel) if each.pictures()] == [result]


async def test_a_thread_that_is_there_is_linked(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        first = await menu(at, result)
        second = await menu(at, result, by=at.ben)
        await press(at, first, "Continue in a thread")
        await until(lambda: len(threads(at)) == 1)
        await press(at, second, "Continue in a thread", by=at.ben)
        await until(lambda: "This result has a thread already" in second.text())

    (thread,) = threads(at)
    assert f"<#{thread.id}>" in second.text()


async def refusal(at: Stage, result: Message, by: User | None = None) -> str:
    """Press the button in a menu that has it no more, as one that was opened before."""
    pressed = await forge(at, by or at.ada, await menu(at, result, by=by), await thread_id(at))
    return await told(pressed)


async def thread_id(at: Stage) -> str:
    (job,) = await at.jobs()
    return f"easel:thread:{job.id}"


async def test_the_member_needs_the_permission(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        at.discord.set_channel_permissions(at.channel, at.ben, deny=CREATE_PUBLIC_THREADS)
        assert "You may not open threads in this channel." in await refusal(at, result, by=at.ben)

    assert threads(at) == []


async def test_the_bot_needs_the_permission(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        opened = await menu(at, result)
        at.discord.set_bot_permissions(at.channel, EVERYONE & ~CREATE_PUBLIC_THREADS)
        lacking = await told(await press(at, opened, "Continue in a thread"))
        at.discord.set_bot_permissions(at.channel, EVERYONE & ~VIEW_CHANNEL)
        blind = await told(await press(at, opened, "Continue in a thread"))

    needed = "Ask a moderator to give the bot these permissions: View Channels, Create Public"
    assert needed in lacking
    assert needed in blind
    assert threads(at) == []


async def test_a_private_result_has_no_public_thread(at: Stage) -> None:
    async with at.easel():
        asked = await at.imagine("a fox", private=True)
        await at.settled()
        assert asked.message is not None
        opened = await menu(at, asked.message)
        assert "Continue in a thread" not in labels(opened)
        pressed = await forge(at, at.ada, opened, await thread_id(at))
        assert "This result is private or deleted" in await told(pressed)

    assert threads(at) == []


async def test_a_thread_has_no_thread(at: Stage) -> None:
    thread = at.discord.add_channel(
        at.server, "foxes", kind=ChannelKind.PUBLIC_THREAD, parent=at.channel
    )
    async with at.easel():
        await at.command("imagine", where=thread, prompt="a fox")
        result = await result_in(at, thread, "a fox")
        await at.settled()
        opened = await menu(at, result)
        assert "Continue in a thread" not in labels(opened)
        assert "No thread can be opened at this result." in await refusal(at, result)

    assert threads(at) == [thread]


async def test_a_name_that_automod_refuses_is_replaced(at: Stage) -> None:
    refused = Answer(
        400, {"code": 200000, "message": "Message was blocked by automatic moderation"}
    )
    at.discord.faults.add("POST", THREADS, refused)
    async with at.easel():
        result = await drawn(at)
        opened = await menu(at, result)
        await press(at, opened, "Continue in a thread")
        await until(lambda: "The thread is open" in opened.text())

    (thread,) = threads(at)
    assert thread.name == f"Picture {(await at.jobs())[0].id}"


async def test_a_result_deleted_by_hand_is_a_sentence(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        opened = await menu(at, result)
        at.discord.world.delete(result)
        said = await told(await press(at, opened, "Continue in a thread"))

    assert "The message of this result was deleted." in said


async def made_again(at: Stage, result: Message, by: User) -> Message:
    known = {each.id for each in at.discord.world.messages.values() if each.pictures()}
    await press(at, result, "Again", by=by)
    return await at.discord.wait_for_message(
        lambda it: bool(it.pictures()) and it.id not in known, 30, at.channel
    )


async def test_the_lineage_leads_to_the_parent_and_to_the_children(at: Stage) -> None:
    async with at.easel():
        root = await drawn(at)
        middle = await made_again(at, root, at.ben)
        last = await made_again(at, middle, at.ada)
        await at.settled(2)
        opened = await menu(at, middle, by=at.ben)
        await press(at, opened, "Lineage", by=at.ben)
        lines = opened.text().splitlines()
        assert labels(opened) == ["Back", "Menu"]
        await press(at, opened, "Back", by=at.ben)
        above = opened.text()
        await press(at, opened, "Lineage", by=at.ben)
        of_root = opened.text()

    base = f"https://discord.com/channels/{at.server.id}/{at.channel.id}"
    assert lines[:2] == ["### Lineage", "**Made from**"]
    assert lines[2].startswith(f"- a fox · by <@{at.ada.id}> <t:")
    assert lines[2].endswith(f"[show]({base}/{root.id})")
    assert lines[3].startswith(f"- **a fox** · by <@{at.ben.id}>")
    assert lines[4] == "**Made from this picture**"
    assert lines[5].endswith(f"[show]({base}/{last.id})")
    assert "### More" in above
    assert "made from a description" in of_root
    assert f"{base}/{middle.id}" in of_root
    assert labels(opened) == ["Menu"]


async def test_private_and_deleted_pictures_are_in_nobody_elses_lineage(at: Stage) -> None:
    async with at.easel():
        root = await drawn(at)
        child = await made_again(at, root, at.ben)
        own, of_ben = await menu(at, root), await menu(at, child, by=at.ben)
        (job,) = await at.jobs(at.ben)
        async with at.database() as database, database.transaction() as tx:
            await jobs.hide(tx, job.id, at.clock())
        await press(at, own, "Lineage")
        assert "Made from this picture" not in own.text()
        (source,) = await at.jobs()
        async with at.database() as database, database.transaction() as tx:
            await jobs.hide(tx, source.id, at.clock())
        await press(at, of_ben, "Lineage", by=at.ben)

    assert "- a private or deleted picture" in of_ben.text()
    assert str(root.id) not in of_ben.text()
    assert source.id not in of_ben.text()
    assert labels(of_ben) == ["Menu"]


async def test_a_forged_way_back_shows_no_private_job(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        asked: Interaction = await at.imagine("a secret", private=True)
        await at.settled(2)
        job = next(each for each in await at.jobs() if each.route.private)
        opened = await menu(at, result, by=at.ben)
        said = await told(await forge(at, at.ben, opened, f"easel:menu:{job.id}"))

    assert asked.message is not None
    assert "This result is private, was deleted, or is unknown here." in said
    assert "a secret" not in said
