"""Notices that 80 % of a budget are used: to a server's managers, and to the operator's log.

The process that accepted the request sends them, once in a period (bot.store.holds). A notice that
Discord refuses is not sent again: the managers see the same in /server settings.
"""

import logging
import math

import discord

from bot.errors import NotNow
from bot.ledger import credits_text
from bot.store.balances import Level
from bot.store.holds import Held, Warned
from cogs._replies import HasStudio
from cogs.delivery import timeouts
from cogs.delivery.errors import DELIVERY_ERRORS
from cogs.delivery.timeouts import within
from cogs.ui.server import notice_view

log = logging.getLogger(__name__)


async def post_notices(client: discord.Client, held: Held) -> None:
    """Send the notices of a request's hold, after the reply to the member. Raise nothing."""
    job = held.job
    for warned in held.warnings:
        used, limit = warned.sum.limit - warned.sum.left, warned.sum.limit
        amounts = (credits_text(used), credits_text(limit))
        match warned.level:
            case Level.SERVER:
                await _notify(client, job.route.account_server_id, warned)
            case Level.PROVIDER:
                log.warning("budget of %s nearly used: %s of %s credits", job.provider, *amounts)
            case Level.BOT:
                log.warning("budget of the bot nearly used: %s of %s credits", *amounts)


async def _notify(client: discord.Client, server_id: int, warned: Warned) -> None:
    """Post a notice in the channel that the managers of a server have chosen."""
    if not isinstance(client, HasStudio):
        return
    try:
        channel_id = (await client.studio.servers.settings_of(server_id)).notices
    except NotNow:
        log.warning("notice to server %s not sent: the database cannot be read", server_id)
        return
    if channel_id is None:
        log.warning("budget of server %s nearly used, and no channel for notices", server_id)
        return
    used, limit = warned.sum.limit - warned.sum.left, warned.sum.limit
    guild = client.get_guild(server_id)
    locale = None if guild is None else str(guild.preferred_locale)
    view = notice_view(used, limit, math.ceil(warned.period.end.timestamp()), locale=locale)
    try:
        async with within(client, timeouts.SHOW_TIMEOUT):
            await client.get_partial_messageable(channel_id, guild_id=server_id).send(
                view=view, allowed_mentions=discord.AllowedMentions.none()
            )
    except DELIVERY_ERRORS as error:
        log.warning("notice to server %s not sent: %s", server_id, error)
