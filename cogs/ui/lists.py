"""The pages that answer /jobs, /history, /usage, /models and /help. Pure; the wording is here."""

from collections.abc import Iterable, Sequence

from discord import ui

from bot.catalog import Catalog, Choice, Flag, ModelSpec, OptionSpec, Text, Whole
from bot.jobs import Job
from bot.ledger import Usage, credits_text
from cogs.ui.result import STATES, ago, panel, small
from cogs.ui.text import plain


def history_view(jobs: Sequence[Job], catalog: Catalog) -> ui.LayoutView:
    if not jobs:
        return panel("Nothing has ended yet. Ask for a picture with /imagine.")
    return _listed("### Your last jobs", [_job_line(job, catalog) for job in jobs])


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
        price = ("" if spec.price_known else "about ") + credits_text(spec.price)
        options = "\n".join(f"- `{name}` {_possible(of)}" for name, of in spec.options.items())
        texts.append(
            f"### {spec.title}\n`model:{spec.key}` · {price} credits a picture · "
            f"{_inputs_of(spec)}\n{options}"
        )
    return panel(*texts)


def help_view(commands: Iterable[tuple[str, str]], menus: Iterable[str]) -> ui.LayoutView:
    """`commands` are names and descriptions, as Discord shows them; `menus` those of messages."""
    lines = [f"- `/{name}` {description}" for name, description in commands]
    lines += [f"- *Apps → {name}* in the menu of a message with pictures" for name in menus]
    listed = "\n".join(lines)
    return panel(
        "### Easel makes pictures\n"
        "Describe a picture with `/imagine`, or attach one to `/edit` and say what to change. "
        "You can go on talking: it comes to this channel when it is done, and mentions you. "
        "With `private`, only you see it.",
        listed,
        "-# Every picture costs credits: /usage tells how many you have used. "
        "What fails or is canceled costs nothing.",
    )


def _inputs_of(spec: ModelSpec) -> str:
    if not spec.max_inputs:
        return "edits no pictures"
    return (
        "edits one picture" if spec.max_inputs == 1 else f"edits up to {spec.max_inputs} pictures"
    )


def _job_line(job: Job, catalog: Catalog) -> str:
    moment = job.settled_at or job.running_at or job.created_at
    route = job.route
    status_id = None if job.status.settled else route.status_message_id
    message_id = job.result_message_id or status_id
    place = route.guild_id or route.account_server_id or "@me"
    channel = f"https://discord.com/channels/{place}/{route.channel_id}"
    link = f" · [show]({channel}/{message_id})" if message_id and not route.private else ""
    spec = catalog.specs.get(job.request.model)
    service = spec.service if spec else job.request.model
    prompt = plain(job.request.prompt, 80)
    return f"- **{STATES[job.status]}** {ago(moment)} · {prompt} · {service}{link}"


def _possible(option: OptionSpec) -> str:
    match option:
        case Choice(values, default):
            return ", ".join(f"**{each}**" if each == default else each for each in values)
        case Whole(minimum, maximum):
            return f"{minimum} to {maximum}"
        case Flag(default):
            return (
                "yes or no, **yes** if not given" if default else "yes or no, **no** if not given"
            )
        case Text(None):
            return "text"
        case Text(longest):
            return f"text, up to {longest} characters"


def _listed(title: str, lines: Sequence[str]) -> ui.LayoutView:
    shown = _within(lines, 3500)
    left_out = len(lines) - len(shown)
    more = (small(f"and {left_out} more"),) if left_out else ()
    return panel(title, "\n".join(shown), *more)


def _within(lines: Sequence[str], limit: int) -> list[str]:
    shown: list[str] = []
    for line in lines:
        limit -= len(line) + 1
        if limit < 0:
            break
        shown.append(line)
    return shown
