"""/jobs, /models and /help."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from cogs.answers import answer_privately
from cogs.views import help_view, jobs_view, models_view


class Jobs(commands.Cog):
    def __init__(self, studio: Studio, tree: app_commands.CommandTree[Any]) -> None:
        self.studio = studio
        self.tree = tree

    @app_commands.command()
    async def jobs(self, interaction: discord.Interaction[Any]) -> None:
        """Your jobs: those under way and the last that ended"""
        mine = await self.studio.jobs_of(interaction.user.id)
        await answer_privately(interaction, jobs_view(mine, self.studio.catalog))

    @app_commands.command()
    async def models(self, interaction: discord.Interaction[Any]) -> None:
        """The models on offer, their options and what a picture costs"""
        await answer_privately(interaction, models_view(self.studio.catalog))

    @app_commands.command()
    async def help(self, interaction: discord.Interaction[Any]) -> None:
        """What this bot can do"""
        commands_of_ours = [
            (command.qualified_name, command.description)
            for command in self.tree.walk_commands()
            if isinstance(command, app_commands.Command)
        ]
        await answer_privately(interaction, help_view(sorted(commands_of_ours)))
