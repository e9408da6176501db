"""An unmodified discord.py with the stand-in's threads, posts, reactions and pins."""

import asyncio

import discord as library
import pytest

from bot.sandbox.discord import ChannelKind
from bot.sandbox.discord import permissions as may
from tests.sandbox.test_discord_client import Scene, png, scene

__all__ = ["scene"]  # the fixture


async def test_threads_start_from_messages_and_are_archived(scene: Scene) -> None:
    sent = await scene.library_channel.send("look")
    thread = await sent.create_thread(name="A fox", auto_archive_duration=60)
    await thread.send("more")
    archived = await thread.edit(archived=True, name="Foxes")
    with pytest.raises(library.HTTPException, match="50083"):
        await archived.edit(name="No")
    await thread.send("awake")

    channel = scene.discord.world.channels[thread.id]
    assert (channel.name, channel.archived, channel.messages) == ("Foxes", False, 3)
    assert sent.id == thread.id


async def test_a_forum_takes_posts_with_files_and_tags(scene: Scene) -> None:
    scene.discord.add_channel(scene.guild, "forum", kind=ChannelKind.FORUM, tags=["art"])
    async with asyncio.timeout(20):
        while not (forums := scene.bot.guilds[0].forums):
            await asyncio.sleep(0.01)

    made = await forums[0].create_thread(
        name="Fox",
        content="look",
        file=library.File(png(), "a.png"),
        applied_tags=forums[0].available_tags,
    )

    assert made.message.id == made.thread.id
    assert [tag.name for tag in made.thread.applied_tags] == ["art"]
    assert await made.message.attachments[0].read() == png().getvalue()


async def test_messages_get_reactions_and_pins(scene: Scene) -> None:
    scene.discord.set_bot_permissions(scene.channel, may.EVERYONE | may.PIN_MESSAGES)
    sent = await scene.library_channel.send("look")

    await sent.add_reaction("🦊")
    reacted = await scene.library_channel.fetch_message(sent.id)
    users = [user.id async for user in reacted.reactions[0].users()]
    await sent.pin()
    pinned = [message.id async for message in scene.library_channel.pins()]
    await sent.remove_reaction("🦊", library.Object(scene.discord.bot_user.id))

    assert users == [scene.discord.bot_user.id]
    assert pinned == [sent.id]
    assert scene.discord.world.messages[sent.id].reactions.found == {}
