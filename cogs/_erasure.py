"""The private messages of `/mydata delete`: the question, the decision and the progress."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import discord
from discord import ui

from bot.studio import Studio
from cogs._replies import first_reply, reply_privately, studio_of
from cogs.ui import erasure as pages

Press = discord.Interaction[Any]
Match = re.Match[str]
Handler = Callable[[Press, Match, Sequence[str]], Awaitable[None]]


async def ask_erasure(interaction: Press, studio: Studio) -> None:
    """Ask before everything is deleted, or show the progress of a deletion under way."""
    user_id = interaction.user.id
    if under_way := await studio.erasures.progress(user_id):
        await reply_privately(interaction, pages.progress_view(under_way))
        return
    await reply_privately(interaction, pages.question_view(await studio.erasures.stored(user_id)))


async def confirm(interaction: Press, match: Match, _: Sequence[str]) -> None:
    """Request the deletion; a second press extends the first request to what is stored now."""
    erasures = studio_of(interaction).erasures
    with_results = match["what"] == "results"
    begun = await erasures.request(interaction.user.id, with_results=with_results)
    await _show(interaction, pages.progress_view(begun))


async def keep(interaction: Press, _: Match, __: Sequence[str]) -> None:
    await _show(interaction, pages.kept_view())


async def refresh(interaction: Press, _: Match, __: Sequence[str]) -> None:
    """Show how far the deletion has come."""
    erasures = studio_of(interaction).erasures
    await _show(interaction, pages.progress_view(await erasures.progress(interaction.user.id)))


async def _show(interaction: Press, view: ui.LayoutView) -> None:
    async with first_reply():
        await interaction.response.edit_message(view=view)


ERASURE_HANDLERS: Mapping[re.Pattern[str], Handler] = {
    pages.CONFIRM: confirm,
    pages.KEEP: keep,
    pages.REFRESH: refresh,
}
