"""/usage: a member's credits."""

import asyncio
import io
import logging
from functools import partial
from typing import Any

import discord
from discord import app_commands, ui
from discord.ext import commands

from bot.charts import ChartFailed, days_chart
from bot.studio import Studio
from bot.studio.usage import Report
from cogs._replies import REFUSED, UNKNOWN_OUTCOME, defer, locale_of, reply_privately
from cogs.delivery.route import member_of
from cogs.ui.numbers import number_in
from cogs.ui.usage import CHART, usage_view
from cogs.ui.wording import Command
from cogs.ui.wording import Usage as Words

log = logging.getLogger(__name__)

UPLOAD_SECONDS = 30.0


class Usage(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=Command.USAGE)
    async def usage(self, interaction: discord.Interaction[Any]) -> None:
        locale = locale_of(interaction)
        report = await self.studio.usage.of(member_of(interaction))
        view = partial(usage_view, report, self.studio.catalog, locale)
        if report.is_empty:
            await reply_privately(interaction, view())
            return
        await defer(interaction)
        chart = await _chart(report, locale)
        if chart is None or not await _send(interaction, view(chart=True), chart):
            await reply_privately(interaction, view(failed=True))


async def _chart(report: Report, locale: str) -> bytes | None:
    """Return the chart of the last days; None if there is none now."""
    number = partial(number_in, locale=locale)
    try:
        return await days_chart(report.days, title=Words.CHART, unit=Words.UNIT, number=number)
    except ChartFailed as error:
        log.warning("chart not drawn: %s", error)
        return None


async def _send(interaction: discord.Interaction[Any], view: ui.LayoutView, chart: bytes) -> bool:
    """Send the reply with its chart; return False if Discord has not confirmed it.

    The numbers follow then: twice, at worst, and to the member alone.
    """
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            await interaction.followup.send(
                view=view,
                file=discord.File(io.BytesIO(chart), CHART),
                ephemeral=True,
                allowed_mentions=discord.AllowedMentions.none(),
            )
    except (*REFUSED, *UNKNOWN_OUTCOME) as error:
        log.warning("chart not uploaded: %r", error)
        return False
    return True
