"""Options of /imagine and /edit: descriptions, completions, and the values that were given."""

from typing import Any

import discord
from discord import app_commands

from bot.catalog import Choice
from bot.jobs import Option
from cogs._replies import studio_of
from cogs.ui.panel import MAX_CHOICES
from cogs.ui.text import shorten
from cogs.ui.wording import Argument

# Options of the models, which a request carries by the same names.
OPTIONS = {
    "aspect_ratio": Argument.ASPECT_RATIO,
    "image_size": Argument.IMAGE_SIZE,
    "count": Argument.COUNT,
    "negative_prompt": Argument.NEGATIVE_PROMPT,
    "seed": Argument.SEED,
    "expand_prompt": Argument.EXPAND_PROMPT,
    "output_format": Argument.OUTPUT_FORMAT,
    "safety_checker": Argument.SAFETY_CHECKER,
    "match_input_image": Argument.MATCH_INPUT_IMAGE,
}
# Options of both commands.
COMMON = {name: text for name, text in OPTIONS.items() if name != "match_input_image"} | {
    "model": Argument.MODEL,
    "private": Argument.PRIVATE,
}


def given_options(interaction: discord.Interaction[Any]) -> dict[str, Option]:
    """Return the model's options that the member gave."""
    return {name: value for name, value in interaction.namespace if name in OPTIONS}


async def complete_model(
    interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    specs = studio_of(interaction).catalog.specs.values()
    return choices([(spec.title, spec.key) for spec in specs], typed)


async def complete_aspect_ratio(
    interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    return complete(interaction, "aspect_ratio", typed)


async def complete_image_size(
    interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    return complete(interaction, "image_size", typed)


async def complete_output_format(
    interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    return complete(interaction, "output_format", typed)


completed = app_commands.autocomplete(
    model=complete_model,
    aspect_ratio=complete_aspect_ratio,
    image_size=complete_image_size,
    output_format=complete_output_format,
)


def complete(
    interaction: discord.Interaction[Any], option: str, typed: str
) -> list[app_commands.Choice[str]]:
    """Return an option's values at the model chosen so far, else at all; the default is marked."""
    catalog = studio_of(interaction).catalog
    model = getattr(interaction.namespace, "model", None)
    spec = catalog.find(str(model))
    values = catalog.values(option, spec.key if spec else None)
    of_model = spec.options.get(option) if spec else None
    default = of_model.default if isinstance(of_model, Choice) else None
    named = [
        (Argument.DEFAULT_CHOICE.format(value=value) if value == default else value, value)
        for value in values
    ]
    return choices(named, typed)


def choices(named: list[tuple[str, str]], typed: str) -> list[app_commands.Choice[str]]:
    """Return the (name, value) pairs that contain the typed text, in their order."""
    wanted = typed.strip().lower()
    found = [
        app_commands.Choice(name=shorten(name, 100), value=value)
        for name, value in named
        if wanted in name.lower() or wanted in value.lower()
    ]
    return found[:MAX_CHOICES]
