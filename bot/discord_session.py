"""The connection to Discord: a client that has failed is replaced by a new one."""

import asyncio
import logging
from datetime import timedelta

import discord

from bot.backoff import Backoff
from bot.client import EaselClient
from bot.discord_clients import REFUSED, close_client
from bot.errors import StartupError
from bot.identify_permits import IdentifyPermits, IdentifyTurns
from bot.services import Services
from bot.session_starts import SessionPostponed, SessionStarts
from bot.settings import Settings
from bot.shards import Shards
from bot.studio import Studio
from cogs.delivery.discord_delivery import DiscordDelivery

log = logging.getLogger(__name__)

CLOSED = "Discord closed the connection for good ({code}: {reason}). {remedy}"
UPGRADE = "Install the newest version of Easel."
MORE_SHARDS = "Raise the number of all shards after the slash of --shards, for every gateway."
# Close codes after which the same session would be refused again, for ever.
FINAL = {
    4010: ("invalid shard", "Start Easel again; if that does not help, report this."),
    4011: ("more shards are needed", "Start Easel again, which asks Discord for their number."),
    4012: ("invalid API version", UPGRADE),
    4013: ("invalid intents", UPGRADE),
    4014: ("disallowed intents", UPGRADE),
}
RECONNECTS = Backoff(first=timedelta(seconds=1), longest=timedelta(minutes=1))


class DiscordSession:
    """The gateway's connections of this process: all shards, or some with a permit for each start.

    `registers` as in EaselClient.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        studio: Studio,
        delivery: DiscordDelivery,
        *,
        shards: Shards | None = None,
        permits: IdentifyPermits | None = None,
        registers: bool | None = None,
    ) -> None:
        self.client: EaselClient | None = None
        self._settings = settings
        self._services = services
        self._studio = studio
        self._delivery = delivery
        self.starts = SessionStarts()
        self._shards = shards
        self._turns = None if permits is None else IdentifyTurns(permits)
        self._registers = registers

    async def run(self) -> None:
        """Stay logged in until cancelled. StartupError after a refusal that no repeat can mend.

        discord.py ends `start` at the first gateway event that it cannot parse, and when the
        gateway's address cannot be read at the start (discord.md, Traps of discord.py).
        """
        try:
            await self._stay_connected()
        finally:
            if self._turns is not None:
                await self._turns.close()

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            since = self._services.now()
            self.client = client = EaselClient(
                self._settings,
                self._services,
                self._studio,
                self.starts,
                shards=self._shards,
                turns=self._turns,
                registers=self._registers,
            )
            self._delivery.attach(client)
            try:
                await client.serve(self._settings.token.get_secret_value())
            except discord.LoginFailure:
                raise StartupError(REFUSED) from None
            except discord.PrivilegedIntentsRequired:
                raise _final(4014, self._shards) from None
            except SessionPostponed:  # the client has logged the reason; the next one waits
                log.info("session postponed")
            except discord.ConnectionClosed as error:
                if error.code == 4004:
                    raise StartupError(REFUSED) from None
                if error.code in FINAL:
                    raise _final(error.code, self._shards) from None
                log.error("Discord closed the connection: %s; reconnecting", error)
            except Exception:
                log.exception("connection to Discord failed, reconnecting")
            finally:
                await close_client(client)
            # After a connection of five minutes, failures count from one again.
            stable = self._services.now() - since > timedelta(minutes=5)
            failures = 1 if stable else failures + 1
            await asyncio.sleep(RECONNECTS.wait(failures).total_seconds())


def _final(code: int, shards: Shards | None) -> StartupError:
    reason, remedy = FINAL[code]
    if code == 4011 and shards is not None:
        remedy = MORE_SHARDS
    return StartupError(CLOSED.format(code=code, reason=reason, remedy=remedy))
