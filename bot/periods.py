"""Periods of allowances and budgets: days, weeks and months in the time zone of a server. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from bot.errors import UserError

DEFAULT_ZONE = "UTC"


class UnknownZone(UserError):
    def __init__(self, name: str) -> None:
        super().__init__(
            "“{name}” is not a time zone. Type one such as Europe/Berlin, Asia/Tokyo or UTC.",
            name=name,
        )


class PeriodKind(StrEnum):
    """The length of a period; a week begins on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Period(NamedTuple):
    """A range of time: from `begin`, before `end`, when allowances and budgets reset."""

    begin: datetime
    end: datetime


class ZoneChange(NamedTuple):
    """The time zone of a server from a moment on, by its IANA name."""

    since: datetime
    zone: str


def zone_named(name: str) -> str:
    """Return the IANA name of a time zone that a member has typed, in any case. UnknownZone."""
    wanted = name.strip().replace(" ", "_").casefold()
    for known in available_timezones():
        if known.casefold() == wanted:
            return known
    raise UnknownZone(name)


def period_in(kind: PeriodKind, zone: str, moment: datetime) -> Period:
    """Return the period around a moment that begins at midnight in a time zone, in UTC.

    Where a change of the clock leaves midnight out, the period begins with the change.
    """
    place = ZoneInfo(zone)
    midnight = moment.astimezone(place).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if kind is PeriodKind.DAY:
        begin, days = midnight, 1
    elif kind is PeriodKind.WEEK:
        begin, days = midnight - timedelta(days=midnight.weekday()), 7
    else:
        begin, days = midnight.replace(day=1), 31
    end = begin + timedelta(days=days)  # by the calendar: a zone's day may have 23 or 25 hours
    if kind is PeriodKind.MONTH:
        end = end.replace(day=1)
    return Period(begin.astimezone(UTC), end.astimezone(UTC))


def current_period(kind: PeriodKind, zones: Sequence[ZoneChange], moment: datetime) -> Period:
    """Return a server's period around a moment; `zones` are its changes of time zone, in order.

    A new time zone applies from its next boundary: the period in which the change was made goes on
    until then. Before the first change, the zone is DEFAULT_ZONE.
    """
    first = ZoneChange(datetime.min.replace(tzinfo=UTC), DEFAULT_ZONE)
    history = [first, *(each for each in zones if each.since <= moment)]
    end = period_in(kind, history[-1].zone, moment).end
    # Of each zone, the boundaries count that lie after its change, and not after the next one.
    for later, earlier in pairwise([ZoneChange(moment, ""), *reversed(history)]):
        begin = period_in(kind, earlier.zone, later.since).begin
        if begin > earlier.since:
            return Period(begin, end)
    raise AssertionError("the first zone has no beginning")


def month_of(moment: datetime) -> Period:
    """Return the month, in UTC, in which a job counts that is requested at this moment."""
    return period_in(PeriodKind.MONTH, DEFAULT_ZONE, moment)
