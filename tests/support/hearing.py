"""Replies to a result, as the cog of a client without a gateway hears them."""

import asyncio
from typing import Any

import discord

from bot.jobs import Job
from bot.sandbox.discord import Message, Upload, User
from bot.sandbox.http.faults import Hold, Rule
from bot.store import members
from cogs.replying import Replying
from tests.support.ground import notes_waiting
from tests.support.serving import Serving

POSTS = r"/api/v10/channels/\d+/messages"


class Hearing:
    """The cog, with a result to which members reply."""

    def __init__(self, by: Serving) -> None:
        self.by = by
        client: Any = by.client
        self.cog = Replying(by.studio, client)
        self.job: Job
        self.result: Message

    async def begin(self, **options: Any) -> None:  # noqa: ANN401
        self.job, self.result = await self.by.result(**options)

    def text(self, words: str) -> str:
        return f"<@{self.by.fake.bot_user.id}> {words}"

    async def say(
        self,
        words: str,
        *,
        by: User | None = None,
        to: Message | None = None,
        files: tuple[Upload, ...] = (),
        **changes: Any,  # noqa: ANN401  # of Discord's data
    ) -> discord.Message:
        """Let a member reply, and the cog hear that."""
        target = to or self.result
        said = await self.by.fake.say(
            by or self.by.ada, target.channel, self.text(words), files, reply_to=target
        )
        message = self.by.heard(said, **changes)
        await self.cog.on_message(message)
        return message

    async def requested(self, user: User | None = None) -> list[Job]:
        """Return the jobs that replies have requested."""
        async with self.by.services.database.reading() as view:
            found = await members.recent_of(view, (user or self.by.ada).id, 20)
        return [each for each in found if each.id != self.job.id]


class Reading:
    """Replies of Ada that are being read: Discord does not answer their status messages."""

    def __init__(self, hear: Hearing) -> None:
        self.hear = hear
        self.held: list[Rule] = []
        self.tasks: list[asyncio.Task[discord.Message]] = []

    async def begin(self, count: int) -> None:
        for _ in range(count):
            rule = self.hear.by.fake.faults.add("POST", POSTS, Hold())
            self.held.append(rule)
            self.tasks.append(asyncio.create_task(self.hear.say("add a hat")))
            await rule.reached()

    async def end(self) -> None:
        for each in self.held:
            each.remove()
        await asyncio.gather(*self.tasks)


async def told(hear: Hearing) -> list[str]:
    """Return the notes so far."""
    world, bot = hear.by.fake.world, hear.by.fake.bot_user

    def found() -> list[Message]:
        own = [each for each in world.messages.values() if each.author is bot and each.reference]
        return [each for each in own if not str(each.nonce).endswith("-status")]

    async with asyncio.timeout(20):
        while len(found()) < notes_waiting():
            await asyncio.sleep(0.005)
    return [each.text() for each in found()]
