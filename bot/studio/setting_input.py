"""What managers type: amounts, numbers and times. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from bot.errors import UserError
from bot.ledger import credits_text, thousandths
from bot.rights import MOST_COOLDOWN, MOST_CREDITS

UNLIMITED: Final = "unlimited"
Limit = int | Literal["unlimited"] | None  # thousandths of a credit; None is not set

NUMBER = re.compile(r"\d+(?:[.,]\d{1,3})?")
SEPARATED = re.compile(r"[1-9]\d{0,2}(?:[.,]\d{3})+")  # 1,000: one, or a thousand?
DURATION = re.compile(r"(\d{1,6})\s*(s|sec|seconds?|m|min|minutes?|h|hours?)?", re.IGNORECASE)
SECONDS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600}


class AmountUnread(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "“{typed}” is not an amount of credits. Type a number from 0 to {most}, such as 200 or "
            "7.5, or the word unlimited.",
            typed=typed,
            most=credits_text(MOST_CREDITS),
        )


class AmountAmbiguous(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "“{typed}” can be read in two ways. Type the number without a mark between the "
            "thousands, such as 1000 or 1.5.",
            typed=typed,
        )


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


def read_amount(typed: str) -> Limit:
    """Return an amount in thousandths of a credit; None for no text. A comma may be the point."""
    text = typed.strip()
    if not text:
        return None
    if text.casefold() == UNLIMITED:
        return UNLIMITED
    if SEPARATED.fullmatch(text):
        raise AmountAmbiguous(typed)
    if not NUMBER.fullmatch(text) or len(text) > 20:
        raise AmountUnread(typed)
    amount = thousandths(Decimal(text.replace(",", ".")))
    if amount > MOST_CREDITS:
        raise AmountUnread(typed)
    return amount


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


def amount_text(limit: Limit) -> str:
    """Return the text that `read_amount` reads as this amount."""
    if limit is None:
        return ""
    return limit if limit == UNLIMITED else credits_text(int(limit))
