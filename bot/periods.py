"""Periods of allowances and budgets: days, weeks and months in the time zone of a server. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

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
    try:
        return _zones()[name.strip().replace(" ", "_").casefold()]
    except KeyError:
        raise UnknownZone(name) from None


@cache
def _zones() -> Mapping[str, str]:
    """Return the names of all time zones without regard to case: read from many files, once."""
    return {name.casefold(): name for name in available_timezones() - {"localtime", "Factory"}}


def period_in(kind: PeriodKind, zone: str, moment: datetime) -> Period:
    """Return the period around a moment that begins at midnight in a time zone, in UTC.

    Where a change of the clock leaves midnight out, the period begins with the change.
    """
    midnight = moment.astimezone(zone_info(zone)).replace(
        hour=0, minute=0, second=0, microsecond=0, fold=0
    )
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


def zone_info(zone: str) -> tzinfo:
    """Return a time zone; UTC for one that this machine's data have not, or no longer."""
    if zone == DEFAULT_ZONE:
        return UTC
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def current_period(kind: PeriodKind, zones: Sequence[ZoneChange], moment: datetime) -> Period:
    """Return a server's period around a moment; `zones` are its changes of time zone, in order.

    A new time zone applies from its next boundary: the period in which the change was made goes on
    until then. Before the first change, the zone is DEFAULT_ZONE.
    """
    first = ZoneChange(datetime.min.replace(tzinfo=UTC), DEFAULT_ZONE)
    past = [first, *(each for each in zones if each.since <= moment)]
    coming = [each for each in zones if each.since > moment]
    return Period(_begin(kind, past, moment), _end(kind, past[-1].zone, coming, moment))


# Of each zone, the boundaries count that lie after its change, and not after the next one.
def _begin(kind: PeriodKind, past: Sequence[ZoneChange], moment: datetime) -> datetime:
    """Return the last boundary that is not after a moment."""
    until = moment
    for change in reversed(past):
        begin = period_in(kind, change.zone, until).begin
        if begin > change.since:
            return begin
        until = change.since
    raise AssertionError("the first zone has no beginning")


def _end(kind: PeriodKind, zone: str, coming: Sequence[ZoneChange], moment: datetime) -> datetime:
    """Return the first boundary after a moment; a job may be older than a change of the zone."""
    end = period_in(kind, zone, moment).end
    for change in coming:
        if end <= change.since:
            break
        end = period_in(kind, change.zone, change.since).end
    return end


def reached(zones: Sequence[ZoneChange], moment: datetime) -> tuple[ZoneChange, ...]:
    """Return the changes that count in a period around `moment`, or in a later one, in order.

    Without the others, `current_period` is the same for these moments.
    """
    past = [each for each in zones if each.since <= moment]
    first = 0  # the index of the oldest change that counts
    for kind in PeriodKind:
        for index in range(len(past) - 1, -1, -1):
            until = past[index + 1].since if index + 1 < len(past) else moment
            if period_in(kind, past[index].zone, until).begin > past[index].since:
                first = index if kind is PeriodKind.DAY else min(first, index)
                break
        else:
            return tuple(zones)
    return tuple(zones[first:])


def month_of(moment: datetime) -> Period:
    """Return the month, in UTC, in which a job counts that is requested at this moment."""
    return period_in(PeriodKind.MONTH, DEFAULT_ZONE, moment)
