"""What members see: jobs, lists and answers as components. Pure; the wording is here."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

import discord
from discord import ui

from bot.catalog import ModelSpec
from bot.errors import Reason
from bot.jobs import Job, JobStatus, Picture
from bot.ledger import credits_text
from cogs.ui.text import plain, shorten

ACCENT = discord.Colour(0x5B6EE1)
AMBER = discord.Colour(0xE0A83C)
PROMPT_SHOWN = 1200  # characters of a prompt in a message; all texts together have 4000
ALT_TEXT = 1024

FAILURES = {
    Reason.AUTH: "{service} does not accept this bot's key. Tell the people who run the bot.",
    Reason.CREDITS: "The bot's account at {service} is empty. Tell the people who run the bot.",
    Reason.REJECTED: "{service} refused this prompt or picture. Put it another way and try again.",
    Reason.INVALID: "{service} could not work with these options. Change them and try again.",
    Reason.INPUT: "An input picture could not be handed to {service}. Attach it again.",
    Reason.NOT_FOUND: "{service} does not know this job or its model. Please ask again; "
    "if that fails too, tell the people who run the bot.",
    Reason.RATE_LIMITED: "{service} is too busy at the moment. Try again in a few minutes.",
    Reason.UNAVAILABLE: "{service} cannot be reached at the moment. Try again in a few minutes.",
    Reason.TIMEOUT: "{service} did not finish in time. Try again, or ask for fewer pictures.",
    Reason.MALFORMED: "{service} sent an answer that cannot be read. Please try again.",
    Reason.AWAY: "I was away when this was to begin, so it was not drawn. Please ask again.",
    Reason.DOUBTFUL: "The connection to {service} broke while asking. Please ask again.",
    Reason.NO_PICTURE: "{service} finished without a picture. Please try again.",
    Reason.UNKNOWN: "{service} could not make this picture. Please try again.",
}
DOWN = (
    "{service} does not work at the moment. This goes on by itself when it does; after half an "
    "hour it is given up, and costs nothing."
)
BEFORE = {JobStatus.QUEUED, JobStatus.SUBMITTING}
NOT_CHARGED = "You were not charged."

STATES = {
    JobStatus.QUEUED: "Queued",
    JobStatus.SUBMITTING: "Starting",
    JobStatus.RUNNING: "Drawing",
    JobStatus.SUCCEEDED: "Done",
    JobStatus.FAILED: "Failed",
    JobStatus.CANCELED: "Canceled",
}


def panel(*texts: str, colour: discord.Colour = ACCENT) -> ui.LayoutView:
    """Texts under one another in a frame."""
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(*(ui.TextDisplay(text) for text in texts), accent_colour=colour))
    return view


def waiting_view(
    job: Job,
    spec: ModelSpec,
    *,
    lacking: Sequence[str] = (),
    down: bool = False,
    inputs: "Shown | None" = None,
) -> ui.LayoutView:
    """A job that is not settled: what was asked and its state.

    `lacking` are the permissions without which the result cannot be a message of its own;
    `down` tells that the service does not work at the moment;
    `inputs` are copies of its input pictures that are uploaded beside it.
    """
    pictures = "1 picture" if job.request.count == 1 else f"{job.request.count} pictures"
    since = job.running_at or job.created_at
    doing = STATES[job.status] if not job.cancel_requested_at else "Canceling"
    by = f"{spec.title} (chosen for you)" if job.model_auto else spec.title
    texts = [
        f"**{doing}** {ago(since)}\n{quoted(job)}",
        small(f"{pictures} by {by}", *_sources(job), f"{credits_text(job.price)} credits"),
        *((DOWN.format(service=spec.service),) if down and job.status in BEFORE else ()),
        *_hints(job, lacking),
    ]
    view = ui.LayoutView(timeout=None)
    view.add_item(
        ui.Container(
            *(ui.TextDisplay(text) for text in texts),
            *(_gallery(job, inputs) if inputs else ()),
            accent_colour=ACCENT,
        )
    )
    return view


def _hints(job: Job, lacking: Sequence[str]) -> Iterable[str]:
    if job.final_status_sent:
        yield "Taking longer. I will send it by direct message, or see /history."
    elif not job.route.postable and not job.route.private:
        lack = f" I lack: {', '.join(lacking)}." if lacking else ""
        yield f"I may not post here, so the result will replace this message.{lack}"


def _sources(job: Job) -> Iterable[str]:
    """How many pictures it is made from."""
    if job.inputs:
        yield "from 1 picture" if len(job.inputs) == 1 else f"from {len(job.inputs)} pictures"


def cancel_view(job: Job) -> ui.LayoutView:
    """The private answer to a wish to cancel."""
    if job.status.settled:
        return panel(f"**Canceled.** {NOT_CHARGED}\n{quoted(job)}")
    return panel(f"**Canceling.** It is stopped as soon as its service allows.\n{quoted(job)}")


def canceled_view(job: Job) -> ui.LayoutView:
    return panel(f"**Canceled.** {NOT_CHARGED}\n{quoted(job)}", small(f"job {job.id}"))


def failed_view(job: Job, spec: ModelSpec) -> ui.LayoutView:
    """One sentence of what happened and what to do."""
    return panel(
        f"<@{job.user_id}> {why_failed(job, spec)} {NOT_CHARGED}\n{quoted(job)}",
        small(spec.title, mark(job)),
        colour=AMBER,
    )


def why_failed(job: Job, spec: ModelSpec) -> str:
    """One sentence: what happened, and what to do."""
    return job.remark or FAILURES[job.reason or Reason.UNKNOWN].format(service=spec.service)


def result_view(job: Job, spec: ModelSpec, shown: "Shown", *, missing: int = 0) -> ui.LayoutView:
    """The pictures, uploaded beside it, and how they came about; `missing` were not made."""
    remarks = []
    if job.overdue_at:
        remarks.append(f"{spec.service} finished this after it had been given up. It is charged.")
    elif missing:
        made = job.request.count - missing
        remarks.append(f"{spec.service} made {made} of {job.request.count} pictures.")
    remarks += _upload_remarks(shown)
    view = ui.LayoutView(timeout=None)
    view.add_item(
        ui.Container(
            ui.TextDisplay(f"<@{job.user_id}>\n{quoted(job)}"),
            *_gallery(job, shown),
            *(ui.TextDisplay(remark) for remark in remarks),
            ui.TextDisplay(small(*_facts(job, spec), *(() if shown.names else (mark(job),)))),
            accent_colour=ACCENT,
        )
    )
    return view


def job_view(job: Job, spec: ModelSpec, shown: "Shown") -> ui.LayoutView:
    """All about one job, for its member alone."""
    options = " · ".join(f"{name} {plain(str(of), 80)}" for name, of in job.request.options.items())
    told = [f"**{STATES[job.status]}** {ago(job.settled_at or job.created_at)}\n{quoted(job)}"]
    if job.status is JobStatus.FAILED:
        told.append(why_failed(job, spec))
    told += _undelivered(job)
    if options:
        told.append(options)
    view = ui.LayoutView(timeout=None)
    view.add_item(
        ui.Container(
            *(ui.TextDisplay(text) for text in told),
            *_gallery(job, shown),
            *(ui.TextDisplay(remark) for remark in _upload_remarks(shown)),
            ui.TextDisplay(small(*_facts(job, spec), f"job {job.id}")),
            accent_colour=ACCENT,
        )
    )
    return view


def _undelivered(job: Job) -> Iterable[str]:
    """Why its member has not seen how it ended, but for a cancel, which was their own wish."""
    if not job.delivery_error or job.status is JobStatus.CANCELED:
        return
    if job.delivered_at is None:
        yield "It is not posted yet: Discord does not take it at the moment. It is tried again."
    elif job.result_message_id is None:
        yield f"It could not be posted, and is kept here. {plain(job.delivery_error, 500)}."


def job_choice(job: Job) -> str:
    """A job in a list to choose from: the start of its prompt."""
    return shorten(f"{STATES[job.status]}: {job.request.prompt}", 100)


def answer_view(text: str) -> ui.LayoutView:
    """A refusal, or a short word to one member."""
    return panel(text, colour=AMBER)


def quoted(job: Job) -> str:
    """The prompt as a quotation that cannot break out of it."""
    return f"> {plain(job.request.prompt, PROMPT_SHOWN)}"


def file_name(job: Job, position: int, picture: Picture, *, name: str = "") -> str:
    """ASCII, with the job's id: a search of the channel finds the result by it."""
    return f"easel-{job.id}-{name and f'{name}-'}{position}.{picture.kind}"


def mark(job: Job) -> str:
    """The end of the small line of a result without pictures: by it, too, the result is found.

    Late pictures follow a message of failure, which they are told from.
    """
    return f"late, job {job.id}" if job.overdue_at else f"job {job.id}"


class Shown(Protocol):
    """Pictures that are uploaded beside a message (cogs.delivery.uploads)."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def shrunk(self) -> bool: ...
    @property
    def left_out(self) -> int: ...
    @property
    def gone(self) -> int: ...


def _gallery(job: Job, shown: "Shown") -> Iterable[ui.MediaGallery[ui.LayoutView]]:
    alt = shorten(job.request.prompt, ALT_TEXT)
    items = [
        discord.MediaGalleryItem(f"attachment://{name}", description=alt) for name in shown.names
    ]
    return (ui.MediaGallery(*items),) if items else ()


def _upload_remarks(shown: "Shown") -> Iterable[str]:
    if shown.gone:
        yield (
            "Its pictures are no longer kept."
            if not shown.names
            else (f"{shown.gone} of its pictures are no longer kept.")
        )
    if shown.left_out:
        yield f"{shown.left_out} could not be uploaded here."
    if shown.shrunk and shown.names:
        yield "Shrunk to what may be uploaded here; the original is kept."


def _facts(job: Job, spec: ModelSpec) -> Iterable[str]:
    yield spec.title
    yield from _sources(job)
    if "seed" in job.request.options:
        yield f"seed {job.request.options['seed']}"
    if job.settled_at is not None:
        yield f"{round((job.settled_at - job.created_at).total_seconds())} s"
    if job.cost is not None:
        yield f"{'about ' if job.estimated else ''}{credits_text(job.cost)} credits"


def ago(moment: datetime) -> str:
    return f"<t:{int(moment.timestamp())}:R>"


def small(*facts: str) -> str:
    return "-# " + " · ".join(facts)
