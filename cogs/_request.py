"""What /imagine, /edit and the message menu have in common: options, completions, the request."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import discord
from discord import app_commands, ui

from bot.catalog import Choice
from bot.errors import NotNow
from bot.jobs import Attachment, Option
from bot.observability.logs import bind, hide
from bot.studio import Studio
from bot.studio.requests import PictureRequest
from cogs._replies import ANSWERED, REPLY_TIMEOUT, UNKNOWN_OUTCOME, studio_of
from cogs.buttons import status_view
from cogs.delivery.errors import is_transient
from cogs.delivery.route import member_of, missing_permissions, route_of
from cogs.ui.text import shorten

log = logging.getLogger(__name__)

MAX_CHOICES = 25
OPTIONS = {
    "aspect_ratio": "The shape of the picture",
    "image_size": "A size in place of a shape",
    "count": "How many pictures",
    "negative_prompt": "What must not be in the picture",
    "seed": "The same seed and options make the same picture again",
    "expand_prompt": "Let the model write the prompt out before it draws",
    "output_format": "The kind of file",
    "safety_checker": "Have the request and the picture checked; on by itself",
    "match_input_image": "Give the result the shape of the picture",
}
COMMON = {name: text for name, text in OPTIONS.items() if name != "match_input_image"} | {
    "model": "The service that draws it",
    "private": "Only you see it",
}


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


def given_options(interaction: discord.Interaction[Any]) -> dict[str, Option]:
    """The model's options that the member gave."""
    return {name: value for name, value in interaction.namespace if name in OPTIONS}


async def request_job(
    interaction: discord.Interaction[Any],
    studio: Studio,
    *,
    prompt: str,
    options: Mapping[str, Option],
    model: str | None,
    inputs: Sequence[Attachment] = (),
    private: bool = False,
) -> None:
    """Ask the studio, and answer with the job's first state; nothing is deferred before.

    A refusal can so be private. The job is claimed only when Discord has confirmed the answer.
    """
    hide(prompt, str(options.get("negative_prompt", "")))
    lacking = missing_permissions(interaction)
    job = await studio.requests.create(
        member_of(interaction),
        route_of(interaction, lacking=lacking, private=private),
        PictureRequest(prompt, options, inputs, model),
    )
    bind(job=job.id)
    spec = studio.catalog.about(job.request.model)
    view = status_view(job, spec, lacking=lacking, down=studio.health.is_down(job.provider))
    await _answer(interaction, studio, job.id, view, private=private)


async def _answer(
    interaction: discord.Interaction[Any],
    studio: Studio,
    job_id: str,
    view: ui.LayoutView,
    *,
    private: bool,
) -> None:
    """Show the accepted job, and tell the studio what became of that; where it is in doubt, or
    cannot be stored, the worker finds out.

    In that case nothing more is said: a job that has its answer goes on, and costs what it costs;
    and where Discord refused the answer, another one would be taken for it.
    """
    try:
        async with asyncio.timeout(REPLY_TIMEOUT):
            answer = await interaction.response.send_message(
                view=view, allowed_mentions=discord.AllowedMentions.none(), ephemeral=private
            )
    except UNKNOWN_OUTCOME as error:
        log.warning("whether its answer arrived is in doubt: %r", error)
        return
    except discord.HTTPException as error:
        # discord.py sends it again after a 5xx: what is said then is not about the first one.
        if error.code == ANSWERED or is_transient(error):
            log.warning("whether its answer arrived is in doubt: %r", error)
            return
        try:
            await studio.requests.withdraw(job_id)
        except NotNow:
            log.warning("what became of its answer cannot be stored; it is asked for later")
            return
        raise
    if answer.message_id is not None:
        try:
            await studio.requests.confirm(job_id, answer.message_id)
        except NotNow:
            log.warning("what became of its answer cannot be stored; it is asked for later")


def complete(
    interaction: discord.Interaction[Any], option: str, typed: str
) -> list[app_commands.Choice[str]]:
    """The values of the model chosen so far, or of all, with the default marked."""
    catalog = studio_of(interaction).catalog
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
