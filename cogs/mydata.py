"""/mydata: a member's own data, also for blocked members and in any server."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.studio import Studio
from cogs._data_export import send_export
from cogs._erasure import ask_erasure
from cogs.ui.wording import Argument, Command


class MyData(commands.GroupCog, group_name="mydata", group_description=Command.MYDATA):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=Command.MYDATA_EXPORT)
    @app_commands.describe(here=Argument.HERE)
    async def export(self, interaction: discord.Interaction[Any], here: bool = False) -> None:
        await send_export(interaction, self.studio, here=here)

    @app_commands.command(description=Command.MYDATA_DELETE)
    async def delete(self, interaction: discord.Interaction[Any]) -> None:
        await ask_erasure(interaction, self.studio)
