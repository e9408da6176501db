"""/jobs, /cancel, /history, /show, /models and /help."""

from typing import Any

import discord
from discord import app_commands, ui
from discord.ext import commands

from bot.observability.logs import bind
from bot.studio import Studio
from cogs._replies import reply_privately
from cogs._request import choices
from cogs.buttons import HistorySelect, show_job
from cogs.ui.lists import help_view, history_view, jobs_view, models_view
from cogs.ui.result import cancel_view, job_choice


class Jobs(commands.Cog):
    def __init__(self, studio: Studio, tree: app_commands.CommandTree[Any]) -> None:
        self.studio = studio
        self.tree = tree

    @app_commands.command()
    async def jobs(self, interaction: discord.Interaction[Any]) -> None:
        """Your jobs: those under way and the last that ended"""
        mine = await self.studio.jobs.recent(interaction.user.id)
        await reply_privately(interaction, jobs_view(mine, self.studio.catalog))

    @app_commands.command()
    @app_commands.describe(job="Which of your jobs")
    async def cancel(self, interaction: discord.Interaction[Any], job: str) -> None:
        """Cancel one of your jobs that is under way"""
        canceled = await self.studio.jobs.cancel(interaction.user.id, job.strip().lower())
        bind(job=canceled.id)
        await reply_privately(interaction, cancel_view(canceled))

    @app_commands.command()
    async def history(self, interaction: discord.Interaction[Any]) -> None:
        """Your last jobs that have ended, with their pictures on request"""
        ended = await self.studio.jobs.ended(interaction.user.id)
        view = history_view(ended, self.studio.catalog)
        if ended:
            view.add_item(ui.ActionRow(HistorySelect(ended)))
        await reply_privately(interaction, view)

    @app_commands.command()
    @app_commands.describe(job="Which of your jobs")
    async def show(self, interaction: discord.Interaction[Any], job: str) -> None:
        """All about one of your jobs, with its pictures"""
        await show_job(interaction, self.studio, job)

    @cancel.autocomplete("job")
    async def complete_active(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        mine = await self.studio.jobs.recent(interaction.user.id)
        active = [job for job in mine if not job.status.settled]
        return choices([(job_choice(job), job.id) for job in active], typed)

    @show.autocomplete("job")
    async def complete_any(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        mine = await self.studio.jobs.recent(interaction.user.id)
        return choices([(job_choice(job), job.id) for job in mine], typed)

    @app_commands.command()
    async def models(self, interaction: discord.Interaction[Any]) -> None:
        """The models on offer, their options and what a picture costs"""
        await reply_privately(interaction, models_view(self.studio.catalog))

    @app_commands.command()
    async def help(self, interaction: discord.Interaction[Any]) -> None:
        """What this bot can do"""
        commands_of_ours = [
            (command.qualified_name, command.description)
            for command in self.tree.walk_commands()
            if isinstance(command, app_commands.Command)
        ]
        menus = [menu.name for menu in self.tree.get_commands(type=discord.AppCommandType.message)]
        await reply_privately(interaction, help_view(sorted(commands_of_ours), menus))
