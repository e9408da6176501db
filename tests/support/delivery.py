"""Helpers for tests of deliveries: jobs that run until they are ended, and results by channel."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from bot.jobs import Job, JobStatus
from bot.sandbox.discord import Channel, Message, User
from bot.sandbox.discord.changes import WAIT_SECONDS
from bot.sandbox.http.faults import Fault, Rule
from tests.support.easel import Stage

SEND = r"/api/v10/channels/\d+/messages"
REPLIES = r"/api/v10/webhooks/.*"
FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"
OPEN_DM = r"/api/v10/users/@me/channels"


def results_in(at: Stage, channel: Channel) -> list[Message]:
    return [message for message in at.discord.channel_messages(channel) if message.pictures()]


def direct(at: Stage) -> list[Message]:
    return results_in(at, at.discord.dm_channel(at.ada))


def unfinished(at: Stage) -> list[str]:
    """Return the texts of the bot's messages that still show a waiting job."""
    return [
        message.text()
        for message in at.discord.world.messages.values()
        if message.author is at.discord.bot_user
        and not message.deleted
        and any(":cancel:" in button["custom_id"] for button in message.buttons())
    ]


def private_to(at: Stage, member: User) -> list[Message]:
    """Return the messages that only a member sees in a channel, oldest first."""
    return [
        message
        for message in at.discord.world.messages.values()
        if message.ephemeral_to is member and not message.deleted
    ]


def add(at: Stage, method: str, path: str, faults: Sequence[Fault]) -> list[Rule]:
    return [at.discord.faults.add(method, path, fault) for fault in faults]


async def drawing(at: Stage, count: int, **options: Any) -> None:  # noqa: ANN401
    """Start jobs that run until `Stage.finish`, and wait until their status messages say so."""
    at.oxen.manual = True
    for number in range(count):
        await at.imagine(f"fox {number}", **options)
    await at.oxen.created(count)
    async with asyncio.timeout(WAIT_SECONDS):
        while {job.status for job in await at.jobs()} != {JobStatus.RUNNING}:
            await asyncio.sleep(0.05)
        while sum("Drawing" in text for text in unfinished(at)) < len(await at.jobs()):
            await asyncio.sleep(0.05)


async def until(at: Stage, ready: Callable[[Job], object]) -> Job:
    """Wait until Ada's newest job fulfils a condition, and return the job."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found = await at.jobs()
            if found and ready(found[0]):
                return found[0]
            await asyncio.sleep(0.02)


async def attempted(at: Stage, number: int = 1) -> Job:
    """Wait until so many attempts to deliver Ada's newest job have failed, and return the job.

    During an attempt, `deliver_after` is the time before which that attempt was not due.
    """

    def has_failed(job: Job) -> bool:
        is_due = job.deliver_after is None or job.deliver_after <= at.clock()
        return job.delivery_attempts >= number and not is_due

    return await until(at, has_failed)


def one_each(messages: list[Message], jobs: list[Job]) -> None:
    assert sorted(message.id for message in messages) == sorted(
        job.result_message_id or 0 for job in jobs
    )


def posts_to(channel: Channel) -> str:
    return rf"/api/v10/channels/{channel.id}/messages"
