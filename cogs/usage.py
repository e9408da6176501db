"""/usage: what a member has used."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from cogs._replies import reply_privately
from cogs.ui.lists import usage_view


class Credits(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command()
    async def usage(self, interaction: discord.Interaction[Any]) -> None:
        """Your credits this month: used, held and left"""
        await reply_privately(
            interaction, usage_view(await self.studio.usage.month_of(interaction.user.id))
        )
