"""Buttons and selects that work after any restart, since their custom_ids carry all they need."""

import re
from typing import Any, Self

import discord
from discord import ui

from bot.jobs import JOB_ID_PATTERN

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


def cancel_id(job_id: str) -> str:
    """Return the custom_id of a button that only the status message of this job has."""
    return f"easel:cancel:{job_id}"
