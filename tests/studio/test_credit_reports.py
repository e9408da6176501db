"""Reports of a server's credits: their days, their order, and the cells of the table."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bot.errors import UserError
from bot.ledger import Account
from bot.periods import ZoneChange
from bot.pseudonyms import deleted_member
from bot.rights import ServerSettings
from bot.service_balances import ServiceBalance
from bot.services import Services
from bot.store import jobs, servers, settlement
from bot.store.database import Database
from bot.store.reports import Line, Sums
from bot.studio import credit_reports
from bot.studio.credit_reports import (
    COLUMNS,
    LONGEST,
    CreditReports,
    PeriodGivenTwice,
    Report,
    Span,
    TooManyDays,
    table_of,
)
from bot.studio.history import DatesExchanged
from bot.studio.managers import BotNotInServer, ManagersOnly
from tests.support.rows import NOW, new_job, one
from tests.support.studio import MANAGER, succeeded

TODAY = NOW.date()
DAY = timedelta(days=1)


@pytest.fixture
def reports(services: Services) -> CreditReports:
    return CreditReports(services)


async def give(database: Database, user_id: int, amount: int, at: datetime = NOW) -> None:
    async with database.transaction() as tx:
        await settlement.give(tx, Account(user_id, 10), amount, at, reason="")


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        ("2026-11-01", "2026-11-03", date(2026, 11, 1), date(2026, 11, 3)),
        ("2026-11-03", "2026-11-03", date(2026, 11, 3), date(2026, 11, 3)),
        ("2026-11-01", "", date(2026, 11, 1), TODAY),
        ("2026-11-21", "", TODAY, TODAY),
        ("2026-11-25", "", date(2026, 11, 25), date(2026, 11, 25)),  # in the future
        ("", "2026-11-03", date(2026, 10, 5), date(2026, 11, 3)),
        ("2025-11-21", "2026-11-21", date(2025, 11, 21), TODAY),
    ],
)
async def test_typed_days_are_both_included(
    reports: CreditReports, since: str, until: str, first: date, last: date
) -> None:
    report = await reports.of(MANAGER, since=since, until=until)

    assert (report.first, report.last) == (first, last)
    expected = [first + each * DAY for each in range((last - first).days + 1)]
    assert [day for day, _ in report.days] == expected
    assert len(expected) <= LONGEST


async def test_without_days_a_report_is_of_this_month_or_of_its_span(
    reports: CreditReports,
) -> None:
    report = await reports.of(MANAGER)
    assert (report.first, report.last, report.zone) == (TODAY.replace(day=1), TODAY, "UTC")
    yesterday = await reports.of(MANAGER, span=Span.YESTERDAY)
    assert (yesterday.first, yesterday.last) == (TODAY - DAY, TODAY - DAY)


@pytest.mark.parametrize(
    ("span", "since", "until", "refusal", "says"),
    [
        (None, "2026-11-04", "2026-11-03", DatesExchanged, "Exchange the two"),
        (None, "2025-11-20", "2026-11-21", TooManyDays, "A report has 366 days at most"),
        (None, "2025-11-20", "", TooManyDays, "Choose a later first day"),
        (Span.TODAY, "2026-11-03", "", PeriodGivenTwice, "Give a period, or the days"),
        (Span.TODAY, "", "2026-11-03", PeriodGivenTwice, "Leave one of the two out"),
    ],
)
async def test_days_that_make_no_report_are_refused(
    reports: CreditReports,
    span: Span | None,
    since: str,
    until: str,
    refusal: type[UserError],
    says: str,
) -> None:
    with pytest.raises(refusal, match=says):
        await reports.of(MANAGER, span=span, since=since, until=until)


async def test_only_managers_read_reports(reports: CreditReports) -> None:
    with pytest.raises(ManagersOnly):
        await reports.of(replace(MANAGER, may_manage=False))
    with pytest.raises(BotNotInServer):
        await reports.of(replace(MANAGER, server_id=0))


async def filled(database: Database) -> None:
    """Store jobs and grants of two days: of user 1 the most is used, of user 3 nothing."""
    await succeeded(database, new_job(1, at=NOW - DAY), cost=9000)
    await succeeded(database, new_job(2), cost=4000)
    await one(database, new_job(2, price=3000))
    await give(database, 3, 50_000)
    await give(database, 4, 60_000)
    await succeeded(database, new_job(5, server_id=11), cost=4000)


async def test_a_report_adds_up_by_member_model_and_day(
    database: Database, reports: CreditReports
) -> None:
    await filled(database)
    report = await reports.of(MANAGER, since=str(TODAY - DAY), until=str(TODAY))

    assert report.members == [
        (1, Sums(used=9000)),
        (2, Sums(used=4000, held=3000)),
        (4, Sums(granted=60_000)),
        (3, Sums(granted=50_000)),
    ]
    assert report.models == [("oxen", Sums(used=13_000, held=3000))]
    assert report.days == [
        (TODAY - DAY, Sums(used=9000)),
        (TODAY, Sums(used=4000, held=3000, granted=110_000)),
    ]
    assert report.total == Sums(used=13_000, held=3000, granted=110_000)
    assert (report.lines, report.cut, report.is_empty, report.balances) == (5, False, False, ())
    today = await reports.of(MANAGER, span=Span.TODAY)
    assert today.total == Sums(used=4000, held=3000, granted=110_000)
    assert today.members[0] == (2, Sums(used=4000, held=3000))


async def test_held_credits_alone_rank_a_member(database: Database, reports: CreditReports) -> None:
    await succeeded(database, new_job(1), cost=2000)
    await one(database, new_job(2, price=3000))

    assert [user for user, _ in (await reports.of(MANAGER)).members] == [2, 1]


async def test_the_days_are_those_of_the_servers_zone(
    database: Database, reports: CreditReports
) -> None:
    """At noon in UTC, the next day begins in Auckland an hour before."""
    async with database.transaction() as tx:
        zones = (ZoneChange(NOW - 30 * DAY, "Pacific/Auckland"),)
        await servers.store_settings(tx, 10, ServerSettings(zones=zones))
    hour = timedelta(hours=1)
    await one(database, new_job(1, price=1, at=NOW - hour))
    await one(database, new_job(1, price=10, at=NOW - hour - timedelta(microseconds=1)))
    await give(database, 1, 100)

    report = await reports.of(MANAGER, span=Span.TODAY)
    assert (report.first, report.zone) == (TODAY + DAY, "Pacific/Auckland")
    assert report.total == Sums(held=1, granted=100)
    both = await reports.of(MANAGER, since=str(TODAY), until="")
    assert [sums.held for _, sums in both.days] == [10, 1]


async def test_a_report_without_anything_is_empty(
    database: Database, reports: CreditReports
) -> None:
    assert (await reports.of(MANAGER)).is_empty
    await succeeded(database, cost=0)
    free = await reports.of(MANAGER)
    assert (free.lines, free.total, free.is_empty) == (1, Sums(), False)


def test_amounts_without_a_line_are_not_empty() -> None:
    report = Report(TODAY, TODAY, "UTC", Sums(held=1), [], [], [], b"", lines=0, cut=False)

    assert not report.is_empty
    assert replace(report, total=Sums()).is_empty


@pytest.mark.parametrize(("most", "lines", "cut"), [(5, 5, False), (4, 4, True)])
async def test_a_table_of_just_the_most_lines_is_not_cut(
    database: Database,
    reports: CreditReports,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    lines: int,
    cut: bool,
) -> None:
    monkeypatch.setattr(credit_reports, "MOST_LINES", most)
    await filled(database)
    report = await reports.of(MANAGER)

    assert (report.lines, report.cut) == (lines, cut)
    assert len(rows(report.table)) == lines


@pytest.mark.parametrize(("server_id", "shown"), [(10, True), (11, False), (None, False)])
async def test_the_operators_server_has_the_balances(
    services: Services, server_id: int | None, shown: bool
) -> None:
    services.balances.adopt({"oxen": ServiceBalance(5000, NOW)})
    reports = CreditReports(replace(services, operator_server=server_id))

    found = (await reports.of(MANAGER)).balances
    assert [(each.service, each.credits) for each in found] == [("oxen", 5000)] * shown


def rows(table: bytes) -> list[dict[str, str]]:
    assert table.startswith(b"\xef\xbb\xbf")
    return [*csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline=""))]


JOB = Line(
    *(1, datetime(2026, 11, 21, 12, 0, 5, 999, tzinfo=UTC)),
    Sums(used=7500, held=1, lost=2000, granted=0),
    job_id="a" * 16,
    model="oxen",
    status="failed",
    reason="a gift",
)


def test_a_line_has_the_time_of_the_zone_and_all_amounts() -> None:
    (row,) = rows(table_of([JOB], "Europe/Berlin"))

    assert tuple(row) == COLUMNS
    assert [*row.values()] == [
        *("2026-11-21 13:00:05+01:00", "1", "oxen", "a" * 16, "failed"),
        *("7.5", "0.001", "2", "0", "a gift"),
    ]
    assert rows(table_of([], "UTC")) == []
    assert table_of([], "UTC").decode("utf-8-sig").split("\r\n")[0] == ",".join(COLUMNS)


def test_of_a_private_job_the_member_the_amounts_and_the_id_are_known() -> None:
    (row,) = rows(table_of([replace(JOB, private=True)], "UTC"))

    unknown = {name for name, value in row.items() if not value}
    assert unknown == {"time", "model", "state"}


def test_a_grant_has_no_model_and_a_deleted_member_no_id() -> None:
    grant = Line(-5, NOW, Sums(granted=1000))
    (row,) = rows(table_of([grant], "UTC"))

    assert (row["model"], row["job"], row["state"], row["granted"]) == ("", "", "", "1")
    assert row["member"] == deleted_member(-5)


async def test_private_and_hidden_jobs_are_so_in_the_table(
    database: Database, reports: CreditReports
) -> None:
    new = new_job()
    await succeeded(database, replace(new, route=replace(new.route, private=True)))
    hidden = await succeeded(database)
    shown = await succeeded(database)
    async with database.transaction() as tx:
        await jobs.hide(tx, hidden.id, NOW)

    table = rows((await reports.of(MANAGER)).table)
    assert {row["job"]: row["model"] for row in table} == {
        new.id: "",
        hidden.id: "",
        shown.id: "oxen",
    }
