"""Amounts of credits that managers type, and amounts as texts for the audit. Pure."""

import re
import unicodedata
from decimal import Decimal
from enum import Enum

from bot.errors import UserError
from bot.ledger import CREDIT, credits_text, thousandths
from bot.option_values import REMARK
from bot.periods import PeriodKind
from bot.rights import MOST_CREDITS, Allowance
from bot.studio.setting_input import SEPARATED, AmountAmbiguous

NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<number>[0-9]+(?:[.,][0-9]+)?)(?: ?credits?)?")
DECIMALS = 3
NOT_SET = "not set"


class Word(Enum):
    """The words that a manager may type instead of an amount; `none` is the amount 0."""

    UNLIMITED = "unlimited"
    UNSET = "unset"


NONE = "none"


class AmountUnread(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "“{typed}” is no amount of credits. Type a number such as 20 or 7.5, with 3 decimals "
            "at most.",
            typed=typed,
        )


class AmountTooLarge(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "{typed} credits are too many. Type at most {most}.",
            typed=typed,
            most=MOST_CREDITS // CREDIT,
        )


class AmountNegative(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__("{typed} credits are less than none. Type 0 or more.", typed=typed)


class NothingToGrant(UserError):
    def __init__(self) -> None:
        super().__init__("Nothing was granted. Type more than 0 credits.")


def read_amount(typed: str) -> int:
    """Return an amount in thousandths of a credit, from 0 to MOST_CREDITS."""
    text = unicodedata.normalize("NFKC", typed).strip().casefold()
    number = text.removesuffix("credits").removesuffix("credit").strip().lstrip("+-")
    if SEPARATED.fullmatch(number):
        raise AmountAmbiguous(typed)
    found = NUMBER.fullmatch(text)
    decimals = "" if found is None else found["number"].replace(",", ".").partition(".")[2]
    raised = any(each.isdigit() and not each.isdecimal() for each in typed)  # 10² is not 102
    if found is None or raised or len(decimals) > DECIMALS:
        raise AmountUnread(typed)
    if len(number) > 30:
        raise AmountTooLarge(typed)
    amount = thousandths(Decimal(found["number"].replace(",", ".")))
    if found["sign"] == "-" and amount:
        raise AmountNegative(typed)
    if amount > MOST_CREDITS:
        raise AmountTooLarge(found["number"])
    return amount


def read_grant(typed: str) -> int:
    """Return the amount of a grant, which is more than nothing."""
    try:
        amount = read_amount(typed)
    except AmountNegative:
        raise NothingToGrant from None
    if not amount:
        raise NothingToGrant
    return amount


def read_limit(typed: str) -> int | Word:
    """Return the amount of an allowance or a budget, or the word in its place."""
    text = REMARK.sub("", typed.strip()).casefold()
    if text == NONE:
        return 0
    for word in Word:
        if text == word.value:
            return word
    return read_amount(typed)


def limit_of(limit: int | Word, period: PeriodKind) -> Allowance | None:
    """Return the allowance or budget for what a manager typed; None to remove the one there is."""
    match limit:
        case Word.UNSET:
            return None
        case Word.UNLIMITED:
            return Allowance(amount=None, period=period)
        case _:
            return Allowance(amount=limit, period=period)


def limit_text(limit: Allowance | None) -> str:
    """Return an allowance or a budget for the audit."""
    if limit is None:
        return NOT_SET
    if limit.amount is None:
        return Word.UNLIMITED.value
    return f"{credits_text(limit.amount)} credits a {limit.period}"
