"""`/credits report`, with its chart and its table."""

import csv
import io
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bot.csv_cells import harmless
from bot.sandbox.discord import Message
from bot.store.reports import Line, Sums
from bot.studio import credit_reports
from bot.studio.credit_reports import Span, days_of, table_of
from tests.cogs.test_credits import charged, manage, used
from tests.support.allowances import grant, move_to
from tests.support.easel import Stage
from tests.support.menus import until

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def report(
    at: Stage,
    **options: Any,  # noqa: ANN401  # what a manager may type
) -> Message:
    """Return the report, which follows a deferral."""
    message = (await used(at, "report", **options)).message
    assert message is not None
    assert message.ephemeral_to is at.ben
    return await at.discord.wait_for_message(lambda it: it is message and not it.loading)


def rows_of(message: Message) -> list[dict[str, str]]:
    (file,) = [each for each in message.files if each.filename.endswith(".csv")]
    return [*csv.DictReader(io.StringIO(file.data.decode("utf-8-sig")))]


async def test_a_report_has_members_models_days_a_chart_and_a_table(at: Stage) -> None:
    await grant(at, 5)
    async with at.easel():
        private = await charged(at, "a secret fox", private=True)
        public = await charged(at, "a hen", model="skills")
        at.oxen.manual = True
        await at.imagine("a hare", by=at.ben)
        message = await report(at)

    text, today = message.text(), at.clock().date()
    assert "In all: used 27.5 credits · held 7.5 credits · granted 5 credits" in text
    assert f"- <@{at.ada.id}>: used 27.5 credits · granted 5 credits" in text
    assert f"- <@{at.ben.id}>: held 7.5 credits" in text
    assert "at skills.video: used 20 credits" in text
    assert "at Oxen.ai: used 7.5 credits · held 7.5 credits" in text
    assert f"- {today}: used 27.5 credits · held 7.5 credits · granted 5 credits" in text
    (chart,) = [each for each in message.files if each.filename.endswith(".png")]
    assert chart.data.startswith(b"\x89PNG")
    assert chart.description is not None
    assert "27.5 credits in all" in chart.description
    rows = rows_of(message)
    assert {row["job"] for row in rows} >= {private.id, public.id, ""}
    (hidden,) = [row for row in rows if row["job"] == private.id]
    assert {name: value for name, value in hidden.items() if value not in {"", "0"}} == {
        "member": str(at.ada.id),
        "job": private.id,
        "used": "7.5",
    }
    (shown,) = [row for row in rows if row["job"] == public.id]
    assert (shown["model"], shown["state"], shown["used"]) == ("skills", "succeeded", "20")
    assert not any("fox" in value or "hen" in value for row in rows for value in row.values())


async def test_refunds_losses_and_reasons_are_in_the_report(at: Stage) -> None:
    async with at.easel():
        job = await charged(at)
        await manage(at, "refund", job=job.id)
        await manage(at, "grant", member=at.ada, amount="2", reason='=HYPERLINK("https://x")')
        message = await report(at, period="today")

    assert "used 7.5 credits · granted 9.5 credits" in message.text()
    rows = rows_of(message)
    assert [row["reason"] for row in rows] == ['\'=HYPERLINK("https://x")', "refund", ""]
    assert [row["job"] for row in rows] == ["", job.id, job.id]


async def test_days_are_those_of_the_servers_time_zone(at: Stage) -> None:
    await move_to(at, "Pacific/Kiritimati")
    now = at.clock()
    at.clock.move(seconds=(30 * 60 * 60 - (now.hour * 3600 + now.minute * 60)))  # 06:00 UTC
    async with at.easel():
        await charged(at)
        at.clock.move(hours=6)  # after midnight, by UTC+14
        await charged(at, "a hen")
        message = await report(at, period="last 30 days")
        yesterday = await report(at, period="yesterday")

    utc = at.clock().date()
    assert "Days of the time zone Pacific/Kiritimati" in message.text()
    assert f"- {date.fromordinal(utc.toordinal() + 1)}: used 7.5 credits" in message.text()
    assert f"- {utc}: used 7.5 credits" in message.text()
    assert f"Credits from {utc} to {utc}" in yesterday.text()
    assert "In all: used 7.5 credits" in yesterday.text()


async def test_a_zone_that_the_machine_does_not_know_is_taken_for_utc(at: Stage) -> None:
    at.audited = False  # the audit reports the zone
    async with at.easel():
        await charged(at, "a fox")
        await move_to(at, "Mars/Base")
        message = await report(at)

    (row,) = rows_of(message)
    assert row["time"].endswith("+00:00")


@pytest.mark.long
async def test_a_time_without_entries_is_said(at: Stage) -> None:
    async with at.easel():
        await charged(at)
        message = await report(at, period="last month")

    assert "Nobody has used credits in this time" in message.text()
    assert message.files == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"from": "tomorrow"}, "is no date"),
        ({"from": "2026-02-30"}, "is no date"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "Exchange the two"),
        ({"from": "2020-01-01", "to": "2026-03-01"}, "A report has 366 days at most"),
        ({"period": "today", "to": "2026-03-01"}, "Leave one of the two out"),
    ],
)
async def test_days_that_are_no_period_are_refused(
    at: Stage, options: dict[str, Any], words: str
) -> None:
    async with at.easel():
        message = await report(at, **options)

    assert words in message.text()


@pytest.mark.long
async def test_the_table_is_cut_at_the_newest_lines(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credit_reports, "MOST_LINES", 2)
    async with at.easel():
        for amount in ("1", "2", "3"):
            await manage(at, "grant", member=at.ada, amount=amount)
        message = await report(at)

    assert "The table has the newest 2 jobs and grants" in message.text()
    assert [row["granted"] for row in rows_of(message)] == ["3", "2"]


@pytest.mark.long
async def test_a_report_of_many_members_fits_into_a_message(at: Stage) -> None:
    for number in range(60):
        await grant(at, 1000 + number / 8, to=at.discord.add_user(f"user {number}"))
    async with at.easel():
        message = await report(at)

    assert "and 50 more" in message.text()


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    line = Line(1, NOON, Sums(used=-5000), reason=cell)
    (row,) = csv.DictReader(io.StringIO(table_of([line], "UTC").decode("utf-8-sig"), newline=""))

    assert harmless(cell) == f"'{cell}"
    assert row["reason"] == f"'{cell}"
    assert row["used"] == "'-5"
    assert harmless("a=1") == "a=1"


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        (None, date(2026, 3, 1), date(2026, 3, 4)),
        (Span.TODAY, date(2026, 3, 4), date(2026, 3, 4)),
        (Span.YESTERDAY, date(2026, 3, 3), date(2026, 3, 3)),
        (Span.WEEK, date(2026, 3, 2), date(2026, 3, 4)),
        (Span.LAST_WEEK, date(2026, 2, 23), date(2026, 3, 1)),
        (Span.MONTH, date(2026, 3, 1), date(2026, 3, 4)),
        (Span.LAST_MONTH, date(2026, 2, 1), date(2026, 2, 28)),
        (Span.LAST_30, date(2026, 2, 3), date(2026, 3, 4)),
    ],
)
def test_the_days_of_a_span(span: Span | None, first: date, last: date) -> None:
    assert days_of(span, date(2026, 3, 4)) == (first, last)


@pytest.mark.long
@pytest.mark.parametrize(("own", "floor"), [(True, 1), (True, 100_000), (False, 1)])
async def test_the_operators_server_alone_sees_the_balance(
    at: Stage, own: bool, floor: int
) -> None:
    server = at.server.id if own else at.server.id + 1
    async with at.easel(operator_server=server, skills_floor=floor) as app:
        await until(lambda: bool(app.services.balances.known))
        text = (await report(at)).text()

    assert ("Balance at skills.video" in text) is own
    assert ("New jobs there are refused." in text) is (own and floor > 1)
