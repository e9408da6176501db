"""/jobs, /cancel, /models and /help."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.observability.logs import bind
from bot.studio import Studio
from cogs._options import choices
from cogs._replies import locale_of, reply_privately
from cogs.ui.lists import help_view, job_choice, jobs_view, models_view
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
        spec = self.studio.catalog.about(canceled.request.model)
        await reply_privately(interaction, cancel_view(canceled, spec))

    @cancel.autocomplete("job")
    async def complete_active(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        active = await self.studio.jobs.active(interaction.user.id)
        return choices([(job_choice(job), job.id) for job in active], typed)

    @app_commands.command(description=Command.MODELS)
    async def models(self, interaction: discord.Interaction[Any]) -> None:
        view = models_view(self.studio.catalog, locale_of(interaction))
        await reply_privately(interaction, view)

    @app_commands.command(description=Command.HELP)
    async def help(self, interaction: discord.Interaction[Any]) -> None:
        described = [
            (command.qualified_name, command.description)
            for command in self.tree.walk_commands()
            if isinstance(command, app_commands.Command) and _offered(command, interaction)
        ]
        menus = [menu.name for menu in self.tree.get_commands(type=discord.AppCommandType.message)]
        await reply_privately(
            interaction, help_view(sorted(described), menus, self.studio.policies)
        )


def _offered(
    command: app_commands.Command[Any, ..., Any], interaction: discord.Interaction[Any]
) -> bool:
    """Return whether the member has the permissions that a command needs by default."""
    needed = (command.root_parent or command).default_permissions
    return needed is None or needed <= interaction.permissions
