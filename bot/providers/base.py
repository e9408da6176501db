"""What the worker knows of an image API."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.catalog import ModelSpec
from bot.errors import Reason
from bot.jobs import GenerationRequest
from bot.ledger import Cost


@dataclass(frozen=True, slots=True)
class Waiting:
    """Accepted, not begun."""


@dataclass(frozen=True, slots=True)
class Running:
    """Begun, or in a state whose word we do not know."""


@dataclass(frozen=True, slots=True)
class Finished:
    """`pictures` are `https:` or `data:` addresses, at least one, without doubles.

    `cost` is None where the API tells it elsewhere or not at all (`Provider.cost`).
    """

    pictures: tuple[str, ...]
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The API did not make it. `detail` is its own words, for the operator."""

    reason: Reason
    detail: str = ""
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Canceled:
    """Stopped before it was finished."""


Update = Waiting | Running | Finished | Failed | Canceled


@dataclass(frozen=True, slots=True)
class Submitted:
    """One generation as the API took it; `update` may be the end already."""

    remote_id: str
    update: Update


class Provider(Protocol):
    """One image API. Every method but `headers_for` raises ProviderError, and nothing else."""

    @property
    def key(self) -> str:
        """Its name in the catalog, in tables and in logs."""

    @property
    def can_cancel(self) -> bool: ...

    @property
    def takes_data(self) -> bool:
        """Whether an input picture may be sent as a `data:` address."""

    async def describe(self) -> ModelSpec:
        """The model as the API tells it now; what it does not tell is as in the table."""

    async def ping(self) -> None:
        """Ask for something that costs nothing, to see whether the API is there."""

    async def submit(self, request: GenerationRequest) -> tuple[Submitted, ...]:
        """Send the creating request once. A ProviderError's `taken` tells what became of it."""

    async def fetch(self, remote_id: str) -> Update:
        """The truth about one generation."""

    async def cancel(self, remote_id: str) -> None:
        """Ask to stop one generation; what came of it, `fetch` tells."""

    async def cost(self, remote_id: str) -> Cost | None:
        """What one finished generation cost, or None while the API does not say."""

    async def find(
        self, request: GenerationRequest, since: datetime, until: datetime
    ) -> tuple[Submitted, ...]:
        """Generations created from `since` to `until` that fit the request in model, prompt and
        every option.

        For a creating request whose answer was lost. Empty where the API has no list.
        """

    def events(self) -> AsyncIterator[str]:
        """Remote ids that have news. A hint: it may end, fail or miss some at any time."""

    def headers_for(self, url: str) -> Mapping[str, str]:
        """The API's key, for an address of the API's own origin; nothing for any other."""
