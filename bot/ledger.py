"""Credits: amounts are integers in thousandths of a credit, a balance is a sum of entries.

A request holds its price (a negative `hold`). The settlement releases the whole hold and captures
the cost in one transaction, so that a settled job's entries add up to minus its cost, also when
the cost exceeds the price. A charge that no member owes is a `loss` in the account of the server.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import NamedTuple

CREDIT = 1000  # thousandths


class EntryKind(StrEnum):
    HOLD = "hold"
    RELEASE = "release"
    CAPTURE = "capture"
    GRANT = "grant"
    ADJUSTMENT = "adjustment"
    LOSS = "loss"  # a charge of a provider for a failed job or an unknown outcome


@dataclass(frozen=True, slots=True)
class Account:
    """A member in a server; server 0 in direct messages and for a user install."""

    user_id: int
    server_id: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A signed line that is never edited. `counted_at` is the time of the job's hold."""

    account: Account
    kind: EntryKind
    amount: int
    counted_at: datetime
    created_at: datetime
    job_id: str | None = None
    reason: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


class Period(NamedTuple):
    """A range of time: from `begin`, before `end`, when allowances and budgets reset."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Cost:
    """A charge of a provider, in thousandths of a credit, beside the provider's own figures.

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


# A provider's figures in `Cost.details` to credits; None if they are not that provider's figures.
Charge = Callable[[Mapping[str, Decimal]], Decimal | None]
Charges = Mapping[str, Sequence[Charge]]  # by the provider's key; several after a change of a rate


@dataclass(frozen=True, slots=True)
class Usage:
    """The use of credits in a member's month. `left` is None without a limit.

    `reserved` is the price of jobs that were given up and may still be charged, until
    `reserved_until` at the latest.
    """

    used: int
    held: int
    reserved: int
    reserved_until: datetime | None
    left: int | None
    jobs: int
    pictures: int
    resets_at: datetime


def thousandths(credits: Decimal) -> int:
    """Return credits as the ledger's integer, rounded half up."""
    return int((credits * CREDIT).to_integral_value(ROUND_HALF_UP))


def credits_text(amount: int) -> str:
    """Return an amount for people, without trailing zeros: 7500 -> "7.5", -20000 -> "-20"."""
    text = f"{Decimal(amount) / CREDIT:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def balance(entries: Iterable[LedgerEntry]) -> int:
    return sum(entry.amount for entry in entries)


def month_of(moment: datetime) -> Period:
    """Return the month, in UTC, in which a job counts that is requested at this moment."""
    moment = moment.astimezone(UTC)
    years, month = divmod(moment.month, 12)
    return Period(
        datetime(moment.year, moment.month, 1, tzinfo=UTC),
        datetime(moment.year + years, month + 1, 1, tzinfo=UTC),
    )
