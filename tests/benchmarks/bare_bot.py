"""A minimal discord.py bot, for comparison."""

import os
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands
from discord.http import Route


class BareBot(commands.AutoShardedBot):
    async def setup_hook(self) -> None:
        self.tree.add_command(ping)
        await self.tree.sync()


@app_commands.command()
async def ping(interaction: discord.Interaction[Any]) -> None:
    """Answer"""
    await interaction.response.send_message("pong")


if __name__ == "__main__":
    Route.BASE = os.environ["BARE_API_URL"]
    BareBot("!", intents=discord.Intents(guilds=True)).run(
        os.environ["BARE_TOKEN"], log_handler=None
    )
