"""A client at the stand-in of Discord, and a job with its status message, without Easel between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
from discord.http import Route as HttpRoute

from bot.jobs import Job
from bot.sandbox.discord import Channel, FakeDiscord, Guild, Interaction, Message, User
from bot.sandbox.discord.interactions import COMMAND
from bot.sandbox.discord.request_body import Json
from cogs.ui.panel import cancel_id
from tests.support.discord_objects import job_of, logged_in

V2, EPHEMERAL = 1 << 15, 1 << 6
TEXT, ROW, BUTTON = 10, 1, 2


class Ground:
    """A server with a channel, Ada, and the client; `now` is the time of what is tested."""

    def __init__(self, fake: FakeDiscord, client: discord.Client) -> None:
        self.fake = fake
        self.client = client
        self.ada = fake.add_user("Ada")
        self.server = fake.add_guild("Test")
        self.channel = fake.add_channel(self.server, "art")
        self.moved = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.moved

    async def status(self, *, private: bool = False, **changes: Any) -> tuple[Job, Message]:  # noqa: ANN401  # of the job
        """Return a job whose status message was the reply to an interaction, and that message."""
        job = job_of(user_id=self.ada.id, created_at=self.now(), **changes)
        asked = self.interaction()
        body = shown("waiting", cancel_id(job.id))
        body["flags"] |= EPHEMERAL if private else 0
        await self.client.http.request(
            HttpRoute("POST", f"/interactions/{asked.id}/{asked.token}/callback"),
            json={"type": 4, "data": body},
        )
        assert asked.message is not None
        route = replace(
            job.route,
            channel_id=self.channel.id,
            guild_id=self.server.id,
            account_server_id=self.server.id,
            application_id=self.fake.application_id,
            interaction_token=asked.token,
            token_expires_at=self.now() + timedelta(minutes=15),
            status_message_id=asked.message.id,
            private=private,
        )
        return replace(job, route=route), asked.message

    def interaction(
        self,
        kind: int = COMMAND,
        *,
        by: User | None = None,
        where: Channel | None = None,
        source: Message | None = None,
        guest: bool = False,
        **data: Any,  # noqa: ANN401  # of the interaction
    ) -> Interaction:
        """Let a member, Ada by default, use a command or press something that awaits a reply."""
        world, channel = self.fake.world, where or self.channel
        if channel.guild is not None:
            world.join(channel.guild, by or self.ada)
        made = Interaction(
            id=world.ids.next(),
            type=kind,
            user=by or self.ada,
            channel=channel,
            application_id=world.application_id,
            data={"id": "1", "type": 1, "name": "imagine", **data},
            created_at=world.clock(),
            changes=world.changes,
            response_seconds=10,
            guest=guest,
            source=source,
        )
        world.interactions[made.id] = made
        return made

    def received(
        self,
        made: Interaction,
        **changes: Any,  # noqa: ANN401  # of Discord's data
    ) -> discord.Interaction[Any]:
        """Return an interaction as discord.py reads it."""
        data: Any = {**made.payload(), **changes}
        return discord.Interaction(data=data, state=self.client._connection)

    def know_server(self, guild: Guild) -> discord.Guild:
        """Let the client know a server as the gateway sends it."""
        state, sent = self.client._connection, guild.to_gateway(self.fake.bot_user)
        state._guilds.pop(guild.id, None)
        known = discord.Guild(data=sent, state=state)  # type: ignore[arg-type]
        state._add_guild(known)
        return known

    def heard(self, said: Message, **changes: Any) -> discord.Message:  # noqa: ANN401  # of the data
        """Return a message of a member as the gateway sends it."""
        raw: Any = said.to_json() | changes
        state, channel = self.client._connection, said.channel
        known: Any = None
        if channel.guild is not None:
            raw["guild_id"] = str(channel.guild.id)
            member = channel.guild.members.get(said.author.id)
            if member is not None:
                raw["member"] = member.to_json()
            known = self.know_server(channel.guild).get_channel_or_thread(channel.id)
        if known is None:
            direct: Any = {"id": channel.id, "type": 1, "recipients": [said.author.to_json()]}
            me: Any = self.client.user
            known = discord.DMChannel(me=me, state=state, data=direct)
        return discord.Message(state=state, channel=known, data=raw)

    async def post(self, *texts: str, ids: int | None = None) -> Message:
        """Post a message of the bot with these texts, the last of which has the id `ids`."""
        parts = [{"type": TEXT, "content": each} for each in texts]
        if ids is not None:
            parts[-1]["id"] = ids
        answer = await self.client.http.request(
            HttpRoute("POST", f"/channels/{self.channel.id}/messages"),
            json={"components": parts, "flags": V2},
        )
        return self.fake.world.messages[int(answer["id"])]

    def sent(self, method: str) -> list[str]:
        """Return the paths of the requests with a method, without the version of the API."""
        paths = [each.path for each in self.fake.requests if each.method == method]
        return [path.removeprefix("/api/v10") for path in paths]


def notes_waiting() -> int:
    """Return the number of notes that are not deleted yet."""
    return sum(each.get_name().startswith("note-") for each in asyncio.all_tasks())


def shown(text: str, custom_id: str) -> Json:
    """Return the body of a message with a text and a button."""
    button = {"type": BUTTON, "style": 2, "label": "Cancel", "custom_id": custom_id}
    row = {"type": ROW, "components": [button]}
    return {"components": [{"type": TEXT, "content": text}, row], "flags": V2}


@asynccontextmanager
async def ground(kind: type[discord.Client] = discord.Client) -> AsyncIterator[Ground]:
    async with FakeDiscord(limit_messages=False, response_seconds=10) as fake:
        async with logged_in(fake, kind) as client:
            yield Ground(fake, client)
        assert fake.violations == []
