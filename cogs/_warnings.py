"""Warnings to a member who has used most of an allowance, or of a month."""

import logging
from collections.abc import Mapping
from typing import Any

import discord
from discord import ui

from bot.store.balances import Level
from bot.store.holds import Held, Warned
from cogs._replies import (
    REFUSED,
    REPLY_TIMEOUT,
    UNKNOWN_OUTCOME,
    UNREADABLE,
    ReplyUnread,
    locale_of,
    reply_privately,
)
from cogs.delivery.timeouts import within
from cogs.ui.numbers import credits_in
from cogs.ui.panel import notice
from cogs.ui.wording import Warnings

log = logging.getLogger(__name__)

TEXTS: Mapping[Level, str] = {Level.MEMBER: Warnings.MEMBER, Level.MONTH: Warnings.MONTH}
FAILURES = (*REFUSED, *UNKNOWN_OUTCOME, *UNREADABLE, ReplyUnread)


async def warn_member(interaction: discord.Interaction[Any], held: Held) -> None:
    """Say privately, after the reply to a request, that few credits are left. Never raises."""
    view = _view(held, locale_of(interaction))
    if view is None:
        return
    try:
        await reply_privately(interaction, view)
    except FAILURES as error:
        log.info("warning about few credits not sent: %r", error)


async def warn_author(client: discord.Client, message: discord.Message, held: Held) -> None:
    """Say the same to the author of a message, in direct messages alone. Never raises.

    In a server, no message after a message is private.
    """
    view = _view(held, held.job.locale)
    if view is None or message.guild is not None:
        return
    try:
        async with within(client, REPLY_TIMEOUT):
            await message.channel.send(view=view, allowed_mentions=discord.AllowedMentions.none())
    except FAILURES as error:
        log.info("warning about few credits not sent: %r", error)


def _view(held: Held, locale: str | None) -> ui.LayoutView | None:
    """Return the warnings for the member; None if there are none."""
    lines = [_text(each, locale) for each in held.warnings if each.level in TEXTS]
    return notice("\n".join(lines)) if lines else None


def _text(warned: Warned, locale: str | None) -> str:
    limit, left = warned.sum.limit, warned.sum.left
    return TEXTS[warned.level].format(
        percent=(limit - left) * 100 // limit,
        credits=credits_in(left, locale),
        time=int(warned.period.end.timestamp()),
    )
