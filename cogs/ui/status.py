"""The status message of a job that waits, and the messages about a cancel."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import discord
from discord import ui

from bot.catalog import ModelSpec
from bot.delivery import PLACES, UNKNOWN, Receipt, Usual, Wait
from bot.jobs import Job, JobStatus
from cogs.delivery.uploads import Uploads
from cogs.ui.numbers import credits_in
from cogs.ui.panel import PersistentItem, ago, cancel_id, gallery, panel, quoted, small
from cogs.ui.receipts import left_in, released
from cogs.ui.wording import STATES, Ended, Fact, Status, plural

SHORT = timedelta(minutes=2)  # longer times are shown in minutes


def status_view(
    job: Job,
    spec: ModelSpec,
    *,
    lacking: Sequence[str] = (),
    down: bool = False,
    wait: Wait = UNKNOWN,
) -> ui.LayoutView:
    """Return the status message of a job that is not delivered.

    `lacking` are the permissions without which the bot cannot post the result as a message;
    `down` is true while the service does not work. `wait` is the knowledge about the rest of the
    wait. The button is left out once a cancel was
    requested, or the job is settled.
    """
    view = panel(*_texts(job, spec, wait, lacking=lacking, down=down))
    if not job.cancel_requested_at and not job.status.settled:
        view.add_item(_cancel_row(job))
    return view


def copies_view(job: Job, spec: ModelSpec, inputs: Uploads) -> ui.LayoutView:
    """Return the private message with copies of the input pictures, for the service to download."""
    alt_text = Status.COPY_ALT_TEXT.format(prompt=job.request.prompt)
    return panel(Status.COPIES.format(service=spec.service), *gallery(alt_text, inputs.names))


def cancel_view(job: Job, spec: ModelSpec) -> ui.LayoutView:
    """Return the private reply to `/cancel`."""
    text = Status.CANCELED if job.status.settled else Status.CANCELING
    return panel(text.format(prompt=quoted(job), released=released(job, spec, Receipt())))


def canceled_view(job: Job, spec: ModelSpec, receipt: Receipt) -> ui.LayoutView:
    """Return the final status message of a canceled job."""
    text = Status.CANCELED if job.canceled_by is None else Status.CANCELED_BY_MODERATOR
    text = text.format(
        prompt=quoted(job), member=f"<@{job.user_id}>", released=released(job, spec, receipt)
    )
    return panel(text, small(*left_in(receipt, job), f"job {job.id}"))


def elsewhere_view(job: Job, text: str) -> ui.LayoutView:
    """Return the last status message of a job whose result is in another message."""
    return panel(text.format(member=f"<@{job.user_id}>", job=job.id), small(f"job {job.id}"))


def undelivered_view(job: Job) -> ui.LayoutView:
    """Return the last status message of a job whose result no destination accepts.

    Without the prompt, which may be the reason of the refusals.
    """
    failed = job.status is JobStatus.FAILED and not job.overdue_at
    return elsewhere_view(job, Ended.FAILED if failed else Ended.UNDELIVERABLE)


def _texts(
    job: Job, spec: ModelSpec, wait: Wait, *, lacking: Sequence[str], down: bool
) -> Iterator[str]:
    state = Status.FINAL_STATE if job.final_status_sent else STATES[job.status]
    yield Status.HEADING.format(
        state=Status.CANCELING_STATE if job.cancel_requested_at else state,
        time=ago(job.running_at or job.created_at),
        prompt=quoted(job),
    )
    yield small(*_facts(job, spec))
    if down and job.status in {JobStatus.QUEUED, JobStatus.SUBMITTING}:
        yield Status.DOWN.format(service=spec.service)
    elif not job.final_status_sent and not job.cancel_requested_at:
        yield from _wait(job, wait)
    if job.final_status_sent:
        yield Status.FINAL
    elif not job.route.postable and not job.route.private:
        if lacking:
            yield Status.CANNOT_POST_LACKING.format(permissions=", ".join(lacking))
        else:
            yield Status.CANNOT_POST


def _wait(job: Job, wait: Wait) -> Iterator[str]:
    """Yield the place in the queue, or the usual time of a running job."""
    if job.status is JobStatus.QUEUED and wait.place is not None:
        yield _place(wait.place)
    elif job.status is JobStatus.RUNNING and job.slow_shown:
        yield Status.SLOW
    elif job.status is JobStatus.RUNNING and wait.usual is not None:
        yield small(usual_text(wait.usual))


def _place(place: int) -> str:
    if place > PLACES:
        return Status.BEHIND.format(count=PLACES)
    ahead = plural(Status.AHEAD, place - 1) if place > 1 else Status.NONE_AHEAD
    return Status.PLACE.format(place=place, ahead=ahead)


def usual_text(usual: Usual) -> str:
    """Return a range of whole seconds, or of minutes; one figure if both ends are the same."""
    in_seconds = usual.most < SHORT
    texts = Status.USUAL_SECONDS if in_seconds else Status.USUAL_MINUTES
    unit = timedelta(seconds=1) if in_seconds else timedelta(minutes=1)
    first = max(round(usual.median / unit), 1)
    last = max(math.ceil(usual.most / unit), first)
    return (texts.one if first == last else texts.many).format(first=first, last=last)


def _facts(job: Job, spec: ModelSpec) -> Iterator[str]:
    yield plural(Fact.PICTURES, job.request.count)
    yield Fact.CHOSEN_MODEL.format(model=spec.title) if job.model_auto else spec.title
    if job.inputs:
        yield plural(Fact.INPUTS, len(job.inputs))
    yield credits_in(job.price, job.locale)


def _cancel_row(job: Job) -> ui.ActionRow[Any]:
    button = ui.Button[Any](
        label=Status.CANCEL_BUTTON,
        style=discord.ButtonStyle.secondary,
        custom_id=cancel_id(job.id),
    )
    return ui.ActionRow(PersistentItem(button))
