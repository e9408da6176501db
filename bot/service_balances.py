"""ServiceBalances: the credits that the operator has left at each service, as last read.

The worker reads them (bot.worker.balances), never the request of a member. While the last known
balance of a service is under the operator's floor, no new job is accepted for that service.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.errors import UserError

FRESH = timedelta(hours=1)  # afterwards, a balance refuses no more jobs


class NoCreditsAtService(UserError):
    def __init__(self, service: str) -> None:
        super().__init__(
            "{service} has no credits left for this bot. Choose a model of another service, or "
            "tell the bot's operator.",
            service=service,
        )


@dataclass(frozen=True, slots=True)
class ServiceBalance:
    """A balance in thousandths of a credit, and the time of its reading.

    `low` is whether the operator's log says that new jobs are refused.
    """

    credits: int
    read_at: datetime
    low: bool = False


class ServiceBalances:
    def __init__(
        self, now: Callable[[], datetime], floors: Mapping[str, int] | None = None
    ) -> None:
        """`floors` are in thousandths of a credit, by provider; a provider may have none."""
        self._now = now
        self._floors = floors or {}
        self._known: dict[str, ServiceBalance] = {}

    @property
    def known(self) -> Mapping[str, ServiceBalance]:
        """The last balances by provider, however old."""
        return dict(self._known)

    @property
    def low(self) -> frozenset[str]:
        """Providers for which new jobs are refused."""
        return frozenset(
            provider for provider, found in self._known.items() if self.is_low(provider, found)
        )

    def floor(self, provider: str) -> int | None:
        return self._floors.get(provider)

    def is_low(self, provider: str, balance: ServiceBalance | None) -> bool:
        """Return whether a balance is under the provider's floor, and fresh."""
        floor = self._floors.get(provider)
        if floor is None or balance is None:
            return False
        return balance.credits < floor and self._now() - balance.read_at < FRESH

    def adopt(self, balances: Mapping[str, ServiceBalance]) -> None:
        """Take over the balances that this process or another one has read."""
        self._known |= balances
