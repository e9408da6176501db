"""The row of buttons under a result. They work for years: a custom_id names the job, no more."""

import re
from typing import Any

from discord import ui

from bot.jobs import JOB_ID_PATTERN, Job
from cogs.ui.panel import PREFIX, action_row, button
from cogs.ui.wording import Actions

JOB = rf"(?P<job>{JOB_ID_PATTERN})"
AGAIN = re.compile(rf"{PREFIX}again:{JOB}")
REMIX = re.compile(rf"{PREFIX}remix:{JOB}")
EDIT = re.compile(rf"{PREFIX}edit:{JOB}")
MORE = re.compile(rf"{PREFIX}more:{JOB}")


def action_id(verb: str, job_id: str) -> str:
    """Return the custom_id of a button, or of the form that a button opens."""
    return f"{PREFIX}{verb}:{job_id}"


def result_row(job: Job) -> ui.ActionRow[Any]:
    """Return the buttons under a result: in one line also on a phone of 360 px."""
    return action_row(
        _button(Actions.AGAIN, "again", job),
        _button(Actions.REMIX, "remix", job),
        _button(Actions.EDIT, "edit", job),
        _button(Actions.MORE, "more", job),
    )


def failed_row(job: Job) -> ui.ActionRow[Any]:
    """Return the buttons under a failure, which has no picture to edit."""
    return action_row(_button(Actions.AGAIN, "again", job), _button(Actions.REMIX, "remix", job))


def _button(label: str, verb: str, job: Job) -> ui.Button[Any]:
    return button(label, f"{verb}:{job.id}")
