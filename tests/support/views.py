"""Views and forms as Discord gets them, and jobs to make them of, without starting Easel."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import discord
from discord import ui

from bot.jobs import GenerationRequest, Job, JobStatus, Option, Route
from cogs.delivery.uploads import Upload, Uploads
from cogs.ui.panel import AMBER, BLUE
from tests.support.rows import NOW

ID = "aaaaaaaaaaaaaaaa"
SECONDS = int(NOW.timestamp())
ROUTE = Route(20, 10, 30, None, NOW, guild_id=10)
JOB = Job(ID, JobStatus.QUEUED, 1, ROUTE, GenerationRequest("oxen", "a fox"), "oxen", 7500, NOW)
DONE = replace(
    JOB,
    status=JobStatus.SUCCEEDED,
    settled_at=NOW + timedelta(seconds=42),
    cost=7500,
    delivered_at=NOW + timedelta(seconds=43),
    result_message_id=50,
    result_channel_id=20,
)
DONE_AT = SECONDS + 42


class Button(NamedTuple):
    label: str
    custom_id: str
    style: discord.ButtonStyle = discord.ButtonStyle.secondary
    disabled: bool = False


def with_options(job: Job, **options: Option) -> Job:
    return replace(job, request=replace(job.request, options=options))


def with_prompt(job: Job, prompt: str) -> Job:
    return replace(job, request=replace(job.request, prompt=prompt))


def uploads(number: int, *, shrunk: bool = False, left_out: int = 0, gone: int = 0) -> Uploads:
    files = tuple(Upload(f"{each}.png", Path(), 1) for each in range(1, number + 1))
    return Uploads(files, shrunk=shrunk, left_out=left_out, gone=gone)


def texts_of(view: ui.LayoutView) -> list[str]:
    """Return the texts of a view, from above."""
    return [each.content for each in view.walk_children() if isinstance(each, ui.TextDisplay)]


def text_of(view: ui.LayoutView) -> str:
    return "\n".join(texts_of(view))


def rows_of(view: ui.LayoutView) -> list[list[Button]]:
    """Return the buttons of each row that has any."""
    rows = [
        [
            Button(each["label"], each["custom_id"], style_of(each), each["disabled"])
            for each in row["components"]
            if each["type"] == discord.ComponentType.button.value
        ]
        for row in components_of(view)
        if row["type"] == discord.ComponentType.action_row.value
    ]
    return [row for row in rows if row]


def style_of(component: dict[str, Any]) -> discord.ButtonStyle:
    return discord.ButtonStyle(component["style"])


def selects_of(view: ui.LayoutView) -> dict[str, dict[str, Any]]:
    """Return the selects of a view, by their custom_ids."""
    found = [
        each
        for row in components_of(view)
        if row["type"] == discord.ComponentType.action_row.value
        for each in row["components"]
        if each["type"] != discord.ComponentType.button.value
    ]
    return {each["custom_id"]: each for each in found}


def components_of(view: ui.LayoutView) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = view.to_components()  # type: ignore[no-untyped-call]
    return made


def chosen(field: dict[str, Any]) -> list[str]:
    """Return the values that are selected when a form opens."""
    return [each["value"] for each in field["options"] if each["default"]]


def media_of(view: ui.LayoutView) -> Sequence[tuple[str, str | None, bool]]:
    """Return the address, the alt text and the spoiler of each picture in a gallery."""
    return [
        (item.media.url, item.description, item.spoiler)
        for each in view.walk_children()
        if isinstance(each, ui.MediaGallery)
        for item in each.items
    ]


def is_amber(view: ui.LayoutView) -> bool:
    """Return whether the frame has the colour of what went wrong."""
    (colour,) = {each.accent_colour for each in view.children if isinstance(each, ui.Container)}
    assert colour in {AMBER, BLUE}
    return colour == AMBER
