"""Numbers with their unit, written as in the language of the member.

The words around them are English. Babel knows the separators of digits by the data of Unicode.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.numbers import format_decimal

from bot.ledger import CREDIT
from bot.rights import Allowance
from cogs.ui.wording import CREDITS, PERIODS, Limits, Plural

DEFAULT = "en-US"
# By Discord's names; Babel has all others under the same name with an underscore.
LOCALES: Mapping[str, str] = {"no": "nb", "zh-CN": "zh_Hans_CN", "zh-TW": "zh_Hant_TW"}


def credits_in(amount: int, locale: str | None) -> str:
    """Return an amount with its unit: 7500 is "7.5 credits", and in German "7,5 credits".

    `amount` is in thousandths of a credit; `locale` is Discord's name of a language. English stands
    for one that Babel does not know, and for None.
    """
    return counted(CREDITS, amount, locale)


def counted(texts: Plural, amount: int, locale: str | None) -> str:
    """Return the text that fits an amount of credits, with the amount filled in."""
    text = texts.one if amount == CREDIT else texts.many
    return text.format(count=number_in(amount, locale))


def limit_in(limit: Allowance, locale: str | None) -> str:
    """Return an allowance or a budget, as in "7.5 credits a day"."""
    if limit.amount is None:
        return Limits.UNLIMITED
    if not limit.amount:
        return Limits.NONE
    amount = credits_in(limit.amount, locale)
    return Limits.PER_PERIOD.format(amount=amount, period=PERIODS[limit.period])


def number_in(amount: int, locale: str | None) -> str:
    """Return an amount without its unit, with three decimals at most."""
    return format_decimal(Decimal(amount) / CREDIT, locale=_locale(locale or DEFAULT))


@lru_cache(maxsize=64)
def _locale(name: str) -> Locale:
    try:
        return Locale.parse(LOCALES.get(name, name.replace("-", "_")))
    except (ValueError, UnknownLocaleError):
        return Locale.parse("en_US")
