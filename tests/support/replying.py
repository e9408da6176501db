"""Replies to results, by members of the stand-in, and what the bot makes of them."""

import asyncio
from collections.abc import Sequence

from bot.jobs import Job
from bot.sandbox.discord import Message, Upload, User
from tests.support.easel import Stage


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
