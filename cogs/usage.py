"""/usage: a member's credits."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from cogs._replies import reply_privately
from cogs.ui.lists import usage_view
from cogs.ui.wording import Command


class Usage(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=Command.USAGE)
    async def usage(self, interaction: discord.Interaction[Any]) -> None:
        month = await self.studio.usage.month_of(interaction.user.id)
        await reply_privately(interaction, usage_view(month))
