"""/imagine: a picture from a description."""

import asyncio
import logging
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.catalog import MAX_COUNT, MAX_PROMPT, MAX_SEED, Choice
from bot.jobs import TOKEN_LIFE, Option, Route
from bot.logs import bind, hide
from bot.studio import Studio
from cogs.answers import ANSWER_SECONDS, IN_DOUBT
from cogs.results import status_view
from cogs.text import shorten

log = logging.getLogger(__name__)

MAX_CHOICES = 25


class Imagine(commands.Cog):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command()
    @app_commands.describe(
        prompt="What to draw, in any language",
        model="The service that draws it",
        aspect_ratio="The shape of the picture",
        image_size="A size in place of a shape",
        count="How many pictures",
        negative_prompt="What must not be in the picture",
        seed="The same seed and options make the same picture again",
        expand_prompt="Let the model write the prompt out before it draws",
        output_format="The kind of file",
        safety_checker="Have the request and the picture checked; on by itself",
    )
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
    ) -> None:
        """Make a picture from a description"""
        given = {
            "aspect_ratio": aspect_ratio,
            "image_size": image_size,
            "count": count,
            "negative_prompt": negative_prompt,
            "seed": seed,
            "expand_prompt": expand_prompt,
            "output_format": output_format,
            "safety_checker": safety_checker,
        }
        options = {name: value for name, value in given.items() if value is not None}
        await request_job(interaction, self.studio, prompt=prompt, options=options, model=model)

    @imagine.autocomplete("model")
    async def complete_model(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        specs = self.studio.catalog.specs.values()
        return choices([(spec.title, spec.key) for spec in specs], typed)

    @imagine.autocomplete("aspect_ratio")
    async def complete_aspect_ratio(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return complete(interaction, self.studio, "aspect_ratio", typed)

    @imagine.autocomplete("image_size")
    async def complete_image_size(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return complete(interaction, self.studio, "image_size", typed)

    @imagine.autocomplete("output_format")
    async def complete_output_format(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        return complete(interaction, self.studio, "output_format", typed)


async def request_job(
    interaction: discord.Interaction[Any],
    studio: Studio,
    *,
    prompt: str,
    options: dict[str, Option],
    model: str | None,
) -> None:
    """Ask the studio, and answer with the job's first state; nothing is deferred before.

    A refusal can so be private. The job is claimed only when Discord has confirmed the answer.
    """
    hide(prompt, str(options.get("negative_prompt", "")))
    lacking = lacking_of(interaction)
    accepted = await studio.request(
        interaction.user.id,
        route_of(interaction, postable=not lacking),
        prompt=prompt,
        options=options,
        model=model,
        may_be_unsafe=is_age_restricted(interaction) and interaction.permissions.manage_guild,
    )
    job = accepted.job
    bind(job=job.id)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await interaction.response.send_message(
                view=status_view(job, accepted.spec, chosen=accepted.chosen, lacking=lacking),
                allowed_mentions=discord.AllowedMentions.none(),
            )
    except IN_DOUBT as error:
        log.warning("whether its answer arrived is in doubt: %r", error)
        return  # the worker finds out
    except discord.HTTPException:
        await studio.withdraw(job.id)
        raise
    if answer.message_id is not None:
        await studio.confirm(job.id, answer.message_id)


def lacking_of(interaction: discord.Interaction[Any]) -> list[str]:
    """The permissions, as Discord names them, that a message of our own needs and we lack."""
    if interaction.guild_id is None:
        return []
    may = interaction.app_permissions
    in_thread = isinstance(interaction.channel, discord.Thread)
    needed = {
        "View Channel": may.view_channel,
        "Send Messages in Threads" if in_thread else "Send Messages": (
            may.send_messages_in_threads if in_thread else may.send_messages
        ),
        "Attach Files": may.attach_files,
    }
    return [name for name, given in needed.items() if not given]


def is_age_restricted(interaction: discord.Interaction[Any]) -> bool:
    channel = interaction.channel
    return isinstance(channel, discord.TextChannel | discord.Thread) and channel.is_nsfw()


def route_of(interaction: discord.Interaction[Any], *, postable: bool) -> Route:
    return Route(
        channel_id=interaction.channel_id or 0,
        server_id=interaction.guild_id or 0,
        application_id=interaction.application_id,
        interaction_token=interaction.token,
        token_expires_at=interaction.created_at + TOKEN_LIFE,
        postable=postable,
    )


def complete(
    interaction: discord.Interaction[Any], studio: Studio, option: str, typed: str
) -> list[app_commands.Choice[str]]:
    """The values of the model chosen so far, or of all, with the default marked."""
    catalog = studio.catalog
    model = getattr(interaction.namespace, "model", None)
    spec = catalog.specs.get(str(model))
    values = catalog.values(option, spec.key if spec else None)
    of = spec.options.get(option) if spec else None
    default = of.default if isinstance(of, Choice) else None
    named = [(f"{value} (default)" if value == default else value, value) for value in values]
    return choices(named, typed)


def choices(named: list[tuple[str, str]], typed: str) -> list[app_commands.Choice[str]]:
    """Those that contain what was typed, in their order."""
    wanted = typed.strip().lower()
    found = [
        app_commands.Choice(name=shorten(name, 100), value=value)
        for name, value in named
        if wanted in name.lower() or wanted in value.lower()
    ]
    return found[:MAX_CHOICES]
