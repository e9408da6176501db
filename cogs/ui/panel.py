"""Building blocks of the views: texts and pictures in a frame."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import discord
from discord import ui

from bot.jobs import Job
from cogs.ui.text import plain, shorten

BLUE = discord.Colour(0x5B6EE1)
AMBER = discord.Colour(0xE0A83C)


def panel(*parts: str | ui.Item[Any], colour: discord.Colour = BLUE) -> ui.LayoutView:
    """Return a view of texts and components, one below the other in a frame."""
    children = [ui.TextDisplay[Any](part) if isinstance(part, str) else part for part in parts]
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container[Any](*children, accent_colour=colour))
    return view


def notice(text: str) -> ui.LayoutView:
    """Return the view of a refusal or an error."""
    return panel(text, colour=AMBER)


def gallery(job: Job, file_names: Sequence[str]) -> list[ui.MediaGallery[Any]]:
    """Return uploaded pictures with the prompt as their alt text; an empty list for no files."""
    alt_text = shorten(job.request.prompt, 1024)  # Discord's limit of a description
    items = [
        discord.MediaGalleryItem(f"attachment://{name}", description=alt_text)
        for name in file_names
    ]
    return [ui.MediaGallery[Any](*items)] if items else []


def quoted(job: Job) -> str:
    """Return the prompt as a quotation that its own characters cannot end."""
    return f"> {plain(job.request.prompt, 1200)}"  # all texts of a message have 4000 characters


def small(*facts: str) -> str:
    """Return one line of small print."""
    return "-# " + " · ".join(facts)


def ago(moment: datetime) -> str:
    """Return a time that Discord shows relative to the reader's clock."""
    return f"<t:{int(moment.timestamp())}:R>"
