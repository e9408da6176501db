"""What the operator allows: who may ask, where, and for how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.errors import UserError
from bot.jobs import Option, Route
from bot.ledger import credits_text, month_of, next_month
from bot.store import ledger
from bot.store.database import Transaction


class NotEnoughCredits(UserError):
    def __init__(self, *, price: int, left: int, resets_at: datetime) -> None:
        super().__init__(
            f"This costs {credits_text(price)} credits and you have {credits_text(left)} left "
            f"this month. Ask for fewer pictures, or wait until {_day(resets_at)}."
        )


class BudgetExhausted(UserError):
    def __init__(self, *, resets_at: datetime) -> None:
        super().__init__(
            f"This bot's budget for the month is used up. It starts anew on {_day(resets_at)}."
        )


class NotServed(UserError):
    """The operator does not serve this member, or not here."""


class UnsafeRefused(UserError):
    def __init__(self, *, allowed: bool) -> None:
        super().__init__(
            "Only those who manage the server may switch the safety checker off, and only in an "
            "age-restricted channel. Leave safety_checker out."
            if allowed
            else "The safety checker cannot be switched off here. Leave safety_checker out."
        )


@dataclass(frozen=True, slots=True)
class Quotas:
    """Amounts are thousandths of a credit; None is no limit."""

    servers: frozenset[int] = frozenset()  # empty: all, and direct messages
    blocked_users: frozenset[int] = frozenset()
    budget: int | None = None  # of everybody together, in a month
    allowance: int | None = None  # of one member, in a month
    allow_unsafe: bool = False
    user_install: bool = False  # members may have it by an install of their own

    def check_place(self, user_id: int, route: Route) -> None:
        """Raise NotServed where this member is not served, or nobody is."""
        if user_id in self.blocked_users:
            raise NotServed("The people who run this bot have shut you out of it. Ask them why.")
        if not self._serves(route.account_server_id):
            raise NotServed("This bot does not work here. Ask the people who run it to allow it.")

    def check_safety(self, options: Mapping[str, Option], *, may_be_unsafe: bool) -> None:
        """Raise UnsafeRefused where the safety checker would be off, and may not be."""
        off = options.get("safety_checker") is False
        if off and not (self.allow_unsafe and may_be_unsafe):
            raise UnsafeRefused(allowed=self.allow_unsafe)

    async def check_credits(
        self, tx: Transaction, user_id: int, price: int, asked_at: datetime
    ) -> None:
        """Raise BudgetExhausted or NotEnoughCredits where the month has less left than `price`.

        In the transaction of the hold, so that two requests cannot both take the last credit.
        """
        month, resets_at = month_of(asked_at), next_month(asked_at)
        if self.budget is not None:
            left = self.budget + await ledger.sum_of_month(tx, month)
            if price > left:
                raise BudgetExhausted(resets_at=resets_at)
        if self.allowance is not None:
            left = self.allowance + await ledger.sum_of_month(tx, month, user_id=user_id)
            if price > left:
                raise NotEnoughCredits(price=price, left=left, resets_at=resets_at)

    def _serves(self, server_id: int) -> bool:
        if not self.servers or server_id in self.servers:
            return True
        return server_id == 0 and self.user_install


def _day(moment: datetime) -> str:
    return f"<t:{int(moment.timestamp())}:D>"
