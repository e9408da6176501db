"""What every Discord client of Easel has in common, with a gateway or without."""

import asyncio
import logging
from typing import TypedDict

import aiohttp
import discord

from bot.discord_origin_workaround import use_api
from bot.observability.metrics import trace_discord
from bot.services import Services
from bot.settings import Settings
from cogs.delivery.timeouts import MAX_RATE_LIMIT_WAIT

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
REFUSED = (
    "DISCORD_TOKEN: Discord refuses it. Reset it at "
    "https://discord.com/developers/applications and put the new one in .env."
)

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # no voice channels are used


class ClientOptions(TypedDict):
    """Arguments of `discord.Client` and its subclasses."""

    intents: discord.Intents
    member_cache_flags: discord.MemberCacheFlags
    max_messages: int | None
    max_ratelimit_timeout: float
    allowed_mentions: discord.AllowedMentions
    proxy: str | None
    proxy_auth: aiohttp.BasicAuth | None
    http_trace: aiohttp.TraceConfig


def client_options(settings: Settings, services: Services) -> ClientOptions:
    """Return the arguments of a client, and send this process's requests to the configured API.

    The intents for servers and for messages; none that is privileged, so that the text of a message
    is there only if the message mentions the bot, or in direct messages. Nobody is pinged unless a
    message names them. Each client needs a trace of its own, so each calls this.
    """
    use_api(settings.discord_api_url)
    route = settings.proxies.options(settings.discord_api_url)
    return {
        "intents": discord.Intents(guilds=True, guild_messages=True, dm_messages=True),
        "member_cache_flags": discord.MemberCacheFlags.none(),
        "max_messages": None,
        "max_ratelimit_timeout": MAX_RATE_LIMIT_WAIT,
        "allowed_mentions": discord.AllowedMentions.none(),
        "proxy": None if route["proxy"] is None else str(route["proxy"]),
        "proxy_auth": route["proxy_auth"],
        "http_trace": trace_discord(
            services.metrics, services.clock, services.copies, services.pace
        ),
    }


async def close_client(client: discord.Client) -> None:
    """Close a client; an error is logged, since another client follows or the program ends."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    except Exception:
        log.exception("connection to Discord not closed cleanly")
