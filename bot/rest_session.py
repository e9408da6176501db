"""A login at Discord without a gateway, for a process that delivers and serves no commands."""

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from datetime import timedelta

import discord

from bot.backoff import Backoff
from bot.discord_clients import REFUSED, client_options, close_client
from bot.errors import StartupError
from bot.services import Services
from bot.settings import Settings
from cogs.delivery.discord_delivery import DiscordDelivery
from cogs.delivery.errors import DELIVERY_ERRORS, failure_of, is_from_discord
from cogs.delivery.timeouts import QUERY_TIMEOUT, within

log = logging.getLogger(__name__)

LOGIN_SECONDS = 60.0  # two requests, each of which discord.py repeats up to four times
CHECK_SECONDS = 60.0  # between two requests that show whether Discord still knows the token
RECHECK_SECONDS = 10.0  # after one that failed
LOGINS = Backoff(first=timedelta(seconds=1), longest=timedelta(minutes=1))


class RestSession:
    """The client of a process without shards; `/healthz` reads it like one with a gateway."""

    def __init__(self, settings: Settings, services: Services, delivery: DiscordDelivery) -> None:
        self.client: discord.Client | None = None
        self.connected = False  # by the last request of this session
        self.latency = math.nan
        self._settings = settings
        self._services = services
        self._delivery = delivery

    @property
    def shard_states(self) -> Mapping[int, bool]:
        return {}

    @property
    def commands_registered(self) -> None:
        """A gateway registers the commands."""

    async def run(self) -> None:
        """Stay logged in until cancelled. StartupError if Discord refuses the token.

        No gateway closes a session whose token was reset, so a request each minute finds that out.
        """
        failures = 0
        while True:
            self.client = client = discord.Client(**client_options(self._settings, self._services))
            self._delivery.attach(client)
            try:
                async with asyncio.timeout(LOGIN_SECONDS):
                    await client.login(self._settings.token.get_secret_value())
                log.info("logged in at Discord as %s, without a gateway", client.user)
                await self._watch(client)
            except discord.LoginFailure:
                raise StartupError(REFUSED) from None
            except Exception as error:
                failures += 1
                wait = LOGINS.wait(failures).total_seconds()
                log.error(
                    "login at Discord failed, retrying in %s s: %s", round(wait), failure_of(error)
                )
            finally:
                self.connected = False
                await close_client(client)
            await asyncio.sleep(wait)

    async def _watch(self, client: discord.Client) -> None:
        """Request the bot's own user from time to time. LoginFailure once the token is refused."""
        while True:
            began = time.monotonic()
            try:
                async with within(client, QUERY_TIMEOUT):
                    await client.fetch_user(client.user.id if client.user else 0)
            except DELIVERY_ERRORS as error:
                if _refuses_token(error):
                    raise discord.LoginFailure from error
                if self.connected:
                    log.info("Discord does not answer: %s", failure_of(error))
                self.connected = False
            else:
                self.connected, self.latency = True, time.monotonic() - began
            await asyncio.sleep(CHECK_SECONDS if self.connected else RECHECK_SECONDS)


def _refuses_token(error: Exception) -> bool:
    """Return whether Discord itself, and no proxy before Discord, refuses the token."""
    return (
        isinstance(error, discord.HTTPException) and error.status == 401 and is_from_discord(error)
    )
