"""Amounts of credits as members of each language write numbers."""

import discord
import pytest

from bot.errors import UserError
from bot.ledger import credits_text
from bot.periods import PeriodKind
from bot.quotas import (
    BudgetExhausted,
    NotEnoughCredits,
    ProviderBudgetExhausted,
    ServerBudgetExhausted,
    Sum,
    TooManyJobs,
)
from bot.rights import Allowance
from bot.studio.setting_input import AmountTooLarge
from cogs.ui.numbers import credits_in, limit_in, number_in
from cogs.ui.text import sentence
from cogs.ui.wording import Plural, plural
from tests.support.acting import submit
from tests.support.easel import Stage, text_of
from tests.support.managing import choose, let_manage, opened, settings

REST = Sum(2_000_000, 1_234_500, None)
NARROW, WIDE = "\u202f", "\xa0"  # spaces that end no line
COMMA = {"en-US", "en-GB", "zh-CN", "zh-TW", "ja", "ko", "th", "es-419"}
DOT = {"hr", "id", "da", "nl", "de", "el", "it", "pt-BR", "ro", "es-ES", "tr", "vi"}
SPACE = {"bg", "cs", "fi", "hu", "lt", "pl", "ru", "sv-SE", "uk", "no"}
EXPECTED = {
    **dict.fromkeys(COMMA, "1,234,567.5 credits"),
    **dict.fromkeys(DOT, "1.234.567,5 credits"),
    **dict.fromkeys(SPACE, f"1{WIDE}234{WIDE}567,5 credits"),
    "fr": f"1{NARROW}234{NARROW}567,5 credits",
    "hi": "12,34,567.5 credits",
}


@pytest.mark.parametrize("locale", [each.value for each in discord.Locale])
def test_every_language_of_discord_has_its_separators(locale: str) -> None:
    assert credits_in(1_234_567_500, locale) == EXPECTED[locale]


@pytest.mark.parametrize("locale", [None, "", "xx", "en_XX", "../../etc", "a" * 200])
def test_an_unknown_language_is_written_as_in_english(locale: str | None) -> None:
    assert credits_in(1_234_500, locale) == "1,234.5 credits"


@pytest.mark.parametrize("amount", [0, 1, 999, 1000, 7500, 20_000, -2500, 12_345])
def test_no_digit_is_lost(amount: int) -> None:
    unit = "credit" if amount == 1000 else "credits"

    assert credits_in(amount, "en-US").replace(",", "") == f"{credits_text(amount)} {unit}"


@pytest.mark.parametrize(
    ("amount", "text"),
    [(1000, "1 credit"), (7500, "7,5 credits"), (1_234_567, "1.234,567 credits")],
)
def test_the_unit_is_english_in_every_language(amount: int, text: str) -> None:
    assert credits_in(amount, "de") == text


@pytest.mark.parametrize(
    ("amount", "period", "text"),
    [
        (None, PeriodKind.DAY, "unlimited"),
        (0, PeriodKind.DAY, "none at all"),
        (1, PeriodKind.DAY, "0,001 credits a day"),
        (1000, PeriodKind.WEEK, "1 credit a week"),
        (7500, PeriodKind.MONTH, "7,5 credits a month"),
    ],
)
def test_a_limit_has_its_period(amount: int | None, period: PeriodKind, text: str) -> None:
    assert limit_in(Allowance(amount=amount, period=period), "de") == text


def test_an_amount_may_stand_without_its_unit() -> None:
    assert (number_in(1_234_500, None), number_in(1000, "de")) == ("1,234.5", "1")


def test_one_of_a_thing_has_its_own_text() -> None:
    texts = Plural("1 fox", "{count} foxes")

    assert [plural(texts, count) for count in (-1, 0, 1, 2)] == [
        "-1 foxes",
        "0 foxes",
        "1 fox",
        "2 foxes",
    ]


@pytest.mark.parametrize(
    ("refusal", "texts"),
    [
        (NotEnoughCredits(20_000, 1, REST), ["costs 20 credits", "you have 1.234,5 credits left"]),
        (BudgetExhausted(20_500, 1, REST), ["it has 1.234,5 credits left", "costs 20,5 credits"]),
        (ProviderBudgetExhausted(1000, 1, REST, "Oxen.ai"), ["costs 1 credit."]),
        (ServerBudgetExhausted(7500, 1, REST), ["it has 1.234,5 credits left", "7,5 credits"]),
        (TooManyJobs(limit=5, held=37_500, used=1_000_000), ["37,5 credits", "1.000 credits"]),
        (AmountTooLarge("9" * 12), ["Type at most 1.000.000 credits"]),
    ],
    ids=lambda each: type(each).__name__,
)
def test_amounts_in_a_refusal_are_written_as_in_the_members_language(
    refusal: UserError, texts: list[str]
) -> None:
    for text in texts:
        assert text in sentence(refusal, "de")
    assert sentence(refusal, None) == sentence(refusal, "en-US")


async def test_a_refusal_and_the_pages_of_the_settings_are_written_so(at: Stage) -> None:
    at.ada.locale = "de"
    let_manage(at)
    budget = {"Budget of this server, in credits": "1234,5"}
    async with at.easel(monthly_credits=7):
        refused = text_of(await at.imagine("a fox", model="oxen"))
        page, form = await opened(at, "budget")
        await submit(at, form, budget)
        _, form = await opened(at, "default", "Change amounts")
        await submit(at, form, {"Allowance of each member, in credits": "7.5"})
        page = await settings(at)
        await choose(at, page, "page", "budget")
        of_budget = page.text()
        await choose(at, page, "page", "default")

    assert "One picture costs 7,5 credits, and you have 7 credits left." in refused
    assert "Budget of this server: **1.234,5 credits a month**" in of_budget
    assert "**0 credits**" in of_budget
    assert "Allowance of each member: **7,5 credits a month**" in page.text()
