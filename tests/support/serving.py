"""A client with a studio on a real database, for commands and presses without a gateway."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord

from bot.jobs import Job, JobStatus
from bot.ledger import Cost
from bot.pictures import Downloader
from bot.rights import Rights, Subject
from bot.sandbox.discord import Channel, Interaction, Message, User
from bot.sandbox.discord.interactions import COMPONENT, MODAL
from bot.services import Services
from bot.store import generations, jobs, members, servers, settlement
from bot.store.database import Database
from bot.studio import Studio
from cogs import CommandPermissions, MenuForms, MenuTokens, handle_interaction
from cogs.ui.actions import result_row
from cogs.ui.panel import panel
from tests.support.files import picture
from tests.support.ground import EPHEMERAL, Ground, ground
from tests.support.loopback import ADDRESSES, LOOPBACK
from tests.support.rows import add, new_job
from tests.support.services import services_on


class ServingClient(discord.Client):
    """The parts of Easel's client that commands, buttons and forms use."""

    studio: Studio
    menu_forms: MenuForms
    menu_tokens: MenuTokens
    command_permissions: CommandPermissions


class Serving(Ground):
    """The ground with a studio; no worker runs."""

    services: Services
    tree: discord.app_commands.CommandTree[Any]

    @property
    def studio(self) -> Studio:
        assert isinstance(self.client, ServingClient)
        return self.client.studio

    @property
    def tokens(self) -> MenuTokens:
        assert isinstance(self.client, ServingClient)
        return self.client.menu_tokens

    async def result(
        self,
        *,
        pictures: int = 1,
        files: Sequence[bytes] = (),
        private: bool = False,
        posted: bool = True,
        by: User | None = None,
        where: Channel | None = None,
        words: Mapping[str, Any] | None = None,
        expanded_prompt: str | None = None,
        **columns: Any,  # noqa: ANN401  # of a new job
    ) -> tuple[Job, Message]:
        """Return a delivered job, Ada's by default, and its message with the row of buttons.

        `words` are the prompt and options of the request, `files` are certain pictures.
        """
        channel, user = where or self.channel, by or self.ada
        guild_id = channel.guild.id if channel.guild else None
        account: dict[str, Any] = {"server_id": guild_id or 0, "at": self.now(), "price": 1000}
        new = new_job(user.id, **account, **(words or {}))
        route = replace(new.route, channel_id=channel.id, guild_id=guild_id, private=private)
        data = files or [picture() for _ in range(pictures)]
        stored = [await self.services.pictures.store(each) for each in data]
        at = self.now()
        async with self.services.database.transaction() as tx:
            job = await add(tx, replace(new, route=route, **columns))
            await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=at)
            running = await jobs.start_running(tx, job.id, at)
            (made,) = await generations.add(tx, job.id, "oxen", [f"remote-{job.id}"])
            ends = {made.id: JobStatus.SUCCEEDED}
            await settlement.succeed(
                tx,
                running,
                at,
                cost=Cost(1000),
                pictures=stored,
                ends=ends,
                expanded_prompt=expanded_prompt,
            )
        message = await self._message(job, channel)
        if private:
            message.ephemeral_to, message.flags = user, message.flags | EPHEMERAL
        if posted:
            async with self.services.database.transaction() as tx:
                channel_id = 0 if private else channel.id
                shown = {"message_id": message.id, "channel_id": channel_id}
                await jobs.mark_delivered(tx, job.id, at, **shown, error=None)
        return await self.job(job.id), message

    async def _message(self, job: Job, channel: Channel) -> Message:
        view = panel("a result")
        view.add_item(result_row(job))
        sent = await self.client.get_partial_messageable(channel.id).send(view=view)
        return self.fake.world.messages[sent.id]

    async def submit(
        self, custom_id: str, source: Message | None = None, **fields: object
    ) -> Interaction:
        """Submit a form with these values by the names of the fields."""
        components = [
            {
                "type": 18,
                "id": number,
                "component": {
                    "id": 50 + number,
                    "custom_id": name,
                    ("values" if isinstance(value, list) else "value"): value,
                },
            }
            for number, (name, value) in enumerate(fields.items(), start=1)
        ]
        made = self.interaction(MODAL, source=source, custom_id=custom_id, components=components)
        await handle_interaction(self.received(made))
        return made

    async def job(self, job_id: str) -> Job:
        async with self.services.database.reading() as view:
            found = await jobs.get(view, job_id)
        assert found is not None
        return found

    async def recent(self, user: User | None = None) -> list[Job]:
        """Return the jobs of a member, Ada by default, newest first."""
        async with self.services.database.reading() as view:
            return await members.recent_of(view, (user or self.ada).id, 20)

    async def press(
        self,
        message: Message | None,
        custom_id: str,
        *,
        by: User | None = None,
        values: Sequence[str] = (),
        **more: Any,  # noqa: ANN401  # of Discord's data
    ) -> Interaction:
        """Press something with this custom_id, and return what has come of that."""
        asked = None if message is None else message.interaction
        where = None if message is None else message.channel
        data = {"component_type": 2, "custom_id": custom_id, "values": list(values)}
        made = self.interaction(
            COMPONENT,
            by=by,
            where=where,
            source=message,
            guest=asked is not None and asked.guest,
            **data,
        )
        await handle_interaction(self.received(made, **more))
        return made


async def rights(by: Serving, subject: Subject, name: str = "") -> Rights:
    async with by.services.database.reading() as view:
        return await servers.rights_of(view, by.server.id, subject, name)


def private_reply(made: Interaction) -> Message:
    """Return the reply, which only the member sees."""
    assert made.message is not None
    assert made.message.ephemeral_to is made.user
    return made.message


def told(made: Interaction) -> str:
    """Return the private message that follows a press."""
    said = made.message if made.message is not made.source else None
    found = said or made.followups[-1]
    assert found.ephemeral_to is made.user
    return found.text()


@asynccontextmanager
async def serving(
    database: Database,
    folder: Path,
    **limits: Any,  # noqa: ANN401  # of bot.quotas
) -> AsyncIterator[Serving]:
    """Yield the ground with a studio; `limits` are those of the operator."""
    media = Downloader(private_hosts=LOOPBACK, media=ADDRESSES)
    async with ground(ServingClient) as on, media as downloader:
        made = Serving(on.fake, on.client)
        services = services_on(database, folder, made.now, downloader=downloader)
        made.services = replace(services, quotas=replace(services.quotas, **limits))
        client = made.client
        assert isinstance(client, ServingClient)
        made.tree = discord.app_commands.CommandTree(client)
        client.studio = Studio(made.services, wake=lambda: None)
        client.menu_forms = MenuForms(made.now)
        client.menu_tokens = MenuTokens(made.now)
        client.command_permissions = CommandPermissions(made.now)
        async with services.decoder:
            yield made
