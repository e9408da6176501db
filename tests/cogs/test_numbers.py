"""Amounts of credits as members of each language write numbers."""

import discord
import pytest

from bot.ledger import credits_text
from cogs.ui.numbers import credits_in

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
