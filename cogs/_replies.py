"""Replies to interactions: private messages, errors and forms."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, runtime_checkable

import aiohttp
import discord
from discord import app_commands, ui

from bot.errors import UserError
from bot.studio import Studio
from cogs._menu_forms import MenuForms
from cogs._menu_tokens import MenuTokens
from cogs.delivery.error_codes import UNKNOWN_WEBHOOK, Meaning, meaning_of_code
from cogs.ui import wording
from cogs.ui.panel import notice
from cogs.ui.text import sentence

log = logging.getLogger(__name__)

# Discord accepts a first reply within 3 s. A request that takes longer than this has an unknown
# outcome.
REPLY_TIMEOUT = 10.0  # seconds
# Discord was not reached, or did not answer readably: the request may have been executed.
UNKNOWN_OUTCOME = (TimeoutError, OSError, aiohttp.ClientError, discord.DiscordServerError)
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)  # answers discord.py cannot read
# A proxy that refuses CONNECT has made no connection.
NEVER_SENT = (discord.RateLimited, aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError)
REFUSED = (discord.HTTPException, discord.RateLimited)  # surely not executed, except for a 5xx
# Discord's code for a second reply to an interaction; discord.py repeats a reply after a 5xx.
ALREADY_REPLIED = 40060
DEFERRED = "deferred"  # in an interaction's extras: its deferral probably arrived


@runtime_checkable
class HasStudio(Protocol):
    """The part of EaselClient that buttons and forms use: they reach the studio through it."""

    studio: Studio
    menu_forms: MenuForms
    menu_tokens: MenuTokens


class ReplyUnread(Exception):
    """Discord's answer to a first reply cannot be read: the reply may have arrived."""


class FormUnread(ReplyUnread):
    """The same for a form: no message shows whether the form is open."""


class FormLost(UserError):
    def __init__(self) -> None:
        super().__init__(
            "This form is closed, because the bot was restarted, you opened another form, or an "
            "hour has passed. Open the form again."
        )


def studio_of(interaction: discord.Interaction[Any]) -> Studio:
    """Return the studio of the client that received the interaction."""
    return _client(interaction).studio


def locale_of(interaction: discord.Interaction[Any]) -> str:
    """Return Discord's name of the language of the member's client."""
    return str(interaction.locale)


def menu_forms_of(interaction: discord.Interaction[Any]) -> MenuForms:
    """Return the open forms of the message menu."""
    return _client(interaction).menu_forms


def menu_tokens_of(interaction: discord.Interaction[Any]) -> MenuTokens:
    """Return the tokens that the client holds for open menus."""
    return _client(interaction).menu_tokens


async def reply_privately(interaction: discord.Interaction[Any], view: ui.LayoutView) -> None:
    """Send a message that only the member sees: the first reply, or a follow-up after one."""
    nobody = discord.AllowedMentions.none()
    if has_replied(interaction):
        async with asyncio.timeout(REPLY_TIMEOUT):
            await interaction.followup.send(view=view, ephemeral=True, allowed_mentions=nobody)
        return
    async with first_reply():
        await interaction.response.send_message(view=view, ephemeral=True, allowed_mentions=nobody)


@asynccontextmanager
async def first_reply() -> AsyncIterator[None]:
    """Limit the time of a first reply; raise ReplyUnread if its outcome is unknown."""
    try:
        async with asyncio.timeout(REPLY_TIMEOUT):
            yield
    except (*UNKNOWN_OUTCOME, *UNREADABLE) as error:
        raise ReplyUnread(repr(error)) from error


def has_replied(interaction: discord.Interaction[Any]) -> bool:
    """Return whether a first reply or a deferral was sent, so that follow-ups are due."""
    return interaction.response.is_done() or DEFERRED in interaction.extras


async def defer(interaction: discord.Interaction[Any], *, thinking: bool = True) -> None:
    """Promise a private message, or without `thinking`, a change of the message that was pressed.

    Discord's answer can be lost, or unreadable, although the member sees that the bot is thinking:
    work goes on unless Discord surely has no deferral.
    """
    try:
        async with first_reply():
            await interaction.response.defer(ephemeral=thinking, thinking=thinking)
    except ReplyUnread as error:
        if not await _may_have_replied(interaction):
            raise
        log.info("outcome of the deferral of interaction %s unknown: %s", interaction.id, error)
        interaction.extras[DEFERRED] = True


async def reply_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Show a member why a command failed: the text of a UserError, else one general sentence."""
    try:
        if not interaction.client.is_closed():
            await _reply_error(interaction, error)
            return
    except RuntimeError:  # aiohttp's: the connections were closed meanwhile
        if not interaction.client.is_closed():
            raise
    log.info("interaction %s ended with the shutdown", interaction.id)


async def _reply_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    # 10062: Discord does not know the interaction any more.
    if isinstance(cause, discord.HTTPException) and cause.code in {10062, ALREADY_REPLIED}:
        if cause.code == ALREADY_REPLIED:
            studio_of(interaction).copies.replied_elsewhere(interaction.id)
        log.warning("interaction %s expired before the reply", interaction.id)
        return
    if _is_unknown(interaction, cause):
        log.warning("deferral of interaction %s did not arrive: %s", interaction.id, cause)
        return
    if isinstance(cause, ReplyUnread) and (
        isinstance(cause, FormUnread) or await _may_have_replied(interaction)
    ):
        log.warning("outcome of the reply to interaction %s unknown: %s", interaction.id, cause)
        return
    text = wording.BUG
    if isinstance(cause, UserError):
        text = sentence(cause, locale_of(interaction))
    elif _is_caused_by_discord(cause):
        log.warning("request to Discord failed during interaction %s: %r", interaction.id, cause)
    else:
        log.error("interaction %s failed", interaction.id, exc_info=cause)
    try:
        await reply_privately(interaction, notice(text))
    except (*REFUSED, *UNKNOWN_OUTCOME, *UNREADABLE, ReplyUnread) as failure:
        log.warning("reply to interaction %s failed: %s", interaction.id, failure)


def _is_unknown(interaction: discord.Interaction[Any], cause: BaseException) -> bool:
    """Return whether Discord has no reply to follow, after a deferral of unknown outcome.

    Discord itself tells the member that the bot did not respond.
    """
    return (
        DEFERRED in interaction.extras
        and isinstance(cause, discord.NotFound)
        and cause.code == UNKNOWN_WEBHOOK
    )


async def _may_have_replied(interaction: discord.Interaction[Any]) -> bool:
    """Return whether the member may see a reply: nothing is said before Discord was asked."""
    try:
        async with asyncio.timeout(REPLY_TIMEOUT):
            await interaction.original_response()
    except discord.NotFound as error:
        # A proxy's page; or the interaction's webhook, which appears some seconds after the reply.
        return error.code in {0, UNKNOWN_WEBHOOK}
    except (*REFUSED, *UNKNOWN_OUTCOME, *UNREADABLE, discord.ClientException):
        pass
    return True


def _client(interaction: discord.Interaction[Any]) -> HasStudio:
    client = interaction.client
    if not isinstance(client, HasStudio):
        raise TypeError("the client has no studio")
    return client


def _is_caused_by_discord(cause: BaseException) -> bool:
    """Return true if Discord or the network failed. A refused request is a bug of Easel."""
    if isinstance(cause, ReplyUnread):
        return True
    if isinstance(cause, discord.HTTPException):
        passes = meaning_of_code(cause.code) is Meaning.RETRY
        return cause.status == 429 or cause.status >= 500 or passes
    return isinstance(
        cause, (discord.RateLimited, aiohttp.ClientError, ConnectionError, TimeoutError)
    )
