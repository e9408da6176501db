"""The Discord client: loads the cogs, registers commands when they changed, answers errors."""

import asyncio
import hashlib
import json
import logging
import secrets
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.discord_origin_workaround import use_api, use_gateway
from bot.invite import invite_link
from bot.observability.logs import bind, hide
from bot.observability.metrics import trace_discord
from bot.services import Services
from bot.settings import DISCORD_API, Settings
from bot.store import notes
from bot.studio import Studio
from cogs._replies import FormLost, is_lost_modal, reply_error
from cogs.buttons import DYNAMIC_ITEMS, ButtonUnknown, is_unknown_item
from cogs.delivery.timeouts import MAX_RATE_LIMIT_WAIT
from cogs.edit import Edit
from cogs.imagine import Imagine
from cogs.jobs import Jobs
from cogs.usage import Credits

log = logging.getLogger(__name__)

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # a bot without a voice

TEXTS = ("prompt", "negative_prompt")  # options that hold a member's own words
LEFT_SECONDS = 2.0
REGISTERED = "registered commands"  # the note that keeps their hash


class EaselTree(app_commands.CommandTree["EaselClient"]):
    async def interaction_check(self, interaction: discord.Interaction["EaselClient"], /) -> bool:
        """Everybody may: this is where the task of an interaction begins, so that what it logs
        tells which one it is."""
        command = interaction.command
        bind(interaction=interaction.id, command=command.qualified_name if command else None)
        hide(*(str(getattr(interaction.namespace, name, "")) for name in TEXTS))
        return True

    async def on_error(
        self,
        interaction: discord.Interaction["EaselClient"],
        error: app_commands.AppCommandError,
        /,
    ) -> None:
        if interaction.type is discord.InteractionType.autocomplete:
            log.error("autocompletion failed", exc_info=error)
            return
        await reply_error(interaction, error)


class EaselClient(commands.AutoShardedBot):
    """Asks for nothing but the servers themselves: no members, no messages, no presences."""

    def __init__(self, settings: Settings, services: Services, studio: Studio) -> None:
        self._api_url = settings.discord_api_url
        use_api(self._api_url)
        user_install = settings.user_install
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            max_ratelimit_timeout=MAX_RATE_LIMIT_WAIT,
            allowed_mentions=discord.AllowedMentions.none(),
            tree_cls=EaselTree,
            http_trace=trace_discord(services.metrics),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=user_install),
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=user_install
            ),
        )
        self.studio = studio
        self.run_id = secrets.token_hex(4)
        self._starting: asyncio.Task[None] | None = None
        self._database = services.database

    @property
    def connected(self) -> bool:
        """Whether every shard has its connection to the gateway now."""
        shards = self.shards.values()
        return self.is_ready() and bool(shards) and not any(each.is_closed() for each in shards)

    async def serve(self, token: str) -> None:
        """As `start`; but it ends when it is cancelled, at any time.

        discord.py swallows a cancellation that comes while a shard connects anew, and would then
        go on for ever. What is left of it ends with `close`.
        """
        self._starting = asyncio.create_task(self.start(token), name="gateway")
        try:
            await asyncio.wait({self._starting})
        except asyncio.CancelledError:
            self._starting.cancel()
            raise
        await self._starting  # it has ended, and raises what there was

    async def close(self) -> None:
        """Also what is left of `serve`: a shard that connects anew has a thread of its own."""
        await super().close()
        left = self._starting
        # discord.py closes us from in there, too, where Discord ends the connection.
        if left is not None and left is not asyncio.current_task() and not left.done():
            left.cancel()
            await asyncio.wait({left}, timeout=LEFT_SECONDS)

    async def setup_hook(self) -> None:
        await self._find_gateway()
        await self.load_cogs()
        await self._register_commands()

    async def load_cogs(self) -> None:
        await self.add_cog(Imagine(self.studio))
        await self.add_cog(Edit(self.studio, self.tree))
        await self.add_cog(Jobs(self.studio, self.tree))
        await self.add_cog(Credits(self.studio))
        self.add_dynamic_items(*DYNAMIC_ITEMS)

    async def on_ready(self) -> None:
        log.info("ready as %s in %s servers", self.user, len(self.guilds))
        if self.application_id is not None:
            log.info("to add it to a server: %s", invite_link(self.application_id))

    async def on_interaction(self, interaction: discord.Interaction[Any], /) -> None:
        """Answer what discord.py would drop without a word (discord.md, T9)."""
        if is_lost_modal(interaction):
            await reply_error(interaction, FormLost())
        elif is_unknown_item(interaction):
            await reply_error(interaction, ButtonUnknown())

    async def on_command_error(self, context: commands.Context[Any], error: Exception, /) -> None:
        """Messages that mention the bot are no commands of ours."""

    async def _find_gateway(self) -> None:
        """Let a session that was invalidated reconnect to the gateway of the configured API."""
        if self._api_url != DISCORD_API:
            _, address, _ = await self.http.get_bot_gateway()
            use_gateway(address)

    async def _register_commands(self) -> None:
        """Send the commands only when they changed: Discord limits how often they may be sent."""
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        content = json.dumps([self._api_url, self.application_id, payload], sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()
        async with self._database.reading() as view:
            if await notes.read(view, REGISTERED) == digest:
                return
        await self.tree.sync()
        async with self._database.transaction() as tx:
            await notes.write(tx, REGISTERED, digest)
        log.info("registered %s commands", len(payload))
