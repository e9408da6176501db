"""The private menu behind the button *More*, and its pages."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import discord
from discord import ui

from bot.catalog import ModelSpec
from bot.jobs import JOB_ID_PATTERN, Job
from bot.studio.menu import Lineage, Menu
from cogs.delivery.originals import Numbered
from cogs.delivery.uploads import Uploads, file_name
from cogs.ui.links import result_link
from cogs.ui.panel import PREFIX, action_row, ago, button, panel, prompt_of, quoted, small
from cogs.ui.result import result_gallery
from cogs.ui.text import mention, plain, shorten
from cogs.ui.wording import Deletion, Lineages, More, plural

JOB = rf"(?P<job>{JOB_ID_PATTERN})"
MENU = re.compile(rf"{PREFIX}menu:{JOB}")
RECIPE = re.compile(rf"{PREFIX}recipe:{JOB}")
ORIGINALS = re.compile(rf"{PREFIX}originals:{JOB}")
FAVOURITE = re.compile(rf"{PREFIX}favourite:{JOB}:(?P<on>on|off)")
SPOILER = re.compile(rf"{PREFIX}spoiler:{JOB}:(?P<on>on|off)")
LINEAGE = re.compile(rf"{PREFIX}lineage:{JOB}")
THREAD = re.compile(rf"{PREFIX}thread:{JOB}")
EXPANDED = re.compile(rf"{PREFIX}expanded:{JOB}")
DELETE = re.compile(rf"{PREFIX}delete:{JOB}")
DELETE_SURELY = re.compile(rf"{PREFIX}delete:{JOB}:yes")
# About the width of a row in a window of 360 px, and of a button without its label.
ROW_WIDTH, BUTTON_WIDTH, LETTER_WIDTH = 290, 32, 7  # px
LINE = 50  # characters of a prompt in a list
LONGEST_LIST = 3800  # characters; all texts of a message have 4,000
THREAD_NAME = 100  # characters of a thread's name, at most


def menu_view(menu: Menu, spec: ModelSpec, *, posted: bool, thread: bool) -> ui.LayoutView:
    """Return the menu.

    `posted` is true if the result has been posted, `thread` where a thread can be opened at it.
    """
    job = menu.job
    view = panel(
        More.HEADING.format(prompt=quoted(job)),
        *([More.DELETED] if job.hidden_at else ()),
        small(spec.title, f"job {job.id}"),
    )
    for row in _rows(_buttons(menu, posted=posted, thread=thread)):
        view.add_item(action_row(*row))
    return view


def originals_view(job: Job, uploads: Uploads) -> ui.LayoutView:
    """Return a private message with original pictures."""
    text = plural(More.SHOWN_ORIGINALS, len(uploads.names))
    return panel(text, *result_gallery(job, uploads), small(f"job {job.id}"))


def left_out_view(job: Job, left_out: Sequence[Numbered], *, gone: int) -> ui.LayoutView:
    """Return the message that names the originals which no message has."""
    remarks = [plural(More.REMOVED, gone)] if gone else []
    if left_out:
        files = ", ".join(_file(job, each) for each in left_out)
        remarks.append(More.TOO_LARGE.format(files=files))
    return panel(*remarks, small(f"job {job.id}"))


def lineage_view(lineage: Lineage) -> ui.LayoutView:
    """Return the jobs that a job was made from, the first one above, and those made from it."""
    below = [_line(lineage.job, this=True)]
    if lineage.children:
        below += [Lineages.MADE_OF_IT, *(_line(each) for each in lineage.children)]
    left = LONGEST_LIST - sum(len(line) + 1 for line in below)
    view = panel("\n".join([Lineages.HEADING, *_ancestors(lineage, left), *below]))
    buttons = [button(More.MENU, f"menu:{lineage.job.id}")]
    if lineage.parent is not None:
        buttons.insert(0, button(More.PARENT, f"menu:{lineage.parent.id}"))
    view.add_item(action_row(*buttons))
    return view


def delete_view(job: Job) -> ui.LayoutView:
    """Return the question before a result is deleted."""
    view = panel(Deletion.QUESTION.format(prompt=quoted(job)))
    danger = discord.ButtonStyle.danger
    view.add_item(
        action_row(
            button(Deletion.CONFIRM, f"delete:{job.id}:yes", danger),
            button(Deletion.KEEP, f"menu:{job.id}"),
        )
    )
    return view


def deleted_view(job: Job) -> ui.LayoutView:
    return panel(Deletion.DONE.format(job=job.id))


def thread_view(job: Job, thread_id: int, *, new: bool) -> ui.LayoutView:
    """Return the link to the thread at a result."""
    text = More.THREAD_OPENED if new else More.THREAD_EXISTS
    view = panel(text.format(link=f"<#{thread_id}>"))
    view.add_item(back_row(job))
    return view


def back_row(job: Job) -> ui.ActionRow[Any]:
    """Return the button of a page that leads back to the menu."""
    return action_row(button(More.MENU, f"menu:{job.id}"))


def thread_name(job: Job) -> str:
    """Return the name of a thread: the beginning of the prompt."""
    return shorten(job.request.prompt, THREAD_NAME) or More.THREAD_NAME.format(job=job.id)


def _buttons(menu: Menu, *, posted: bool, thread: bool) -> Iterator[ui.Button[Any]]:
    job = menu.job
    undelivered = job.delivered_at is not None and job.result_message_id is None
    shown = posted and not undelivered and job.hidden_at is None
    yield button(More.RECIPE, f"recipe:{job.id}")
    yield button(More.ORIGINALS, f"originals:{job.id}")
    yield button(More.LINEAGE, f"lineage:{job.id}")
    yield _switch(More.FAVOURITE, More.NO_FAVOURITE, f"favourite:{job.id}", on=menu.favourite)
    if shown and menu.may_change:
        yield _switch(More.SPOILER, More.NO_SPOILER, f"spoiler:{job.id}", on=job.spoiler)
    if thread:
        yield button(More.THREAD, f"thread:{job.id}")
    if job.expanded_prompt:
        yield button(More.EXPANDED, f"expanded:{job.id}")
    if job.hidden_at is None and menu.may_change and posted:
        yield button(More.DELETE, f"delete:{job.id}", discord.ButtonStyle.danger)


def _rows(buttons: Iterable[ui.Button[Any]]) -> Iterator[list[ui.Button[Any]]]:
    """Yield as many buttons together as fit side by side on a phone."""
    row: list[ui.Button[Any]] = []
    left = ROW_WIDTH
    for each in buttons:
        width = BUTTON_WIDTH + LETTER_WIDTH * len(each.label or "")
        if row and width > left:
            yield row
            row, left = [], ROW_WIDTH
        row.append(each)
        left -= width
    yield row


def _switch(on_label: str, off_label: str, name: str, *, on: bool) -> ui.Button[Any]:
    """Return a button whose custom_id names the wanted state, so that two presses do the same."""
    return button(off_label, f"{name}:off") if on else button(on_label, f"{name}:on")


def _ancestors(lineage: Lineage, left: int) -> list[str]:
    """Return the lines of the nearest ancestors that fit into so many characters, oldest first."""
    if not lineage.ancestors:
        return [Lineages.NOTHING]
    left -= sum(len(line) + 1 for line in (Lineages.HEADING, Lineages.MADE_FROM, Lineages.CUT))
    lines: list[str] = []
    for each in lineage.ancestors:
        line = Lineages.HIDDEN if each is None else _line(each)
        left -= len(line) + 1
        if left < 0:
            break
        lines.insert(0, line)
    cut = lineage.cut or len(lines) < len(lineage.ancestors)
    return [Lineages.MADE_FROM, *([Lineages.CUT] if cut else ()), *lines]


def _line(job: Job, *, this: bool = False) -> str:
    link = None if job.hidden_at else result_link(job)
    text = Lineages.THIS if this else Lineages.LINKED_PICTURE if link else Lineages.PICTURE
    return text.format(
        prompt=plain(prompt_of(job), LINE) or job.id,
        link=link,
        member=mention(job.user_id),
        time=ago(job.created_at),
    )


def _file(job: Job, each: Numbered) -> str:
    name = file_name(job, each.number, each.picture)
    return More.FILE.format(name=name, size=f"{each.picture.size / 1_000_000:.1f}")
