"""Credits: amounts are integers in thousandths of a credit, a balance is a sum of entries.

A request holds its price (a negative `hold`). Settler releases the whole hold and captures the
cost in one transaction, so that a settled job's entries add up to minus its cost, also when the
cost exceeds the price.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

CREDIT = 1000  # thousandths


class EntryKind(StrEnum):
    HOLD = "hold"
    RELEASE = "release"
    CAPTURE = "capture"
    GRANT = "grant"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose credits: a member in a server; server 0 in direct messages and for a user install."""

    user_id: int
    server_id: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One signed line that is never edited. `month` ("2026-11") is the month of the job's hold."""

    account: Account
    kind: EntryKind
    amount: int
    month: str
    created_at: datetime
    job_id: str | None = None
    reason: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a provider charged, in thousandths of a credit, with its own figures beside it.

    `details` are decimal strings: `usd` at Oxen; `total`, `subscription` and `permanent` at
    skills.video.
    """

    amount: int
    details: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: "Cost") -> "Cost":
        names = {**self.details, **other.details}
        sums = {
            name: str(Decimal(self.details.get(name, "0")) + Decimal(other.details.get(name, "0")))
            for name in names
        }
        return Cost(self.amount + other.amount, sums)


@dataclass(frozen=True, slots=True)
class Usage:
    """A member's month. `left` is None where nothing limits them."""

    used: int
    held: int
    left: int | None
    jobs: int
    pictures: int
    resets_at: datetime


def thousandths(credits: Decimal) -> int:
    """Credits as the ledger keeps them, rounded half up."""
    return int((credits * CREDIT).to_integral_value(ROUND_HALF_UP))


def credits_text(amount: int) -> str:
    """7500 -> "7.5", -20000 -> "-20": for people, without trailing zeros."""
    text = f"{Decimal(amount) / CREDIT:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def balance(entries: Iterable[LedgerEntry]) -> int:
    return sum(entry.amount for entry in entries)


def month_of(moment: datetime) -> str:
    """The month in UTC that a job counts in."""
    return moment.astimezone(UTC).strftime("%Y-%m")


def next_month(moment: datetime) -> datetime:
    """When an allowance starts anew: the first of the next month, 00:00 UTC."""
    moment = moment.astimezone(UTC)
    years, month = divmod(moment.month, 12)
    return datetime(moment.year + years, month + 1, 1, tzinfo=UTC)
