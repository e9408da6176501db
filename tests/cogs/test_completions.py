"""Completions of options, and the arguments of /credits as they are typed."""

from datetime import timedelta
from typing import Any

import discord
import pytest
from discord import app_commands

from bot.catalog import Choice
from bot.periods import PeriodKind
from bot.rights import READY_MADE
from bot.sandbox.discord.permissions import MANAGE_GUILD
from bot.studio.credit_rules import NoSuchPeriod
from cogs._credits_input import (
    GRANTS,
    LIMITS,
    choices_of,
    chosen,
    complete_day,
    complete_grant,
    complete_job,
    complete_limit,
    complete_tier,
)
from cogs._options import choices, complete, complete_model, given_options
from tests.support.serving import Serving

Found = list[app_commands.Choice[str]]


def named(found: Found) -> list[tuple[str, str]]:
    return [(each.name, each.value) for each in found]


def values(found: Found) -> list[str]:
    return [each.value for each in found]


def typing(by: Serving, **options: object) -> discord.Interaction[Any]:
    """Return an interaction with these options of a command."""
    given = [{"name": name, "type": 3, "value": value} for name, value in options.items()]
    interaction = by.received(by.interaction())
    read = app_commands.Namespace(interaction, {}, given)  # type: ignore[arg-type]
    interaction._cs_namespace = read  # type: ignore[attr-defined]  # as by the tree of commands
    return interaction


def test_choices_are_found_by_their_names_and_values_in_any_case() -> None:
    offered = [("Fox (default)", "a1"), ("Hen", "b2"), ("Hare", "C3")]

    assert values(choices(offered, "")) == ["a1", "b2", "C3"]
    assert values(choices(offered, " FOX ")) == ["a1"]
    assert values(choices(offered, "c3")) == ["C3"]
    assert values(choices(offered, "h")) == ["b2", "C3"]
    assert choices(offered, "owl") == []


def test_discord_shows_25_choices_of_100_characters() -> None:
    found = choices([("x" * 101, str(number)) for number in range(26)], "")

    assert values(found) == [str(number) for number in range(25)]
    assert {len(each.name) for each in found} == {100}
    assert choices([("x" * 100, "1")], "")[0].name == "x" * 100


async def test_the_values_of_an_option_are_those_of_the_chosen_model(by: Serving) -> None:
    spec = by.studio.catalog.get("oxen")
    ratios = spec.options["aspect_ratio"]
    assert isinstance(ratios, Choice)
    found = complete(typing(by, model="oxen"), "aspect_ratio", "")

    assert values(found) == list(ratios.values)[:25]
    marked = [(each.name, each.value) for each in found if each.name != each.value]
    assert marked == [(f"{ratios.default} (default)", ratios.default)]
    assert named(complete(typing(by), "aspect_ratio", "")) == [
        (value, value) for value in ratios.values[:25]
    ]
    assert complete(typing(by, model="oxen"), "count", "") == []
    assert values(complete(typing(by, model="oxen"), "aspect_ratio", "16:9")) == ["16:9"]


async def test_a_model_is_completed_by_its_title(by: Serving) -> None:
    spec = by.studio.catalog.get("oxen")

    assert named(await complete_model(typing(by), "")) == [(spec.title, "oxen")]
    assert await complete_model(typing(by), "no such") == []


async def test_the_options_of_the_models_alone_are_given_to_them(by: Serving) -> None:
    given = typing(by, prompt="a fox", model="oxen", aspect_ratio="1:1", private="x")

    assert given_options(given) == {"aspect_ratio": "1:1"}


async def test_amounts_are_completed_by_their_beginning(by: Serving) -> None:
    asked = typing(by)

    assert values(await complete_grant(asked, "")) == [str(each) for each in GRANTS]
    assert named(await complete_grant(asked, " 5 ")) == [
        ("5 credits", "5"),
        ("50 credits", "50"),
        ("500 credits", "500"),
    ]
    assert values(await complete_grant(asked, "25")) == ["25", "250"]
    assert values(await complete_grant(asked, "2,5")) == ["2.5"]
    assert await complete_grant(asked, "much") == []


async def test_limits_have_words_too(by: Serving) -> None:
    asked = typing(by)

    words = ["unlimited", "none", "unset"]
    assert values(await complete_limit(asked, "")) == [*(str(each) for each in LIMITS), *words]
    assert values(await complete_limit(asked, "un")) == ["unlimited", "unset"]
    assert values(await complete_limit(asked, "20")) == ["20", "200", "2000"]


async def test_tiers_and_days_are_completed(by: Serving) -> None:
    asked, today = typing(by), by.now().date()

    assert values(await complete_tier(asked, "")) == [*READY_MADE]
    found = named(await complete_day(asked, ""))
    assert found[:3] == [
        (f"{today} (today)", f"{today}"),
        (f"{today - timedelta(days=1)} (yesterday)", f"{today - timedelta(days=1)}"),
        (f"{today - timedelta(days=7)} (a week ago)", f"{today - timedelta(days=7)}"),
    ]
    assert values(await complete_day(asked, "yesterday")) == [f"{today - timedelta(days=1)}"]


async def test_only_who_may_refund_is_offered_jobs(by: Serving) -> None:
    assert await complete_job(typing(by), "") == []
    by.fake.set_permissions(by.server, by.ada, MANAGE_GUILD)
    assert await complete_job(typing(by), "") == []


def test_a_choice_is_read_in_any_case_and_all_others_are_refused() -> None:
    assert chosen(PeriodKind, None) is None
    assert chosen(PeriodKind, " WEEK ") is PeriodKind.WEEK
    with pytest.raises(NoSuchPeriod, match="year"):
        chosen(PeriodKind, "year")
    assert named(choices_of(PeriodKind)) == [(each.value, each.value) for each in PeriodKind]
