"""A member's history: pages of settled jobs with their first pictures, and the filters."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bot.errors import UserError
from bot.jobs import Job, Picture
from bot.option_values import REMARK
from bot.services import Services
from bot.store import history
from bot.store.history import FIRST, LAST, Place, Wanted

__all__ = ["FIRST", "LAST", "Histories", "Page", "Place", "Wanted", "day_of"]

PAGE = 5  # jobs: a message has 40 components and 4000 characters
LONGEST_TEXT = 100  # characters of the filter by text
PREPARED_AT_ONCE = 4  # pages whose pictures are reduced and uploaded
DAY = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")
MODEL = re.compile(r"[\w.\-]{1,32}", re.ASCII)
AFTER_ALL = "z" * 17  # greater than the id of any job
LAST_DAY = LAST.date() - timedelta(days=1)


class NoDate(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__("“{typed}” is no date. Write the day like 2026-01-31.", typed=typed)


class DatesExchanged(UserError):
    def __init__(self) -> None:
        super().__init__("The day in since is after the one in until. Exchange the two.")


class PageInPreparation(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Another page of your history is being prepared. Wait for that page, then try again."
        )


class TooManyPages(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The histories of other members are being prepared at the moment. "
            "Try again in a few seconds."
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs of a member, newest first.

    `pictures` are the first ones of the results, by the job's id. `newer` and `older` are the
    places from which the pages beside this one begin; None if there is none.
    """

    jobs: tuple[Job, ...]
    pictures: Mapping[str, Picture]
    favourites: frozenset[str]
    newer: Place | None
    older: Place | None


class Histories:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._catalog = services.catalog
        self._preparing: set[int] = set()  # members

    def wanted(
        self, *, text: str = "", model: str = "", favourites: bool = False, since: str, until: str
    ) -> Wanted:
        """Return the filters of a command. Raises NoDate, DatesExchanged or UnknownModel.

        A model that is no longer on offer is a filter, too.
        """
        spec = self._catalog.find(model)
        if spec is None and model and not MODEL.fullmatch(model.strip()):
            self._catalog.get(model)  # raises
        first, last = day_of(since), day_of(until)
        if first and last and first > last:
            raise DatesExchanged
        return Wanted(
            text=text[:LONGEST_TEXT],
            model=spec.key if spec else model.strip().lower(),
            favourites=favourites,
            since=_midnight(first) if first else FIRST,
            until=_midnight(last + timedelta(days=1)) if last else LAST,
        )

    async def page(
        self, user_id: int, wanted: Wanted, place: Place | None = None, *, newer: bool = False
    ) -> Page:
        """Return the page after a place, or with `newer` the one before; else the newest one."""
        backwards = newer and place is not None
        async with self._database.reading() as view:
            if backwards and place:
                found = await history.newer(view, user_id, wanted, place, PAGE + 1)
                shown = found[-PAGE:]
            else:
                found = await history.older(view, user_id, wanted, place, PAGE + 1)
                shown = found[:PAGE]
            first, last = _ends(shown, place)
            more = len(found) > PAGE
            # Without a place, the page is the newest one.
            others = place is not None and bool(
                await history.older(view, user_id, wanted, last, 1)
                if backwards
                else await history.newer(view, user_id, wanted, first, 1)
            )
            ids = [job.id for job in shown]
            return Page(
                tuple(shown),
                await history.first_pictures(view, ids),
                await history.favourites_among(view, user_id, ids),
                newer=first if (more if backwards else others) else None,
                older=last if (others if backwards else more) else None,
            )

    @contextmanager
    def preparing(self, user_id: int) -> Iterator[None]:
        """Let one page of a member be prepared at once, and PREPARED_AT_ONCE of all members."""
        if user_id in self._preparing:
            raise PageInPreparation
        if len(self._preparing) >= PREPARED_AT_ONCE:
            raise TooManyPages
        self._preparing.add(user_id)
        try:
            yield
        finally:
            self._preparing.discard(user_id)


def day_of(text: str) -> date | None:
    """Return the day that a member has typed, or chosen by its label; None for no text. NoDate."""
    typed = REMARK.sub("", text.strip())
    if not typed:
        return None
    try:
        if not DAY.fullmatch(typed):
            raise ValueError
        day = date(*(int(part) for part in typed.split("-")))
    except ValueError:
        raise NoDate(text) from None
    if not FIRST.date() <= day <= LAST_DAY:
        raise NoDate(text)
    return day


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _ends(shown: Sequence[Job], place: Place | None) -> tuple[Place, Place]:
    """Return the places of the first and of the last job; of a page without jobs, its own.

    A job at that place itself is on either side then.
    """
    if shown:
        first, last = shown[0], shown[-1]
        return Place(first.created_at, first.id), Place(last.created_at, last.id)
    moment = place.created_at if place else FIRST
    return Place(moment, ""), Place(moment, AFTER_ALL)
