"""Reports of a server's credits: by member, model and day, and the table of jobs and grants."""

import asyncio
import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import TypeVar

from bot.csv_cells import harmless
from bot.errors import UserError
from bot.ledger import credits_text
from bot.periods import Period, PeriodKind, period_in, zone_info
from bot.pseudonyms import deleted_member, is_pseudonym
from bot.quotas import Member
from bot.services import Services
from bot.store import reports, servers
from bot.store.database import Connection
from bot.store.reports import Line, Sums
from bot.studio.balances import BalanceLine, Balances
from bot.studio.history import DatesExchanged, day_of
from bot.studio.managers import check_manager

LONGEST = 366  # days
MOST_LINES = 10_000  # of the table
COLUMNS = (
    *("time", "member", "model", "job", "state"),
    *("used", "held", "lost", "granted", "reason"),
)
Key = TypeVar("Key")


class Span(StrEnum):
    """The ranges of days that a report is offered for."""

    TODAY = "today"
    WEEK = "this week"
    MONTH = "this month"
    YESTERDAY = "yesterday"
    LAST_WEEK = "last week"
    LAST_MONTH = "last month"
    LAST_30 = "last 30 days"


class TooManyDays(UserError):
    def __init__(self) -> None:
        super().__init__(
            "A report has {most} days at most. Choose a later first day, or an earlier last one.",
            most=LONGEST,
        )


class PeriodGivenTwice(UserError):
    def __init__(self) -> None:
        super().__init__("Give a period, or the days in from and to. Leave one of the two out.")


@dataclass(frozen=True, slots=True)
class Report:
    """The credits of some days in a server's time zone; all but `days` have the greatest first."""

    first: date
    last: date
    zone: str
    total: Sums
    members: Sequence[tuple[int, Sums]]  # user 0 has what no member owes; also pseudonyms
    models: Sequence[tuple[str, Sums]]
    days: Sequence[tuple[date, Sums]]
    table: bytes  # CSV
    lines: int  # in the table
    cut: bool  # the table has only the newest lines
    balances: Sequence[BalanceLine] = ()  # for the operator's own server

    @property
    def is_empty(self) -> bool:
        return not self.lines and self.total == Sums()


@dataclass(frozen=True, slots=True)
class _Read:
    """The data of a report: sums by day, member and model, and one line more than shown."""

    zone: str
    days: Mapping[date, Sums]
    members: Mapping[int, Sums]
    models: Mapping[str, Sums]  # an empty name has the grants without a job
    lines: Sequence[Line]


class CreditReports:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._now = services.now
        self._balances = Balances(services)
        self._turn = asyncio.Lock()  # a report of many entries takes its time

    async def of(
        self, manager: Member, *, span: Span | None = None, since: str = "", until: str = ""
    ) -> Report:
        """Return the report of a span, else of the days that were typed, else of this month.

        Raises ManagersOnly, BotNotInServer, NoDate, DatesExchanged, PeriodGivenTwice or
        TooManyDays.
        """
        check_manager(manager)
        typed = (day_of(since), day_of(until))
        if span is not None and any(typed):
            raise PeriodGivenTwice
        async with self._turn, self._database.reading() as view:
            zone = (await servers.settings_of(view, manager.server_id)).zone
            today = self._now().astimezone(zone_info(zone)).date()
            first, last = _typed_days(*typed, today) if any(typed) else days_of(span, today)
            days = [first + timedelta(days=each) for each in range((last - first).days + 1)]
            found = await _read(view, manager.server_id, days, zone)
        report = await asyncio.to_thread(_report, found)
        if self._balances.are_shown_to(manager):
            report = replace(report, balances=self._balances.known())
        return report


def days_of(span: Span | None, today: date) -> tuple[date, date]:
    """Return the first and the last day of a span; weeks begin on Monday."""
    monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
    match span:
        case Span.TODAY:
            return today, today
        case Span.YESTERDAY:
            return today - timedelta(days=1), today - timedelta(days=1)
        case Span.WEEK:
            return monday, today
        case Span.LAST_WEEK:
            return monday - timedelta(days=7), monday - timedelta(days=1)
        case Span.LAST_MONTH:
            last = first - timedelta(days=1)
            return last.replace(day=1), last
        case Span.LAST_30:
            return today - timedelta(days=29), today
    return first, today


def _typed_days(first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """Return the days that were typed: up to today, or the month before the last one."""
    last = last or max(first or today, today)
    first = first or last - timedelta(days=29)
    if first > last:
        raise DatesExchanged
    if (last - first).days >= LONGEST:
        raise TooManyDays
    return first, last


async def _read(view: Connection, server_id: int, days: Sequence[date], zone: str) -> _Read:
    """Read the sums of some days, and the lines of the table."""
    periods = [_period(day, zone) for day in days]
    whole = Period(periods[0].begin, periods[-1].end)
    members = defaultdict(Sums, await reports.by_member(view, server_id, whole))
    models: defaultdict[str, Sums] = defaultdict(Sums)
    by_day = {day: Sums() for day in days}
    for day, period in zip(days, periods, strict=True):
        for model, sums in (await reports.by_model(view, server_id, period)).items():
            models[model or ""] += sums
            by_day[day] += sums
    for each in await reports.held(view, server_id, whole):
        held = Sums(held=each.amount)
        members[each.user_id] += held
        models[each.model] += held
        by_day[each.created_at.astimezone(zone_info(zone)).date()] += held
    found = reports.lines(view, server_id, whole, MOST_LINES + 1)
    return _Read(zone, by_day, members, models, [each async for each in found])


def _report(found: _Read) -> Report:
    days, shown = [*found.days.items()], found.lines[:MOST_LINES]
    return Report(
        first=days[0][0],
        last=days[-1][0],
        zone=found.zone,
        total=sum(found.members.values(), Sums()),
        members=_greatest(found.members),
        models=[(name, sums) for name, sums in _greatest(found.models) if name],
        days=days,
        table=table_of(shown, found.zone),
        lines=len(shown),
        cut=len(found.lines) > MOST_LINES,
    )


def _period(day: date, zone: str) -> Period:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone_info(zone))
    return period_in(PeriodKind.DAY, zone, noon)


def _greatest(sums: Mapping[Key, Sums]) -> list[tuple[Key, Sums]]:
    """Return sums with the greatest use first, without those that are empty."""
    found = [(key, each) for key, each in sums.items() if each != Sums()]
    return sorted(found, key=lambda each: _rank(each[1]), reverse=True)


def _rank(sums: Sums) -> tuple[int, int, int]:
    return sums.used + sums.held, sums.lost, sums.granted


def table_of(lines: Iterable[Line], zone: str) -> bytes:
    """Return lines as CSV with a header, in UTF-8; amounts are credits."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    local = zone_info(zone)
    for line in lines:
        writer.writerow([harmless(cell) for cell in _cells(line, local)])
    return file.getvalue().encode("utf-8-sig")  # by the mark, spreadsheets know the encoding


def _cells(line: Line, zone: tzinfo) -> list[str]:
    """Return the cells of a line; of a private job, only the member, the amounts and the id."""
    known: Mapping[str, str | None] = {}
    if not line.private:
        local = line.at.astimezone(zone)
        known = {
            "time": local.isoformat(sep=" ", timespec="seconds"),
            "model": line.model,
            "state": line.status,
        }
    sums = line.sums
    amounts = (sums.used, sums.held, sums.lost, sums.granted)
    return [
        known.get("time") or "",
        deleted_member(line.user_id) if is_pseudonym(line.user_id) else str(line.user_id),
        known.get("model") or "",
        line.job_id or "",
        known.get("state") or "",
        *(credits_text(each) for each in amounts),
        line.reason,
    ]
