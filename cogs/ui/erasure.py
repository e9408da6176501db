"""The private messages of `/mydata delete`."""

import re
from typing import Any

import discord
from discord import ui

from bot.store.erasure import Erasure
from bot.studio.erasure import Stored
from cogs.ui.panel import PREFIX, PersistentItem, panel
from cogs.ui.wording import Erasing, plural

CONFIRM = re.compile(rf"{PREFIX}erase:(?P<what>data|results)")
KEEP = re.compile(rf"{PREFIX}erase:keep")
REFRESH = re.compile(rf"{PREFIX}erase:progress")


def question_view(stored: Stored) -> ui.LayoutView:
    """Return what would be deleted, with the buttons that decide."""
    view = panel(
        Erasing.QUESTION.format(jobs=plural(Erasing.JOBS, stored.jobs)),
        *([plural(Erasing.ACTIVE, stored.active)] if stored.active else ()),
        Erasing.POSTED,
    )
    danger = discord.ButtonStyle.danger
    view.add_item(
        _row(
            _button(Erasing.CONFIRM, "data", danger),
            _button(Erasing.CONFIRM_ALL, "results", danger),
        )
    )
    view.add_item(_row(_button(Erasing.KEEP, "keep")))
    return view


def progress_view(erasure: Erasure | None) -> ui.LayoutView:
    """Return how far a deletion has come; None if it has ended."""
    if erasure is None:
        return panel(Erasing.DONE)
    view = panel(
        Erasing.PROGRESS.format(erased=erasure.erased, jobs=plural(Erasing.JOBS, erasure.total))
    )
    view.add_item(_row(_button(Erasing.REFRESH, "progress")))
    return view


def kept_view() -> ui.LayoutView:
    return panel(Erasing.KEPT)


def _button(
    label: str, name: str, style: discord.ButtonStyle = discord.ButtonStyle.secondary
) -> ui.Button[Any]:
    return ui.Button(label=label, style=style, custom_id=f"{PREFIX}erase:{name}")


def _row(*buttons: ui.Button[Any]) -> ui.ActionRow[Any]:
    return ui.ActionRow(*(PersistentItem(each) for each in buttons))
