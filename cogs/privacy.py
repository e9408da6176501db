"""/privacy: what is stored about a member."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from cogs._replies import reply_privately
from cogs.ui.privacy import privacy_view
from cogs.ui.wording import Command


class Privacy(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=Command.PRIVACY)
    async def privacy(self, interaction: discord.Interaction[Any]) -> None:
        await reply_privately(interaction, privacy_view(self.studio.policies, self.studio.catalog))
