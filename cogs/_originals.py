"""The original pictures of a job, sent to one member as private messages."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import discord
from discord import ui

from bot.jobs import Job, Picture
from bot.studio import Studio
from bot.studio.menu import OriginalsRemoved
from cogs.delivery import timeouts
from cogs.delivery.originals import Numbered, lend, plan
from cogs.delivery.route import is_present
from cogs.delivery.uploads import Uploads
from cogs.ui import more

MOST_FOLLOW_UPS = 5  # for one interaction, where only the member installed the bot
MOST_MESSAGES = 10
NO_UPLOADS = Uploads()


async def send_originals(
    interaction: discord.Interaction[Any], studio: Studio, job: Job, pictures: Sequence[Picture]
) -> None:
    """Send the pictures as they are stored, then name those that no message has.

    Raises OriginalsRemoved if none is stored.
    """
    most = MOST_MESSAGES if is_present(interaction) else MOST_FOLLOW_UPS - 1
    planned = plan(pictures, interaction.filesize_limit, most=most)
    gone = 0
    for message in planned.messages:
        gone += await _send_one(interaction, studio, job, message)
    if gone == len(pictures):
        raise OriginalsRemoved
    if gone or planned.left_out:
        await follow_up(interaction, more.left_out_view(job, planned.left_out, gone=gone))


async def follow_up(
    interaction: discord.Interaction[Any], view: ui.LayoutView, uploads: Uploads = NO_UPLOADS
) -> discord.WebhookMessage:
    """Send a private follow-up, with more time for a larger upload."""
    with uploads.opened() as files:
        async with asyncio.timeout(timeouts.send_timeout(uploads.total)):
            return await interaction.followup.send(
                view=view,
                files=files,
                ephemeral=True,
                allowed_mentions=discord.AllowedMentions.none(),
                wait=True,
            )


async def _send_one(
    interaction: discord.Interaction[Any], studio: Studio, job: Job, pictures: Sequence[Numbered]
) -> int:
    """Send one message with those pictures that are stored; return the number of the others."""
    async with AsyncExitStack() as lent:
        uploads = await lend(job, pictures, studio.reduced, lent)
        if uploads.names:
            await follow_up(interaction, more.originals_view(job, uploads), uploads)
    return uploads.gone
