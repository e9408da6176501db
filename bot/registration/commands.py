"""The commands of all cogs, as they are sent to Discord."""

from typing import Any, cast

import discord
from discord import app_commands
from discord.ext import commands

from bot.registration.compare import Json
from bot.studio import Studio
from cogs.credits import Credits
from cogs.edit import Edit
from cogs.history import HistoryCommands
from cogs.imagine import Imagine
from cogs.jobs import Jobs
from cogs.my import My
from cogs.mydata import MyData
from cogs.privacy import Privacy
from cogs.recipe import RecipeMenu
from cogs.replying import Replying
from cogs.server import Server
from cogs.usage import Usage


def installs(user_install: bool) -> app_commands.AppInstallationType:
    return app_commands.AppInstallationType(guild=True, user=user_install)


def contexts(user_install: bool) -> app_commands.AppCommandContext:
    return app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=user_install)


async def add_cogs(bot: commands.Bot | commands.AutoShardedBot, studio: Studio) -> None:
    await bot.add_cog(Imagine(studio))
    await bot.add_cog(Edit(studio, bot.tree))
    await bot.add_cog(Jobs(studio, bot.tree))
    await bot.add_cog(HistoryCommands(studio))
    await bot.add_cog(RecipeMenu(studio, bot.tree))
    await bot.add_cog(Usage(studio))
    await bot.add_cog(Replying(studio, bot))
    await bot.add_cog(My(studio))
    await bot.add_cog(Privacy(studio))
    await bot.add_cog(MyData(studio))
    await bot.add_cog(Credits(studio))
    await bot.add_cog(Server(studio))


def payload_of(tree: app_commands.CommandTree[Any]) -> list[Json]:
    return [command.to_dict(tree) for command in tree.get_commands()]


async def payload_without_login(*, user_install: bool) -> list[Json]:
    """Return the same payload for a program that has no client and no studio."""
    bot = commands.Bot(
        command_prefix=commands.when_mentioned,
        help_command=None,
        intents=discord.Intents.none(),
        allowed_installs=installs(user_install),
        allowed_contexts=contexts(user_install),
    )
    # Cogs use the studio only when a command runs, and none runs without a login.
    await add_cogs(bot, cast(Studio, None))
    return payload_of(bot.tree)
