"""/jobs, /cancel, /history, /show, /models and /help."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.errors import NotNow
from bot.observability.logs import bind
from bot.pictures import NotDecoded
from bot.pictures.marks import mark_of
from bot.studio import Studio
from cogs._options import choices
from cogs._replies import first_reply, reply_privately
from cogs.delivery.uploads import prepare
from cogs.ui.lists import help_view, history_view, job_choice, jobs_view, models_view
from cogs.ui.result import job_view
from cogs.ui.status import cancel_view
from cogs.ui.wording import Argument, Command


class Jobs(commands.Cog):
    def __init__(self, studio: Studio, tree: app_commands.CommandTree[Any]) -> None:
        self.studio = studio
        self.tree = tree

    @app_commands.command(description=Command.JOBS)
    async def jobs(self, interaction: discord.Interaction[Any]) -> None:
        own = await self.studio.jobs.recent(interaction.user.id)
        await reply_privately(interaction, jobs_view(own, self.studio.catalog))

    @app_commands.command(description=Command.CANCEL)
    @app_commands.describe(job=Argument.JOB)
    async def cancel(self, interaction: discord.Interaction[Any], job: str) -> None:
        canceled = await self.studio.jobs.cancel(interaction.user.id, job.strip().lower())
        bind(job=canceled.id)
        await reply_privately(interaction, cancel_view(canceled))

    @app_commands.command(description=Command.HISTORY)
    async def history(self, interaction: discord.Interaction[Any]) -> None:
        ended = await self.studio.jobs.ended(interaction.user.id)
        await reply_privately(interaction, history_view(ended, self.studio.catalog))

    @app_commands.command(description=Command.SHOW)
    @app_commands.describe(job=Argument.JOB)
    async def show(self, interaction: discord.Interaction[Any], job: str) -> None:
        await show_job(interaction, self.studio, job)

    @cancel.autocomplete("job")
    async def complete_active(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        active = await self.studio.jobs.active(interaction.user.id)
        return choices([(job_choice(job), job.id) for job in active], typed)

    @show.autocomplete("job")
    async def complete_any(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        own = await self.studio.jobs.recent(interaction.user.id)
        return choices([(job_choice(job), job.id) for job in own], typed)

    @app_commands.command(description=Command.MODELS)
    async def models(self, interaction: discord.Interaction[Any]) -> None:
        await reply_privately(interaction, models_view(self.studio.catalog))

    @app_commands.command(description=Command.HELP)
    async def help(self, interaction: discord.Interaction[Any]) -> None:
        described = [
            (command.qualified_name, command.description)
            for command in self.tree.walk_commands()
            if isinstance(command, app_commands.Command)
        ]
        menus = [menu.name for menu in self.tree.get_commands(type=discord.AppCommandType.message)]
        await reply_privately(interaction, help_view(sorted(described), menus))


async def show_job(interaction: discord.Interaction[Any], studio: Studio, job_id: str) -> None:
    """Show everything about a member's own job, privately. Refuses before deferring."""
    async with (
        studio.jobs.shown(interaction.user.id, job_id.strip().lower()) as (job, pictures),
        AsyncExitStack() as lent,
    ):
        bind(job=job.id)
        spec = studio.catalog.about(job.request.model)
        async with first_reply():
            await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            limit, mark = interaction.filesize_limit, mark_of(job, spec.title)
            uploads = await prepare(job, pictures, limit, studio.reduced, lent, mark=mark)
        except NotDecoded as error:
            raise NotNow from error
        view = job_view(job, spec, uploads)
        with uploads.opened() as files:
            async with asyncio.timeout(60):  # an upload may be slow
                await interaction.followup.send(
                    view=view,
                    files=files,
                    ephemeral=True,
                    allowed_mentions=discord.AllowedMentions.none(),
                )
