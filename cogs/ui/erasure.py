"""The private messages of `/mydata delete`."""

import re

import discord
from discord import ui

from bot.store.erasure_requests import Erasure
from bot.studio.erasure import Stored
from cogs.ui.panel import PREFIX, action_row, button, panel
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
        action_row(
            button(Erasing.CONFIRM, "erase:data", danger),
            button(Erasing.CONFIRM_ALL, "erase:results", danger),
        )
    )
    view.add_item(action_row(button(Erasing.KEEP, "erase:keep")))
    return view


def progress_view(erasure: Erasure | None) -> ui.LayoutView:
    """Return how far a deletion has come; None if it has ended."""
    if erasure is None:
        return panel(Erasing.DONE)
    view = panel(
        Erasing.PROGRESS.format(erased=erasure.erased, jobs=plural(Erasing.JOBS, erasure.total))
    )
    view.add_item(action_row(button(Erasing.REFRESH, "erase:progress")))
    return view


def kept_view() -> ui.LayoutView:
    return panel(Erasing.KEPT)
