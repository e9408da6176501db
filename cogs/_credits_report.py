"""The reply to `/credits report`, with its chart and its table."""

import asyncio
import io
import logging
from functools import partial
from typing import Any

import discord

from bot.catalog import Catalog
from bot.charts import ChartFailed, days_chart
from bot.studio.credit_reports import Report
from cogs._replies import reply_privately
from cogs.ui import wording
from cogs.ui.credits import alt_text, chart_days, report_view
from cogs.ui.numbers import number_in

log = logging.getLogger(__name__)

UPLOAD_SECONDS = 60.0


async def send_report(
    interaction: discord.Interaction[Any], report: Report, catalog: Catalog, locale: str
) -> None:
    """Send a report after the deferred reply, to the manager alone."""
    name = f"credits-{report.first}-{report.last}"
    table, chart = f"{name}.csv", f"{name}.png"
    if report.is_empty:
        view = report_view(report, catalog, chart=None, table=table, locale=locale)
        await reply_privately(interaction, view)
        return
    files = [discord.File(io.BytesIO(report.table), table)]
    drawn = await _chart_of(report, locale)
    if drawn is not None:
        alt = alt_text(report, locale)
        files.insert(0, discord.File(io.BytesIO(drawn), chart, description=alt))
    view = report_view(report, catalog, chart=chart if drawn else None, table=table, locale=locale)
    async with asyncio.timeout(UPLOAD_SECONDS):
        await interaction.followup.send(
            view=view,
            files=files,
            ephemeral=True,
            allowed_mentions=discord.AllowedMentions.none(),
        )


async def _chart_of(report: Report, locale: str) -> bytes | None:
    try:
        return await days_chart(
            chart_days(report),
            title=wording.Report.CHART,
            unit=wording.Report.UNIT,
            number=partial(number_in, locale=locale),
        )
    except ChartFailed as error:
        log.warning("chart not drawn: %s", error)
        return None
