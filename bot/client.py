"""The Discord client: loads the cogs, owns the registration, shows errors to members."""

import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands
from yarl import URL

from bot.discord_clients import client_options
from bot.discord_origin_workaround import use_gateway
from bot.identify_permits import IdentifyTurns
from bot.invite import invite_link
from bot.observability.logs import bind, hide
from bot.registration.commands import add_cogs, contexts, installs
from bot.registration.task import CommandRegistration
from bot.services import Services
from bot.session_starts import SessionPostponed, SessionStarts
from bot.settings import DISCORD_API, Settings
from bot.shards import Shards
from bot.studio import Studio
from cogs import (
    CommandPermissions,
    MenuForms,
    MenuTokens,
    handle_interaction,
    is_served,
    reply_error,
)
from cogs.delivery.timeouts import QUERY_TIMEOUT, within

log = logging.getLogger(__name__)

LEAST_LIMIT_WAIT = 60.0  # seconds; an answer may say that none is left, and name no later time
# Seconds for a permit: before the connection, then the limit of sessions is read again; and within
# one that discord.py gives 60 s in all, then discord.py connects again.
PERMIT_WAIT, RECONNECT_PERMIT_WAIT = 60.0, 30.0


class EaselTree(app_commands.CommandTree["EaselClient"]):
    async def interaction_check(self, interaction: discord.Interaction["EaselClient"], /) -> bool:
        """Refuse members and servers that the operator does not serve.

        The task of an interaction begins here, so its log lines are bound to the interaction here.
        """
        command = interaction.command
        bind(interaction=interaction.id, command=command.qualified_name if command else None)
        hide(
            *(
                str(getattr(interaction.namespace, name, ""))
                for name in ("prompt", "negative_prompt")
            )
        )
        return await is_served(interaction)

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
    """The client of all shards of the bot, or of some.

    With `shards`, Discord is not asked for their number; with `turns`, each IDENTIFY waits for its
    permit. The commands are registered by the client that `registers`: by default one that has
    shard 0.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        studio: Studio,
        starts: SessionStarts,
        *,
        shards: Shards | None = None,
        turns: IdentifyTurns | None = None,
        registers: bool | None = None,
    ) -> None:
        self._api_url = settings.discord_api_url
        user_install = settings.user_install
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=EaselTree,
            allowed_installs=installs(user_install),
            allowed_contexts=contexts(user_install),
            shard_count=None if shards is None else shards.count,
            **client_options(settings, services),
        )
        if shards is not None:
            self.shard_ids = list(shards.ids)
        self.studio = studio
        self._starts = starts
        self._turns = turns
        self._max_concurrency = 1  # as Discord says before each session
        self._registers = shards is None or shards.has_first if registers is None else registers
        self.command_permissions = CommandPermissions(services.now)
        self.menu_forms = MenuForms(services.now)
        self.menu_tokens = MenuTokens(services.now)
        self._starting: asyncio.Task[None] | None = None
        self._registration = CommandRegistration(
            self, self.tree, services.database, services.now, self._api_url
        )
        self._registering: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """True while every shard of this process is connected to the gateway."""
        shards = self.shard_states
        return self.is_ready() and bool(shards) and all(shards.values())

    @property
    def shard_states(self) -> Mapping[int, bool]:
        """The state of each shard of this process: true if connected.

        Empty before the number of shards is known.
        """
        numbers = self.shard_ids or range(self.shard_count or 0)
        known = self.shards
        return {each: each in known and not known[each].is_closed() for each in numbers}

    @property
    def commands_registered(self) -> bool | None:
        """True once Discord has the commands of this version; None if another process does that."""
        return self._registration.registered if self._registers else None

    async def serve(self, token: str) -> None:
        """Run `start` until it ends or this is cancelled.

        discord.py swallows a cancellation while a shard reconnects, and would then never end. A
        remaining task is ended by `close`.
        """
        self._starting = asyncio.create_task(self.start(token), name="gateway")
        try:
            await asyncio.wait({self._starting})
        except asyncio.CancelledError:
            self._starting.cancel()
            raise
        await self._starting  # raises the error, if there was one

    async def close(self) -> None:
        """Close the client, and end a task that `serve` left behind while a shard reconnected."""
        if self._registering is not None:
            self._registering.cancel()
            await asyncio.wait({self._registering}, timeout=2)
        if self._turns is not None:
            self._turns.withdraw()
        await super().close()
        starting = self._starting
        # If Discord ends the connection, discord.py calls `close` from within this task.
        if starting is None or starting is asyncio.current_task() or starting.done():
            return
        starting.cancel()
        await asyncio.wait({starting}, timeout=2)

    async def setup_hook(self) -> None:
        await self._find_gateway()
        await self.load_cogs()
        # Beside the gateway: a refusal must not keep members from the commands that exist.
        if self._registers:
            self._registering = asyncio.create_task(self._registration.run(), name="registration")

    async def launch_shard(self, gateway: URL, shard_id: int, *, initial: bool = False) -> None:
        """Start the first session of a shard, as soon as Discord and the waits allow one.

        The client is logged in meanwhile: results are posted. discord.py calls this again after
        any error, from its own error handler: each traceback would contain all earlier ones. The
        error is raised instead, so that DiscordSession replaces this client.
        """
        error = sys.exception()
        if error is not None:
            raise error
        while True:
            wait = await self._session_wait(shard_id)
            if wait > 0:
                await asyncio.sleep(wait)
            elif await self._take_turn(shard_id, PERMIT_WAIT):
                break
        await super().launch_shard(gateway, shard_id, initial=initial)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Postpone a further session of a shard.

        SessionPostponed ends this client. The next one waits in `launch_shard`: a wait of minutes
        here would exceed discord.py's timeout, and stop the heartbeats. If other shards are
        connected, a TimeoutError leaves them alone, and discord.py tries again with growing waits.
        Without permits, discord.py waits 5 s before each session but a client's first, whatever
        `max_concurrency` is.
        """
        number = shard_id or 0
        again = number in self.shards
        if again or self._turns is None:
            await super().before_identify_hook(shard_id, initial=initial)
        if again and await self._session_wait(number) > 0:
            if any(connected for each, connected in self.shard_states.items() if each != number):
                raise TimeoutError("the session is postponed")
            raise SessionPostponed
        if not await self._take_turn(number, RECONNECT_PERMIT_WAIT):
            raise TimeoutError("other processes start sessions")  # discord.py connects again
        self._starts.start(number)
        if self._turns is not None:
            self._turns.identified(number)

    async def _take_turn(self, shard_id: int, seconds: float) -> bool:
        """Wait for the permit for an IDENTIFY of a shard; false if others still have theirs."""
        if self._turns is None:
            return True
        try:
            await self._turns.take(shard_id, shard_id % self._max_concurrency, seconds)
        except TimeoutError:
            log.info("shard %s waits for sessions that other processes start", shard_id)
            return False
        return True

    async def _session_wait(self, shard_id: int) -> float:
        """Return the seconds before an IDENTIFY, and log a long wait."""
        wait, reason = self._starts.wait(shard_id), "sessions were lost again and again"
        if self.shard_count and self.shard_count > 1:
            reason = f"sessions of shard {shard_id} were lost again and again"
        try:
            async with within(self, QUERY_TIMEOUT):
                limits = await self.fetch_session_start_limits()
        except Exception as error:  # also an answer that cannot be read
            log.info("limit of sessions unknown: %r", error)
        else:
            self._max_concurrency = max(limits.max_concurrency, 1)
            if limits.remaining < 1:
                wait = max(limits.reset_after / 1000, LEAST_LIMIT_WAIT)
                reason = f"Discord's limit of {limits.total} sessions a day is used up"
                log.error("no session at Discord for %s s, commands fail: %s", round(wait), reason)
                return wait
        if wait > 10:
            log.error("no session at Discord for %s s, commands fail: %s", round(wait), reason)
        return wait

    async def load_cogs(self) -> None:
        await add_cogs(self, self.studio)

    async def on_ready(self) -> None:
        log.info("ready as %s in %s servers", self.user, len(self.guilds))
        if self.application_id is not None:
            log.info("invite link of this bot: %s", invite_link(self.application_id))

    async def on_interaction(self, interaction: discord.Interaction[Any], /) -> None:
        """Handle interactions that discord.py would drop (discord.md, Traps of discord.py)."""
        await handle_interaction(interaction)

    async def on_raw_app_command_permissions_update(
        self, event: discord.RawAppCommandPermissionsUpdateEvent, /
    ) -> None:
        self.command_permissions.forget(event.guild.id)

    async def on_message(self, message: discord.Message, /) -> None:
        """Leave messages to cogs.replying: Easel has no commands in texts."""

    async def on_command_error(self, context: commands.Context[Any], error: Exception, /) -> None:
        """Ignore messages that mention the bot: Easel has no commands of that kind."""

    async def _find_gateway(self) -> None:
        """Let a session that was invalidated reconnect to the gateway of the configured API."""
        if self._api_url != DISCORD_API:
            _, address, _ = await self.http.get_bot_gateway()
            use_gateway(address)
