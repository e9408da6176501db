"""What managers type: amounts of credits, limits, numbers and times. Pure."""

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum

from bot.errors import UserError
from bot.ledger import AmountText, credits_text, thousandths
from bot.option_values import REMARK
from bot.periods import PeriodKind
from bot.rights import MOST_COOLDOWN, MOST_CREDITS, Allowance

AMOUNT = re.compile(r"(?P<sign>[+-]?)(?P<number>[0-9]+(?:[.,][0-9]+)?)(?: ?credits?)?")
SEPARATED = re.compile(r"[1-9]\d{0,2}(?:[.,]\d{3})+")  # 1,000: one, or a thousand?
DECIMALS = 3
LONGEST_AMOUNT = 30  # digits
DURATION = re.compile(r"(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?)?", re.IGNORECASE)
SECONDS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600}


class Word(Enum):
    """The words that may be typed for an allowance or a budget, beside `none` for the amount 0."""

    UNLIMITED = "unlimited"
    UNSET = "unset"


NONE = "none"
Limit = int | Word  # thousandths of a credit


class AmountUnread(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "“{typed}” is no amount of credits. Type a number such as 20 or 7.5, with 3 decimals "
            "at most.",
            typed=typed,
        )


class LimitUnread(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "“{typed}” is no amount of credits. Type a number such as 200 or 7.5, with 3 decimals "
            "at most, or one of these words: {words}.",
            typed=typed,
            words=(NONE, *(each.value for each in Word)),
        )


class AmountAmbiguous(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "“{typed}” can be read in two ways. Type the number without a mark between the "
            "thousands, such as 1000 or 1.5.",
            typed=typed,
        )


class AmountTooLarge(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "{typed} credits are too many. Type at most {most}.",
            typed=typed,
            most=AmountText(MOST_CREDITS),
        )


class AmountNegative(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__("{typed} credits are less than none. Type 0 or more.", typed=typed)


class NothingToGrant(UserError):
    def __init__(self) -> None:
        super().__init__("Nothing was granted. Type more than 0 credits.")


class NumberUnread(UserError):
    def __init__(self, typed: str, least: int, most: int) -> None:
        super().__init__(
            "“{typed}” is not a number from {least} to {most}. Type such a number.",
            typed=typed,
            least=least,
            most=most,
        )


class TimeUnread(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "“{typed}” is not a time of at most 24 hours. Type seconds, or a number with a unit, "
            "such as 90, 2m or 1h.",
            typed=typed,
        )


def read_amount(typed: str) -> int:
    """Return an amount in thousandths of a credit, from 0 to MOST_CREDITS. A comma may be the
    point.
    """
    text = unicodedata.normalize("NFKC", typed).strip().casefold()
    number = text.removesuffix("credits").removesuffix("credit").strip().lstrip("+-")
    if SEPARATED.fullmatch(number):
        raise AmountAmbiguous(typed)
    found = AMOUNT.fullmatch(text)
    decimals = "" if found is None else found["number"].replace(",", ".").partition(".")[2]
    raised = any(each.isdigit() and not each.isdecimal() for each in typed)  # 10² is not 102
    if found is None or raised or len(decimals) > DECIMALS:
        raise AmountUnread(typed)
    if len(number) > LONGEST_AMOUNT:
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


def read_limit(typed: str) -> Limit:
    """Return the amount of an allowance or a budget, or the word in its place."""
    text = REMARK.sub("", typed.strip()).casefold()
    if text == NONE:
        return 0
    for word in Word:
        if text == word.value:
            return word
    try:
        return read_amount(typed)
    except AmountUnread:
        raise LimitUnread(typed) from None


def read_number(typed: str, least: int, most: int) -> int | None:
    """Return a whole number; None for no text. NumberUnread."""
    text = typed.strip()
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise NumberUnread(typed, least, most)
    return int(text)


def read_seconds(typed: str) -> int | None:
    """Return a time in seconds, which a unit may follow; None for no text. TimeUnread."""
    text = typed.strip()
    if not text:
        return None
    match = DURATION.fullmatch(text)
    if match is None:
        raise TimeUnread(typed)
    seconds = int(match[1]) * SECONDS[(match[2] or "s")[0].lower()]
    if seconds > MOST_COOLDOWN:
        raise TimeUnread(typed)
    return seconds


def limit_of(allowance: Allowance | None) -> Limit:
    """Return the limit that is typed for an allowance or a budget."""
    if allowance is None:
        return Word.UNSET
    return Word.UNLIMITED if allowance.amount is None else allowance.amount


def allowance_of(limit: Limit, period: PeriodKind) -> Allowance | None:
    """Return the allowance or the budget for a limit; None for one that is not set."""
    match limit:
        case Word.UNSET:
            return None
        case Word.UNLIMITED:
            return Allowance(amount=None, period=period)
        case _:
            return Allowance(amount=limit, period=period)


def limit_text(limit: Limit) -> str:
    """Return the text of a form that stands for a limit: no text for one that is not set."""
    match limit:
        case Word.UNSET:
            return ""
        case Word.UNLIMITED:
            return Word.UNLIMITED.value
        case _:
            return credits_text(limit)
