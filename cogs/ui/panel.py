"""Building blocks of views: panels of text, and items that work after any restart."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

import discord
from discord import ui

from bot.jobs import JOB_ID_PATTERN, Job
from bot.pseudonyms import is_pseudonym
from cogs.ui.text import plain, shorten
from cogs.ui.wording import RemovedPrompt

BLUE = discord.Colour(0x5B6EE1)
AMBER = discord.Colour(0xE0A83C)
MAX_CHOICES = 25  # of a select or a completion: Discord shows no more


def panel(*parts: str | ui.Item[Any], colour: discord.Colour = BLUE) -> ui.LayoutView:
    """Return a view of texts and components, one below the other in a frame."""
    children = [ui.TextDisplay[Any](part) if isinstance(part, str) else part for part in parts]
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container[Any](*children, accent_colour=colour))
    view.stop()  # discord.py would store each private one for 15 minutes; see PersistentItem
    return view


def notice(text: str) -> ui.LayoutView:
    """Return the view of a refusal or an error."""
    return panel(text, colour=AMBER)


def gallery(
    alt_text: str, file_names: Sequence[str], *, spoiler: bool = False
) -> list[ui.MediaGallery[Any]]:
    """Return uploaded pictures with their alt text; an empty list for no files.

    With `spoiler`, they are hidden until a click.
    """
    alt_text = shorten(alt_text, 1024)  # Discord's limit of a description
    items = [
        discord.MediaGalleryItem(f"attachment://{name}", description=alt_text, spoiler=spoiler)
        for name in file_names
    ]
    return [ui.MediaGallery[Any](*items)] if items else []


QUOTED = 350  # characters of a prompt: a dozen lines on a phone, above the picture
QUOTED_ALONE = 1200  # where the prompt is the subject: all texts of a message have 4000


def prompt_of(job: Job) -> str:
    """Return the prompt; of a removed one, the words that say who has removed it."""
    if not job.prompt_removed:
        return job.request.prompt
    by_member = is_pseudonym(job.user_id)
    return RemovedPrompt.BY_MEMBER if by_member else RemovedPrompt.BY_OPERATOR


def quoted(job: Job, limit: int = QUOTED) -> str:
    """Return the prompt as a quotation that its own characters cannot end."""
    if job.prompt_removed:
        return small(prompt_of(job))
    return f"> {plain(job.request.prompt, limit)}"


def hide_prompt(job: Job, instead: str) -> Job:
    """Return the job with another text in place of the prompt, for its messages."""
    return replace(job, request=replace(job.request, prompt=instead))


def small(*facts: str) -> str:
    """Return one line of small print."""
    return "-# " + " · ".join(facts)


def ago(moment: datetime) -> str:
    """Return a time that Discord shows relative to the reader's clock."""
    return f"<t:{int(moment.timestamp())}:R>"


PREFIX = "easel:"  # of every custom_id of ours
CANCEL = re.compile(rf"easel:cancel:(?P<job>{JOB_ID_PATTERN})")
HISTORY = re.compile("easel:history")


class PersistentItem(ui.DynamicItem[ui.Item[Any]], template=rf"(?s:{PREFIX}.*)"):
    """A button or select of ours.

    Every item of every view has to be one. discord.py forgets a DynamicItem as soon as a view that
    also holds an ordinary item ends, and stores each view that holds one in memory.

    Nothing happens here: EaselClient.on_interaction passes each press to cogs.buttons.
    """

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(item)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Leave the press to cogs.buttons."""


def button(
    label: str, name: str, style: discord.ButtonStyle = discord.ButtonStyle.secondary
) -> ui.Button[Any]:
    """Return a button with the custom_id PREFIX and `name`, for `action_row`."""
    return ui.Button(label=label, style=style, custom_id=f"{PREFIX}{name}")


def action_row(*items: ui.Item[Any]) -> ui.ActionRow[Any]:
    """Return a row of buttons, or of a select, which work after any restart."""
    return ui.ActionRow(*(PersistentItem(each) for each in items))


def cancel_id(job_id: str) -> str:
    """Return the custom_id of a button that only the status message of this job has."""
    return f"easel:cancel:{job_id}"
