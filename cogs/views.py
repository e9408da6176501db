"""What members see: jobs, lists and answers as components. Pure; the wording is here."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

import discord
from discord import ui

from bot.catalog import Catalog, Choice, Flag, ModelSpec, OptionSpec, Text, Whole
from bot.errors import Reason
from bot.jobs import Job, JobStatus, Picture
from bot.ledger import Usage, credits_text
from cogs.text import plain, shorten

ACCENT = discord.Colour(0x5B6EE1)
AMBER = discord.Colour(0xE0A83C)
PROMPT_SHOWN = 1200  # characters of a prompt in a message; all texts together have 4000
ALT_TEXT = 1024

FAILURES = {
    Reason.AUTH: "{service} does not accept this bot's key. Tell the people who run the bot.",
    Reason.CREDITS: "The bot's account at {service} is empty. Tell the people who run the bot.",
    Reason.REJECTED: "{service} refused this prompt or picture. Put it another way and try again.",
    Reason.INVALID: "{service} could not work with these options. Change them and try again.",
    Reason.NOT_FOUND: "{service} does not know this job or its model. Please ask again; "
    "if that fails too, tell the people who run the bot.",
    Reason.RATE_LIMITED: "{service} is too busy at the moment. Try again in a few minutes.",
    Reason.UNAVAILABLE: "{service} cannot be reached at the moment. Try again in a few minutes.",
    Reason.TIMEOUT: "{service} did not finish in time. Try again, or ask for fewer pictures.",
    Reason.MALFORMED: "{service} sent an answer that cannot be read. Please try again.",
    Reason.DOUBTFUL: "The connection to {service} broke while asking. Please ask again.",
    Reason.NO_PICTURE: "{service} finished without a picture. Please try again.",
    Reason.UNKNOWN: "{service} could not make this picture. Please try again.",
}
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
    job: Job, spec: ModelSpec, *, chosen: bool = False, lacking: Sequence[str] = ()
) -> ui.LayoutView:
    """A job that is not settled: what was asked and its state.

    `lacking` are the permissions without which the result cannot be a message of its own.
    """
    pictures = "1 picture" if job.request.count == 1 else f"{job.request.count} pictures"
    since = job.running_at or job.created_at
    doing = STATES[job.status] if not job.cancel_requested_at else "Canceling"
    by = f"{spec.title} (chosen for you)" if chosen else spec.title
    hint = "I may not post here, so the result will replace this message."
    if lacking:
        hint += f" I lack: {', '.join(lacking)}."
    return panel(
        f"**{doing}** {_ago(since)}\n{quoted(job)}",
        _small(f"{pictures} by {by}", f"{credits_text(job.price)} credits"),
        *(() if job.route.postable else (hint,)),
    )


def cancel_view(job: Job) -> ui.LayoutView:
    """The private answer to a wish to cancel."""
    if job.status.settled:
        return panel(f"**Canceled.** {NOT_CHARGED}\n{quoted(job)}")
    return panel(f"**Canceling.** It is stopped as soon as its service allows.\n{quoted(job)}")


def canceled_view(job: Job) -> ui.LayoutView:
    return panel(f"**Canceled.** {NOT_CHARGED}\n{quoted(job)}", _small(f"job {job.id}"))


def failed_view(job: Job, spec: ModelSpec) -> ui.LayoutView:
    """One sentence of what happened and what to do."""
    sentence = FAILURES[job.reason or Reason.UNKNOWN].format(service=spec.service)
    return panel(
        f"<@{job.user_id}> {sentence} {NOT_CHARGED}\n{quoted(job)}",
        _small(spec.title, f"job {job.id}"),
        colour=AMBER,
    )


def result_view(job: Job, spec: ModelSpec, shown: "Shown", *, missing: int = 0) -> ui.LayoutView:
    """The pictures, uploaded beside it, and how they came about; `missing` were not made."""
    remarks = []
    if missing:
        made = job.request.count - missing
        remarks.append(f"{spec.service} made {made} of {job.request.count} pictures.")
    remarks += _upload_remarks(shown)
    view = ui.LayoutView(timeout=None)
    view.add_item(
        ui.Container(
            ui.TextDisplay(f"<@{job.user_id}>\n{quoted(job)}"),
            *_gallery(job, shown),
            *(ui.TextDisplay(remark) for remark in remarks),
            ui.TextDisplay(_small(*_facts(job, spec))),
            accent_colour=ACCENT,
        )
    )
    return view


def job_view(job: Job, spec: ModelSpec, shown: "Shown") -> ui.LayoutView:
    """All about one job, for its member alone."""
    options = " · ".join(f"{name} {plain(str(of), 80)}" for name, of in job.request.options.items())
    told = [f"**{STATES[job.status]}** {_ago(job.settled_at or job.created_at)}\n{quoted(job)}"]
    if job.status is JobStatus.FAILED:
        told.append(FAILURES[job.reason or Reason.UNKNOWN].format(service=spec.service))
    if options:
        told.append(options)
    view = ui.LayoutView(timeout=None)
    view.add_item(
        ui.Container(
            *(ui.TextDisplay(text) for text in told),
            *_gallery(job, shown),
            *(ui.TextDisplay(remark) for remark in _upload_remarks(shown)),
            ui.TextDisplay(_small(*_facts(job, spec), f"job {job.id}")),
            accent_colour=ACCENT,
        )
    )
    return view


def history_view(jobs: Sequence[Job], catalog: Catalog) -> ui.LayoutView:
    if not jobs:
        return panel("Nothing has ended yet. Ask for a picture with /imagine.")
    return _listed("### Your last jobs", [_job_line(job, catalog) for job in jobs])


def job_choice(job: Job) -> str:
    """A job in a list to choose from: the start of its prompt."""
    return shorten(f"{STATES[job.status]}: {job.request.prompt}", 100)


def jobs_view(jobs: Sequence[Job], catalog: Catalog) -> ui.LayoutView:
    if not jobs:
        return panel("You have no jobs yet. Ask for a picture with /imagine.")
    return _listed("### Your jobs", [_job_line(job, catalog) for job in jobs])


def usage_view(usage: Usage) -> ui.LayoutView:
    left = "no limit" if usage.left is None else f"{credits_text(usage.left)} credits"
    resets = int(usage.resets_at.timestamp())
    return panel(
        "### Your month",
        f"Used: **{credits_text(usage.used)}** credits\n"
        f"Held for jobs under way: **{credits_text(usage.held)}** credits\n"
        f"Left: **{left}**\n"
        f"Pictures: **{usage.pictures}** · Jobs: **{usage.jobs}**",
        f"-# Starts anew <t:{resets}:R>, on <t:{resets}:D> (UTC). "
        "Failed and canceled jobs cost nothing.",
    )


def models_view(catalog: Catalog) -> ui.LayoutView:
    texts = []
    for spec in catalog.specs.values():
        price = credits_text(spec.price) + ("" if spec.price_known else " (estimated)")
        options = "\n".join(
            f"- `{name}` {_possible(of)}"
            for name, of in spec.options.items()
            if name not in spec.input_options
        )
        texts.append(f"### {spec.title}\n`model:{spec.key}` · {price} credits a picture\n{options}")
    return panel(*texts)


def help_view(commands: Iterable[tuple[str, str]]) -> ui.LayoutView:
    """`commands` are names and descriptions, as Discord shows them."""
    listed = "\n".join(f"- `/{name}` {description}" for name, description in commands)
    return panel(
        "### Easel makes pictures\n"
        "Describe a picture with `/imagine`. You can go on talking: it comes to this channel "
        "when it is done, and mentions you.",
        listed,
        "-# Every picture costs credits: /usage tells how many you have used. "
        "What fails or is canceled costs nothing.",
    )


def answer_view(text: str) -> ui.LayoutView:
    """A refusal, or a short word to one member."""
    return panel(text, colour=AMBER)


def quoted(job: Job) -> str:
    """The prompt as a quotation that cannot break out of it."""
    return f"> {plain(job.request.prompt, PROMPT_SHOWN)}"


def file_name(job: Job, position: int, picture: Picture) -> str:
    """ASCII, with the job's id: a search of the channel finds the result by it."""
    return f"easel-{job.id}-{position}.{picture.kind}"


class Shown(Protocol):
    """Pictures that are uploaded beside a message (cogs.uploads)."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def shrunk(self) -> bool: ...
    @property
    def left_out(self) -> int: ...


def _gallery(job: Job, shown: "Shown") -> Iterable[ui.MediaGallery[ui.LayoutView]]:
    alt = shorten(job.request.prompt, ALT_TEXT)
    items = [
        discord.MediaGalleryItem(f"attachment://{name}", description=alt) for name in shown.names
    ]
    return (ui.MediaGallery(*items),) if items else ()


def _upload_remarks(shown: "Shown") -> Iterable[str]:
    if shown.left_out:
        yield f"{shown.left_out} could not be uploaded here."
    if shown.shrunk and shown.names:
        yield "Shrunk to what may be uploaded here; the original is kept."


def _facts(job: Job, spec: ModelSpec) -> Iterable[str]:
    yield spec.title
    if "seed" in job.request.options:
        yield f"seed {job.request.options['seed']}"
    if job.settled_at is not None:
        yield f"{round((job.settled_at - job.created_at).total_seconds())} s"
    if job.cost is not None:
        yield f"{'about ' if job.estimated else ''}{credits_text(job.cost)} credits"


def _job_line(job: Job, catalog: Catalog) -> str:
    moment = job.settled_at or job.running_at or job.created_at
    message_id = job.result_message_id or (None if job.status.settled else job.route.message_id)
    place = job.route.server_id or "@me"
    channel = f"https://discord.com/channels/{place}/{job.route.channel_id}"
    link = f" · [show]({channel}/{message_id})" if message_id else ""
    spec = catalog.specs.get(job.request.model)
    service = spec.service if spec else job.request.model
    prompt = plain(job.request.prompt, 80)
    return f"- **{STATES[job.status]}** {_ago(moment)} · {prompt} · {service}{link}"


def _possible(option: OptionSpec) -> str:
    match option:
        case Choice(values, default):
            return ", ".join(f"**{each}**" if each == default else each for each in values)
        case Whole(minimum, maximum):
            return f"{minimum} to {maximum}"
        case Flag(default):
            return "yes or no, **yes** by itself" if default else "yes or no, **no** by itself"
        case Text(None):
            return "text"
        case Text(longest):
            return f"text, up to {longest} characters"


def _listed(title: str, lines: Sequence[str]) -> ui.LayoutView:
    shown = _within(lines, 3500)
    left_out = len(lines) - len(shown)
    more = (_small(f"and {left_out} more"),) if left_out else ()
    return panel(title, "\n".join(shown), *more)


def _within(lines: Sequence[str], limit: int) -> list[str]:
    shown: list[str] = []
    for line in lines:
        limit -= len(line) + 1
        if limit < 0:
            break
        shown.append(line)
    return shown


def _ago(moment: datetime) -> str:
    return f"<t:{int(moment.timestamp())}:R>"


def _small(*facts: str) -> str:
    return "-# " + " · ".join(facts)
