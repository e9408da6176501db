"""The buttons under a result: Again, Remix and Edit, and the forms that they open."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import discord

from bot.catalog import ModelSpec
from bot.errors import UserError
from bot.jobs import Job, Picture
from bot.observability.logs import bind
from bot.studio import Studio
from bot.studio.results import Draft, Remix, ResultUnavailable, check_prompt
from cogs._access import check_may_use
from cogs._forms import Fields, fields_of, open_form, pick
from cogs._replies import studio_of
from cogs._request import request_job
from cogs.delivery.attachments import pictures_in
from cogs.delivery.route import member_of
from cogs.ui.forms import (
    COUNT,
    DEFAULT_SHAPE,
    EXPAND,
    NEGATIVE,
    NEW_SEED,
    PICTURE,
    PROMPT,
    REFERENCES,
    SHAPE,
    SWITCH_LABELS,
    SWITCHES,
    counts_of,
    edit_form,
    remix_form,
    shapes_of,
)

Press = discord.Interaction[Any]


class ValueUnknown(UserError):
    def __init__(self, value: str) -> None:
        super().__init__("The form has no choice {value}. Open the form again.", value=value)


async def again(interaction: Press, match: re.Match[str], _: Sequence[str]) -> None:
    """Request the same once more, with a new seed."""
    studio, job = await job_of_press(interaction, match)
    draft = await studio.results.again(member_of(interaction), interaction.channel_id or 0, job)
    await request_draft(interaction, studio, draft)


async def open_remix(interaction: Press, match: re.Match[str], _: Sequence[str]) -> None:
    studio, job = await job_of_press(interaction, match)
    check_prompt(job)
    await open_form(interaction, remix_form(job, studio.catalog.about(job.request.model)))


async def submit_remix(interaction: Press, match: re.Match[str], _: Sequence[str]) -> None:
    studio, job = await job_of_press(interaction, match)
    changes = _remix_of(fields_of(interaction), job, studio.catalog.about(job.request.model))
    draft = await studio.results.remix(
        member_of(interaction), interaction.channel_id or 0, job, changes
    )
    await request_draft(interaction, studio, draft)


async def open_edit(interaction: Press, match: re.Match[str], _: Sequence[str]) -> None:
    studio, job = await job_of_press(interaction, match, command="edit")
    await open_edit_form(interaction, studio, job)


async def open_edit_form(interaction: Press, studio: Studio, job: Job) -> None:
    """Open the form that changes a picture of a result, which the member may see."""
    pictures = await studio.results.pictures(job)
    await open_form(
        interaction, edit_form(job, [*pictures], studio.catalog.about(job.request.model))
    )


async def submit_edit(interaction: Press, match: re.Match[str], _: Sequence[str]) -> None:
    studio, job = await job_of_press(interaction, match, command="edit")
    fields = fields_of(interaction)
    pictures = await studio.results.pictures(job)
    numbers = {str(each): "" for each in pictures}
    number = int(_chosen(fields, PICTURE, numbers, next(iter(numbers))))
    picture = pictures[number]
    draft = studio.results.edit(
        job,
        picture,
        fields.text(PROMPT),
        number=number,
        url=address_of(interaction.message, picture, number),
        references=fields.attachments(REFERENCES),
    )
    await request_draft(interaction, studio, draft)


async def job_of_press(
    interaction: Press, match: re.Match[str], *, command: str | None = None
) -> tuple[Studio, Job]:
    """Return the job of a pressed button, if the member may see the job and use the command.

    The command is that of the job's own request by default. A button of an unknown job may show
    that another program runs with the same token.
    """
    bind(job=match["job"])
    studio = studio_of(interaction)
    try:
        job = await studio.results.seen(
            member_of(interaction), interaction.channel_id or 0, match["job"]
        )
    except ResultUnavailable:
        message = interaction.message
        if message is not None and not await studio.results.is_known(match["job"]):
            studio.copies.met_unknown_job(message.created_at)
        raise
    await check_may_use(interaction, command or ("edit" if job.inputs else "imagine"))
    return studio, job


async def request_draft(interaction: Press, studio: Studio, draft: Draft) -> None:
    """Request a job that begins with another one; private if that one is."""
    await request_job(
        interaction,
        studio,
        prompt=draft.prompt,
        options=draft.options,
        model=draft.model,
        inputs=draft.inputs,
        private=draft.source.route.private or None,  # else by the requester's choice
        source_job_id=draft.source.id,
    )


def _remix_of(fields: Fields, job: Job, spec: ModelSpec) -> Remix:
    shape = _chosen(fields, SHAPE, shapes_of(spec), DEFAULT_SHAPE)
    name, _, value = shape.partition("=")
    switches = [pick(each, SWITCH_LABELS) for each in fields.chosen(SWITCHES)]
    return Remix(
        prompt=fields.text(PROMPT),
        negative_prompt=fields.text(NEGATIVE) if NEGATIVE in fields.values else None,
        shape=None if shape == DEFAULT_SHAPE else (name, value),
        count=int(_chosen(fields, COUNT, counts_of(spec), str(job.request.count))),
        new_seed=NEW_SEED in switches,
        expand=EXPAND in switches,
    )


def _chosen(fields: Fields, name: str, offered: Mapping[str, str], default: str) -> str:
    """Return the chosen value of a select; ValueUnknown if that is not offered any more."""
    given = next(iter(fields.chosen(name)), default)
    value = pick(given, offered)
    if value is None:
        raise ValueUnknown(given)
    return value


def address_of(message: discord.Message | None, picture: Picture, number: int) -> str:
    """Return Discord's address of a picture in the message that shows it; "" for a reduced copy.

    The addresses of a message are new with each interaction, and valid for about a day.
    """
    shown = pictures_in(message) if message is not None else []
    if number > len(shown):
        return ""
    each = shown[number - 1]
    same = (each.width, each.height) == (picture.width, picture.height)
    return each.url if same and each.name.endswith(f"-{number}.{picture.kind}") else ""
