"""Credits: amounts are integers in thousandths of a credit, a balance is a sum of entries.

A request holds its price (a negative `hold`). The settlement releases the whole hold and captures
the cost in one transaction, so that a settled job's entries add up to minus its cost, also when
the cost exceeds the price. A charge that no member owes is a `loss` in the account of the server.

An allowance is for a period, a `grant` lasts until it is used. A hold takes the allowance first,
and the rest from grants; what is not used of a hold goes back to the grants first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

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
    provider: str = ""  # of the job at that time; empty without a job
    granted: int = 0  # the part of `amount` that grants give or pay, with the same sign
    reason: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


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
    """The use of credits of a member in a period. `left` is None without a limit.

    `reserved` is the price of jobs that were given up and may still be charged, until
    `reserved_until` at the latest. `granted` is what is left of grants, which `left` contains.
    """

    used: int
    held: int
    reserved: int
    reserved_until: datetime | None
    left: int | None
    jobs: int
    pictures: int
    resets_at: datetime
    allowance: int | None = None
    granted: int = 0


def thousandths(credits: Decimal) -> int:
    """Return credits as the ledger's integer, rounded half up."""
    return int((credits * CREDIT).to_integral_value(ROUND_HALF_UP))


def credits_text(amount: int) -> str:
    """Return an amount for people, without trailing zeros: 7500 -> "7.5", -20000 -> "-20"."""
    whole, rest = divmod(abs(amount), CREDIT)
    text = f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)
    return f"-{text}" if amount < 0 else text


@dataclass(frozen=True, slots=True)
class AmountText:
    """An amount in a text, with its unit: the text has it in English, a member in their language.

    `amount` is in thousandths of a credit (cogs.ui.numbers.credits_in).
    """

    amount: int

    def __str__(self) -> str:
        return f"{credits_text(self.amount)} {'credit' if self.amount == CREDIT else 'credits'}"


def share_of_grants(price: int, allowance_left: int | None) -> int:
    """Return the part of a hold that grants pay: what the rest of the allowance does not cover.

    `allowance_left` may be below zero, if a cost exceeded its price; None is no limit.
    """
    if allowance_left is None:
        return 0
    return price - min(price, max(allowance_left, 0))


def share_of_cost(cost: int, price: int, granted: int) -> int:
    """Return the part of a cost that grants pay, of a job whose hold took `granted` from them.

    What is left of the hold goes back to the grants first; a cost above the price is on the
    allowance.
    """
    return min(max(cost - (price - granted), 0), granted)


def balance(entries: Iterable[LedgerEntry]) -> int:
    return sum(entry.amount for entry in entries)
