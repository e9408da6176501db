"""The report of `/credits report`, as a manager reads it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from discord import ui

from bot.catalog import Catalog
from bot.providers.oxen.model import oxen_spec
from bot.store.reports import Sums
from bot.studio.balances import BalanceLine
from bot.studio.credit_reports import Report
from cogs.ui.credits import chart_days, report_view
from tests.support.rows import NOW
from tests.support.views import SECONDS, media_of, texts_of

CATALOG = Catalog([oxen_spec(price=7500)])
TODAY = NOW.date()
SUMS = Sums(7500, 1000, 500, 2000)
SHOWN = "used 7.5 credits · held 1 credit · lost 0.5 credits · granted 2 credits"
REPORT = Report(
    *(TODAY, TODAY, "Asia/Kolkata", SUMS),
    members=[(5, SUMS)],
    models=[("oxen", SUMS)],
    days=[(TODAY, SUMS)],
    table=b"",
    lines=1,
    cut=False,
)
TITLE = "### Credits from 2026-11-21 to 2026-11-21\n-# Days of the time zone Asia/Kolkata"
PRIVATE = "-# Of private jobs, the table has the member, the amounts and the id."
NO_CHART = "-# The chart could not be drawn. Try again in a few minutes."


def shown(report: Report, locale: str = "en-US") -> list[str]:
    view = report_view(report, CATALOG, chart="chart.png", table="table.csv", locale=locale)
    return texts_of(view)


def test_a_report_has_its_sums_a_chart_and_a_table() -> None:
    view = report_view(REPORT, CATALOG, chart="chart.png", table="table.csv", locale=None)

    assert texts_of(view) == [
        TITLE,
        f"In all: {SHOWN}",
        f"**Members**\n- <@5>: {SHOWN}",
        f"**Models**\n- Qwen Image 2 Pro at Oxen.ai: {SHOWN}",
        f"**Days**\n- 2026-11-21: {SHOWN}",
        PRIVATE,
    ]
    assert media_of(view) == [
        (
            "attachment://chart.png",
            "A chart of the credits used on each day from 2026-11-21 to 2026-11-21: "
            "7.5 credits in all, most on 2026-11-21 with 7.5 credits",
            False,
        )
    ]
    (file,) = [each for each in view.walk_children() if isinstance(each, ui.File)]
    assert file.media.url == "attachment://table.csv"


def test_the_name_of_a_time_zone_is_shortened() -> None:
    for zone, text in (("*" * 30, r"\*" * 30), ("x" * 61, "x" * 59 + "…")):
        assert shown(replace(REPORT, zone=zone))[0].endswith(f"time zone {text}")


def test_a_report_without_a_chart_says_so() -> None:
    view = report_view(REPORT, CATALOG, chart=None, table="table.csv", locale=None)

    assert texts_of(view)[-2:] == [NO_CHART, PRIVATE]
    assert media_of(view) == []


def test_a_table_that_was_cut_is_said_to_be() -> None:
    cut = replace(REPORT, cut=True, lines=10_000)

    assert shown(cut)[-2:] == [PRIVATE, "-# The table has the newest 10000 jobs and grants."]


@pytest.mark.parametrize(
    ("sums", "text"),
    [
        (Sums(), "nothing used"),
        (Sums(used=1000), "used 1 credit"),
        (Sums(held=1000), "held 1 credit"),
        (Sums(lost=1000), "lost 1 credit"),
        (Sums(granted=1000), "granted 1 credit"),
        (Sums(used=1, granted=-1), "used 0.001 credits · granted -0.001 credits"),
    ],
)
def test_only_amounts_that_are_not_zero_are_named(sums: Sums, text: str) -> None:
    assert shown(replace(REPORT, total=sums))[1] == f"In all: {text}"


def test_an_empty_report_has_the_balances_alone() -> None:
    line = BalanceLine("skills.video", 1000, NOW, None, low=False)
    empty = replace(REPORT, total=Sums(), lines=0, balances=[line, replace(line, low=True)])
    balance = f"Balance at skills.video, <t:{SECONDS}:R>: 1 credit"

    view = report_view(empty, CATALOG, chart=None, table="table.csv", locale=None)
    assert texts_of(view) == [
        TITLE,
        "Nobody has used credits in this time. Choose another period.",
        balance,
        f"{balance}. New jobs there are refused.",
    ]
    assert not any(isinstance(each, ui.File) for each in view.walk_children())
    assert shown(replace(empty, lines=1))[1:4] == [
        "In all: nothing used",
        balance,
        f"{balance}. New jobs there are refused.",
    ]
    assert shown(replace(empty, total=SUMS))[1] == f"In all: {SHOWN}"


def test_what_no_member_owes_and_the_newest_days_come_in_words() -> None:
    days = [(TODAY - timedelta(days=each), Sums(1000 * (each % 2))) for each in range(3, -1, -1)]
    texts = shown(replace(REPORT, members=[(0, Sums(1000)), (-7, Sums(1000))], days=days))

    assert texts[2] == (
        "**Members**\n- charges for failed jobs: used 1 credit\n"
        "- deleted member 0007: used 1 credit"
    )
    assert texts[4] == "**Days**\n- 2026-11-20: used 1 credit\n- 2026-11-18: used 1 credit"


@pytest.mark.parametrize(
    ("number", "lines", "last"),
    [
        (10, 10, "- <@10>: used 1 credit"),
        (11, 11, "-# and 1 more"),
        (12, 11, "-# and 2 more"),
    ],
)
def test_ten_lines_of_each_table_are_shown(number: int, lines: int, last: str) -> None:
    members = [(each, Sums(1000)) for each in range(1, number + 1)]
    shown_lines = shown(replace(REPORT, members=members))[2].split("\n")[1:]

    assert (len(shown_lines), shown_lines[-1]) == (lines, last)


def test_a_table_without_lines_has_no_heading() -> None:
    texts = shown(replace(REPORT, members=[], models=[], days=[(TODAY, Sums())]))

    assert texts == [TITLE, f"In all: {SHOWN}", PRIVATE]


@pytest.mark.parametrize(
    ("last", "lines", "text"), [(74, 10, f"- {'m' * 74}: used"), (75, 10, "-# and 1 more")]
)
def test_a_table_has_a_thousand_characters_at_most(last: int, lines: int, text: str) -> None:
    """Beside its name, a line has 26 characters, and line breaks separate the lines."""
    models = [("m" * each, Sums(10**9)) for each in (*[73] * 9, last)]
    shown_lines = shown(replace(REPORT, models=models))[3].split("\n")[1:]

    assert len(shown_lines) == lines
    assert shown_lines[-1].startswith(text)


def test_the_chart_has_what_was_used_each_day() -> None:
    days = [(TODAY, SUMS), (TODAY + timedelta(days=1), Sums(held=1))]

    assert chart_days(replace(REPORT, days=days)) == [
        (TODAY, 7500),
        (TODAY + timedelta(days=1), 0),
    ]


def test_the_words_for_the_chart_name_the_day_of_the_most() -> None:
    days = [(TODAY, SUMS), (TODAY + timedelta(days=1), Sums(8000)), (TODAY, Sums(2, 9000))]
    report = replace(REPORT, days=days, last=TODAY + timedelta(days=1), total=Sums(15_502))
    view = report_view(report, CATALOG, chart="chart.png", table="table.csv", locale="de")

    assert media_of(view)[0][1] == (
        "A chart of the credits used on each day from 2026-11-21 to 2026-11-22: "
        "15,502 credits in all, most on 2026-11-22 with 8 credits"
    )
