"""/imagine: a picture from a description."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.catalog import MAX_COUNT, MAX_PROMPT, MAX_SEED
from bot.studio import Studio
from cogs._options import COMMON, completed, given_options
from cogs._request import request_job
from cogs.ui.wording import Argument, Command


class Imagine(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=Command.IMAGINE)
    @app_commands.describe(prompt=Argument.IMAGINE_PROMPT, **COMMON)
    @completed
    async def imagine(
        self,
        interaction: discord.Interaction[Any],
        prompt: app_commands.Range[str, 1, MAX_PROMPT],
        model: str | None = None,
        aspect_ratio: str | None = None,
        image_size: str | None = None,
        count: app_commands.Range[int, 1, MAX_COUNT] | None = None,
        negative_prompt: str | None = None,
        seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
        expand_prompt: bool | None = None,
        output_format: str | None = None,
        safety_checker: bool | None = None,
        private: bool | None = None,
    ) -> None:
        await request_job(
            interaction,
            self.studio,
            prompt=prompt,
            options=given_options(interaction),
            model=model,
            private=private,
        )
