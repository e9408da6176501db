"""The reply to `/usage` as a member reads it: the sums of each period, the models and the chart."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from bot.catalog import Catalog
from bot.ledger import Usage
from bot.periods import PeriodKind
from bot.providers.oxen.model import oxen_spec
from bot.store.usage import ModelUse
from bot.studio.usage import Report
from cogs.ui.usage import usage_view
from tests.support.rows import NOW
from tests.support.views import SECONDS, media_of, texts_of

CATALOG = Catalog([oxen_spec(price=7500)])
TITLE = "Qwen Image 2 Pro at Oxen.ai"
UNLIMITED = Usage(0, 0, 0, None, None, 0, 0, NOW)
LIMITED = Usage(12_500, 7500, 0, None, 80_000, 3, 4, NOW, allowance=100_000)
RESET = f"-# Resets <t:{SECONDS}:R>, on <t:{SECONDS}:f>"
COSTS = "-# Failed and canceled jobs cost nothing."


def report(
    month: Usage = UNLIMITED,
    here: Usage | None = None,
    *,
    kind: PeriodKind = PeriodKind.WEEK,
    models: Sequence[ModelUse] = (),
    days: Sequence[tuple[date, int]] = (),
) -> Report:
    return Report(month, here, kind, "Asia/Kolkata", models, days)


def shown(of: Report, locale: str = "en-US") -> list[str]:
    return texts_of(usage_view(of, CATALOG, locale))


def test_without_a_server_the_month_is_shown() -> None:
    assert shown(report()) == [
        "### Your credits this month in all servers\n"
        "Left: **no limit**\n"
        "Used: **0 credits**\n"
        "Held for jobs in progress: **0 credits**\n"
        "Pictures: **0** · Jobs: **0**",
        f"{RESET} (midnight in UTC)",
        "### The last 30 days in all servers\nNo credits were used.",
        COSTS,
    ]


def test_in_a_server_its_own_period_is_shown_first() -> None:
    texts = shown(report(LIMITED, replace(LIMITED, jobs=2)))

    assert [each.partition("\n")[0] for each in texts] == [
        "### Your credits this week in this server",
        f"{RESET} (midnight in Asia/Kolkata)",
        "### Your credits this month in all servers",
        f"{RESET} (midnight in UTC)",
        "### The last 30 days in this server",
        COSTS,
    ]
    assert texts[0].endswith("\nPictures: **4** · Jobs: **2**")
    assert texts[2].endswith("\nPictures: **4** · Jobs: **3**")


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (PeriodKind.DAY, "### Your credits today in this server"),
        (PeriodKind.WEEK, "### Your credits this week in this server"),
        (PeriodKind.MONTH, "### Your credits this month in this server"),
    ],
)
def test_the_month_of_all_servers_is_shown_in_a_server_if_the_operator_limits_it(
    kind: PeriodKind, title: str
) -> None:
    limited = replace(UNLIMITED, allowance=0, left=0)

    assert shown(report(UNLIMITED, UNLIMITED, kind=kind))[0].startswith(f"{title}\n")
    assert "in all servers" not in "".join(shown(report(UNLIMITED, UNLIMITED, kind=kind)))
    assert "in all servers" in "".join(shown(report(limited, UNLIMITED, kind=kind)))


def test_an_account_has_everything_that_counts() -> None:
    usage = replace(LIMITED, granted=2500, reserved=1000, reserved_until=NOW + timedelta(hours=1))

    assert shown(report(usage), "de")[0] == (
        "### Your credits this month in all servers\n"
        "Left: **80 credits**\n"
        "Grants among these: **2,5 credits** (grants last until they are used)\n"
        "Allowance: **100 credits**\n"
        "Used: **12,5 credits**\n"
        "Held for jobs in progress: **7,5 credits**\n"
        "Reserved: **1 credit** for jobs that were given up and may still be charged, until "
        f"<t:{SECONDS + 3600}:f> at the latest\n"
        "Pictures: **4** · Jobs: **3**"
    )


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (1000, "Left: **1 credit**"),
        (0, "Left: **0 credits**"),
        (
            -1000,
            "Left: **1 credit below zero**, because a job has cost more than was held for it",
        ),
        (None, "Left: **no limit**"),
    ],
)
def test_the_rest_of_an_account(left: int | None, text: str) -> None:
    assert shown(report(replace(LIMITED, left=left)))[0].split("\n")[1] == text


@pytest.mark.parametrize(("allowance", "renewed"), [(None, True), (0, False), (1, True)])
def test_an_allowance_of_nothing_is_not_renewed(allowance: int | None, renewed: bool) -> None:
    texts = shown(report(replace(LIMITED, allowance=allowance)))

    assert (f"{RESET} (midnight in UTC)" in texts) == renewed
    assert ("Allowance:" in texts[0]) == (allowance is not None)


def test_models_have_their_sums() -> None:
    models = [ModelUse("oxen", 1, 1, 1000), ModelUse("gone", 2, 3, 7500)]

    assert shown(report(models=models))[2].split("\n")[1:] == [
        f"- {TITLE}: **1 credit** · 1 picture · 1 job",
        "- gone: **7.5 credits** · 3 pictures · 2 jobs",
    ]


def test_models_beyond_the_tenth_are_summed() -> None:
    models = [ModelUse(f"m{each}", 1, 1, 1000) for each in range(1, 13)]

    ten = shown(report(models=models[:10]))[2].split("\n")
    assert (len(ten), ten[-1]) == (11, "- m10: **1 credit** · 1 picture · 1 job")
    twelve = shown(report(models=models))[2].split("\n")
    assert twelve == [*ten, "- other models: **2 credits**"]


def test_a_chart_is_told_in_words() -> None:
    days = [(date(2026, 10, 31) + timedelta(days=each), 500 * (each % 3)) for each in range(5)]
    used = report(days=days)

    assert media_of(usage_view(used, CATALOG, "en-US", chart=True)) == [
        (
            "attachment://easel-usage.png",
            "Bar chart: 2 credits from 31 October to 4 November. "
            "The dearest day is 2 November, with 1 credit.",
            False,
        )
    ]
    assert media_of(usage_view(used, CATALOG, "en-US")) == []


def test_a_chart_that_is_missing_is_said_to_be() -> None:
    text = "-# There is no chart at the moment."

    assert texts_of(usage_view(report(), CATALOG, "en-US", failed=True))[-2:] == [text, COSTS]
    assert text not in shown(report())
