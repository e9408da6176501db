"""`/history`: a page of jobs with small pictures, and the buttons to the pages beside it.

The buttons and the message itself hold the filters, so that they work at any time.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import discord
from discord import ui

from bot.catalog import Catalog
from bot.jobs import Job
from bot.studio.history import FIRST, LAST, Page, Place, Wanted
from cogs.ui.lists import job_choice, link_of
from cogs.ui.panel import HISTORY, PREFIX, PersistentItem, ago, panel, prompt_of, small
from cogs.ui.receipts import cost_of
from cogs.ui.text import plain, shorten
from cogs.ui.wording import STATES, Fact, History, Lists, Result, plural

PAGE = re.compile(
    rf"{PREFIX}page:(?P<way>newer|older):(?P<at>[0-9a-f]{{1,14}})-(?P<job>[a-z2-7]{{0,17}}):"
    r"(?P<since>[0-9a-f]{0,6}):(?P<until>[0-9a-f]{0,6}):(?P<favourites>f?):"
    r"(?P<model>[a-z0-9_.\-]{0,32})"
)
TEXT_ID = 4100  # of the component that shows the filter by text
QUOTE = "> "
PROMPT = 240  # characters of a prompt in the list
DAY = timedelta(days=1)


def history_view(
    page: Page, wanted: Wanted, catalog: Catalog, thumbnails: Mapping[str, str]
) -> ui.LayoutView:
    """Return a page. `thumbnails` are names of uploaded files by the job's id."""
    parts: list[str | ui.Item[Any]] = [Lists.HISTORY, *_filters(wanted)]
    for job in page.jobs:
        text = _job(job, catalog, is_favourite=job.id in page.favourites)
        name = thumbnails.get(job.id)
        parts.append(_section(job, text, name) if name else text)
    if not page.jobs:
        parts.append(_nothing(page, wanted))
    view = panel(*parts)
    if page.jobs:
        select = ui.Select[Any](
            custom_id=HISTORY.pattern,
            placeholder=Lists.HISTORY_SELECT,
            options=[
                discord.SelectOption(label=job_choice(job), value=job.id) for job in page.jobs
            ],
        )
        view.add_item(ui.ActionRow(PersistentItem(select)))
    if page.newer or page.older:
        newer = _button(History.NEWER, "newer", page.newer, wanted)
        view.add_item(ui.ActionRow(newer, _button(History.OLDER, "older", page.older, wanted)))
    return view


def page_id(way: str, place: Place, wanted: Wanted) -> str:
    """Return the custom_id of a button, of at most 100 characters.

    The filter by text is in the message: 100 characters of any text do not fit.
    """
    moment = (place.created_at - FIRST) // timedelta(microseconds=1)
    since = "" if wanted.since == FIRST else f"{wanted.since.toordinal():x}"
    until = "" if wanted.until == LAST else f"{wanted.until.toordinal():x}"
    favourites = "f" if wanted.favourites else ""
    ends = f"{since}:{until}:{favourites}:{wanted.model}"
    return f"{PREFIX}page:{way}:{moment:x}-{place.job_id}:{ends}"


def wanted_of(match: re.Match[str], message: discord.Message) -> tuple[Wanted, Place]:
    """Return what a button stands for. ValueError for days that do not exist: forged."""
    since, until = match["since"], match["until"]
    wanted = Wanted(
        text=_text_in(message.components),
        model=match["model"],
        favourites=bool(match["favourites"]),
        since=_midnight(since) if since else FIRST,
        until=_midnight(until) if until else LAST,
    )
    moment = FIRST + timedelta(microseconds=int(match["at"], 16))
    return wanted, Place(moment, match["job"])


def _midnight(number: str) -> datetime:
    day = date.fromordinal(int(number, 16))
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _text_in(components: object) -> str:
    """Return the filter by text that a page shows, without the backslashes."""
    for each in components if isinstance(components, list) else ():
        if isinstance(each, discord.TextDisplay) and each.id == TEXT_ID:
            return re.sub(r"\\(.)", r"\1", each.content.removeprefix(QUOTE))
        if isinstance(each, discord.Container) and (found := _text_in(each.children)):
            return found
    return ""


def _filters(wanted: Wanted) -> Iterator[str | ui.Item[Any]]:
    if wanted.text:
        # No text of 100 characters is cut: the whole is read again.
        yield ui.TextDisplay(QUOTE + plain(wanted.text, 500), id=TEXT_ID)
    facts = []
    if wanted.model:
        facts.append(History.MODEL.format(model=plain(wanted.model, 100)))
    if wanted.favourites:
        facts.append(History.FAVOURITES)
    if wanted.since != FIRST:
        facts.append(History.SINCE.format(day=f"{wanted.since:%Y-%m-%d}"))
    if wanted.until != LAST:
        facts.append(History.UNTIL.format(day=f"{wanted.until - DAY:%Y-%m-%d}"))
    if facts:
        yield small(*facts)


def _nothing(page: Page, wanted: Wanted) -> str:
    if page.newer or page.older:
        return History.PAGE_EMPTY
    return Lists.NO_HISTORY if wanted == Wanted() else History.NOTHING


def _section(job: Job, text: str, name: str) -> ui.Section[Any]:
    thumbnail = ui.Thumbnail[Any](
        f"attachment://{name}",
        description=shorten(Result.ALT_TEXT.format(prompt=prompt_of(job)), 1024),
        spoiler=job.spoiler,
    )
    return ui.Section(ui.TextDisplay(text), accessory=thumbnail)


def _job(job: Job, catalog: Catalog, *, is_favourite: bool) -> str:
    facts = [catalog.about(job.request.model).title]
    if job.request.count > 1:
        facts.append(plural(Fact.PICTURES, job.request.count))
    if job.cost is not None:
        facts.append(cost_of(job))
    if is_favourite:
        facts.append(History.FAVOURITE)
    if link := link_of(job):
        facts.append(History.LINK.format(link=link))
    return History.JOB.format(
        state=STATES[job.status],
        time=ago(job.settled_at or job.created_at),
        prompt=plain(prompt_of(job), PROMPT),
        facts=small(*facts),
    )


def _button(label: str, way: str, place: Place | None, wanted: Wanted) -> PersistentItem:
    custom_id = page_id(way, place or Place(FIRST, ""), wanted)
    return PersistentItem(ui.Button[Any](label=label, custom_id=custom_id, disabled=place is None))
