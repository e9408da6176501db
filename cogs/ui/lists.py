"""The replies to /jobs, /models and /help."""

from collections.abc import Iterable, Sequence

from discord import ui

from bot.catalog import Catalog, Choice, Flag, ModelSpec, OptionSpec, Text, Whole
from bot.jobs import Job
from bot.services import Policies
from cogs.ui.links import message_link, result_link
from cogs.ui.numbers import credits_in
from cogs.ui.panel import ago, panel, prompt_of
from cogs.ui.privacy import page_links
from cogs.ui.text import listing, plain, shorten, word
from cogs.ui.wording import STATES, Help, Lists, Models, plural

LONGEST_VALUES = 200  # characters of the values of one option: a message has 4,000 in all


def jobs_view(jobs: Sequence[Job], catalog: Catalog) -> ui.LayoutView:
    if not jobs:
        return panel(Lists.NO_JOBS)
    return _listed(Lists.JOBS, [_job_line(job, catalog) for job in jobs])


def job_choice(job: Job) -> str:
    """Return a job as a choice of a select or a completion: at most 100 characters."""
    return shorten(Lists.JOB_CHOICE.format(state=STATES[job.status], prompt=prompt_of(job)), 100)


def models_view(catalog: Catalog, locale: str) -> ui.LayoutView:
    """Return the models. `locale` is Discord's name of the member's language."""
    return panel(*(_model(spec, locale) for spec in catalog.specs.values()))


def help_view(
    commands: Iterable[tuple[str, str]], menus: Iterable[str], policies: Policies
) -> ui.LayoutView:
    """Return the help. `commands` are names and descriptions, `menus` names of message menus."""
    lines = [Help.COMMAND.format(name=name, description=text) for name, text in commands]
    lines += [Help.MENU.format(name=name) for name in menus]
    return panel(Help.INTRODUCTION, "\n".join(lines), Help.COSTS, *page_links(policies))


def _model(spec: ModelSpec, locale: str) -> str:
    if spec.problem:
        return Models.UNUSABLE.format(title=spec.title, key=spec.key)
    price = Models.PRICE if spec.price_known else Models.ESTIMATED_PRICE
    options = [
        Models.OPTION.format(name=name, values=_values(option))
        for name, option in spec.options.items()
    ]
    return Models.MODEL.format(
        title=spec.title,
        key=spec.key,
        price=price.format(credits=credits_in(spec.price, locale)),
        inputs=plural(Models.INPUTS, spec.max_inputs) if spec.max_inputs else Models.NO_INPUTS,
        options="\n".join(options),
    )


def _values(option: OptionSpec) -> str:
    """Return the values that an option accepts, with the default marked."""
    match option:
        case Choice(values, default):
            shown = [
                Models.DEFAULT_VALUE.format(value=word(each)) if each == default else word(each)
                for each in values
            ]
            return listing(shown, LONGEST_VALUES)
        case Whole(minimum, maximum):
            return Models.WHOLE.format(minimum=minimum, maximum=maximum)
        case Flag(default):
            return Models.YES_BY_DEFAULT if default else Models.NO_BY_DEFAULT
        case Text(None):
            return Models.TEXT
        case Text(longest):
            return Models.LIMITED_TEXT.format(longest=longest)


def _job_line(job: Job, catalog: Catalog) -> str:
    spec = catalog.specs.get(job.request.model)
    link = link_of(job)
    text = Lists.LINKED_JOB if link else Lists.JOB
    return text.format(
        state=STATES[job.status],
        time=ago(job.settled_at or job.running_at or job.created_at),
        prompt=plain(prompt_of(job), 80),
        service=spec.service if spec else job.request.model,
        link=link,
    )


def link_of(job: Job) -> str | None:
    """Return the address of the job's result, else of its status message; None if private."""
    route = job.route
    if route.private:
        return None
    status_id = None if job.status.settled else route.status_message_id
    status = message_link(job, route.channel_id, status_id) if status_id else None
    return result_link(job) or status


def _listed(title: str, lines: Sequence[str]) -> ui.LayoutView:
    """Return as many lines as fit into a message, and their number if others do not fit."""
    shown: list[str] = []
    left = 3500  # characters; all texts of a message have 4000
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        shown.append(line)
    more = [Lists.NOT_LISTED.format(count=len(shown))] if len(shown) < len(lines) else []
    return panel(title, "\n".join(shown), *more)
