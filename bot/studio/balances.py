"""The operator's balances at the services, for the operator's own server alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.quotas import Member
from bot.services import Services


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """A balance at a service, in thousandths of a credit, as it was at `read_at`.

    `floor` is that of the settings; `low` is whether new jobs are refused.
    """

    service: str
    credits: int
    read_at: datetime
    floor: int | None
    low: bool


class Balances:
    def __init__(self, services: Services) -> None:
        self._balances = services.balances
        self._names = services.quotas.services
        self._server_id = services.operator_server

    def are_shown_to(self, member: Member) -> bool:
        """Return whether the member acts in OPERATOR_SERVER; the caller checks the permission."""
        return self._server_id is not None and member.server_id == self._server_id

    def known(self) -> Sequence[BalanceLine]:
        """Return the last known balances, without a request to a service."""
        low = self._balances.low
        return [
            BalanceLine(
                service=self._names.get(provider, provider),
                credits=balance.credits,
                read_at=balance.read_at,
                floor=self._balances.floor(provider),
                low=provider in low,
            )
            for provider, balance in sorted(self._balances.known.items())
        ]
