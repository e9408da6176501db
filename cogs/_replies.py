"""Answers to one member, and what is said when something went wrong."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import aiohttp
import discord
from discord import app_commands, ui

from bot.errors import UserError
from bot.studio import Studio
from cogs.ui.result import answer_view

log = logging.getLogger(__name__)

# Discord gives us 3 s to begin to answer; an answer that takes longer than this is in doubt.
REPLY_TIMEOUT = 10.0
SORRY = "Something went wrong here, and it has been noted. Please try again."
# Discord was not reached, or not heard: what was sent may have arrived.
UNKNOWN_OUTCOME = (TimeoutError, OSError, aiohttp.ClientError, discord.DiscordServerError)
REFUSED = (discord.HTTPException, discord.RateLimited)  # surely not done, but for a 5xx
# Discord's code where an interaction was answered already; discord.py answers again after a 5xx.
ANSWERED = 40060
TOO_MANY = 429
LATE = {10062, ANSWERED}  # 10062: the interaction is gone


@runtime_checkable
class HasStudio(Protocol):
    """Our client, as the buttons see it: they outlive every view, so they find it through this."""

    studio: Studio
    run_id: str  # of this start of the client


class FormLost(UserError):
    def __init__(self) -> None:
        super().__init__("I was restarted since you opened this form. Open it again.")


def _client(interaction: discord.Interaction[Any]) -> HasStudio:
    client = interaction.client
    if not isinstance(client, HasStudio):
        raise TypeError("the client has no studio")
    return client


def studio_of(interaction: discord.Interaction[Any]) -> Studio:
    return _client(interaction).studio


def modal_id(interaction: discord.Interaction[Any], purpose: str) -> str:
    """For a modal: its own, and telling which run of the program it belongs to."""
    return f"easel:{purpose}:{_client(interaction).run_id}:{interaction.id}"


def is_lost_modal(interaction: discord.Interaction[Any]) -> bool:
    """Whether a modal was sent that an earlier run opened: discord.py knows nothing of it."""
    if interaction.type is not discord.InteractionType.modal_submit:
        return False
    data: Mapping[str, Any] = interaction.data or {}
    custom_id = str(data.get("custom_id", ""))
    return f":{_client(interaction).run_id}:" not in custom_id


async def reply_privately(interaction: discord.Interaction[Any], view: ui.LayoutView) -> None:
    """Answer the member alone, whether something was answered before or not."""
    nobody = discord.AllowedMentions.none()
    async with asyncio.timeout(REPLY_TIMEOUT):
        if interaction.response.is_done():
            await interaction.followup.send(view=view, ephemeral=True, allowed_mentions=nobody)
        else:
            await interaction.response.send_message(
                view=view, ephemeral=True, allowed_mentions=nobody
            )


async def reply_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Tell a member why it did not work: a UserError in its own words, all else in one sentence."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    if isinstance(cause, discord.HTTPException) and cause.code in LATE:
        log.warning("interaction %s came too late to be answered", interaction.id)
        return
    text = SORRY
    if isinstance(cause, UserError):
        text = str(cause)
    elif _is_discords(cause):
        log.warning("interaction %s: Discord did not take what was sent: %r", interaction.id, cause)
    else:
        log.error("interaction %s failed", interaction.id, exc_info=cause)
    try:
        await reply_privately(interaction, answer_view(text))
    except (*REFUSED, *UNKNOWN_OUTCOME) as failure:
        log.warning("interaction %s could not be answered: %s", interaction.id, failure)


def _is_discords(cause: BaseException) -> bool:
    """Whether Discord, or the way there, failed; a refusal of what was sent is our mistake."""
    if isinstance(cause, discord.HTTPException):
        return cause.status == TOO_MANY or cause.status >= 500
    return isinstance(
        cause, (discord.RateLimited, aiohttp.ClientError, ConnectionError, TimeoutError)
    )
