"""The interface of a provider: how the worker sees an image API, and how an API is registered."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeVar

import aiohttp

from bot.catalog import ModelSpec
from bot.errors import Reason
from bot.jobs import GenerationRequest
from bot.ledger import Cost
from bot.proxies import DIRECT, Proxies
from bot.settings import ProviderSettings


@dataclass(frozen=True, slots=True)
class Waiting:
    """Accepted, not started."""


@dataclass(frozen=True, slots=True)
class Running:
    """Started, or in a state with a name that Easel does not know.

    `ended` if the answer to the creating request names the end alone: `fetch` returns the result.
    """

    ended: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a generation with pictures.

    `pictures` are `https:` or `data:` addresses, at least one, without duplicates. `cost` is None
    if the API reports the cost elsewhere (`Provider.cost`) or not at all. `prompts` are those that
    were drawn, as far as the API sends them, without duplicates.
    """

    pictures: tuple[str, ...]
    cost: Cost | None = None
    prompts: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of a generation without a picture. `detail` is the API's text, for the operator."""

    reason: Reason
    detail: str = ""
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Canceled:
    """Stopped before the end."""


Update = Waiting | Running | Finished | Failed | Canceled


@dataclass(frozen=True, slots=True)
class Submitted:
    """A generation that the API accepted; `update` may be an end already."""

    remote_id: str
    update: Update


class Stream(Protocol):
    """The open event stream of one submit's generations; whoever has the stream closes it."""

    def ends(self) -> AsyncIterator[str]:
        """Yield the remote ids that have ended, until the stream ends; raises nothing.

        Only a hint: ends may be missed.
        """

    def close(self) -> None:
        """Close the connection, also while `ends` waits; a second call does nothing."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The answer to a creating request: at least one generation; their stream, if there is one."""

    generations: tuple[Submitted, ...]
    stream: Stream | None = None

    def close(self) -> None:
        """Close the stream, if there is one."""
        if self.stream is not None:
            self.stream.close()


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of `Provider.check`; `remedy` is empty if the operator need not do anything."""

    text: str
    remedy: str = ""


class Provider(Protocol):
    """An image API. Every method but `headers_for` raises ProviderError, and nothing else."""

    @property
    def key(self) -> str:
        """The name of the provider in its registry entry, in tables and in logs."""

    @property
    def takes_data(self) -> bool:
        """True if an input picture may be sent as a `data:` address."""

    async def describe(self) -> tuple[ModelSpec, ...]:
        """Return every model as the API describes it now; the table fills in what is missing."""

    async def check(self) -> tuple[Finding, ...]:
        """Use the key in requests that cost nothing, and return what the operator should know."""

    async def ping(self) -> None:
        """Send a request that costs nothing, to learn whether the API works."""

    async def balance(self) -> int | None:
        """Return the credits that are left, in thousandths; None if the API reports no balance."""

    async def submit(self, request: GenerationRequest, member: int) -> Submission:
        """Send the creating request once, for the API's model behind `request.model`.

        `member`, the id of the requester, is not sent: members share what the API has few of, such
        as open streams.
        `taken` of a ProviderError says whether the API accepted the request. The caller closes
        the submission.
        """

    async def fetch(self, remote_id: str) -> Update:
        """Return the state of one generation. No other source is as reliable."""

    async def cancel(self, remote_id: str) -> None:
        """Request the end of one generation; `fetch` shows the result.

        Used only for models that `ModelSpec.cancels`.
        """

    async def cost(self, remote_id: str) -> Cost | None:
        """Return the cost of one finished generation, or None until the API reports the cost."""

    async def find(
        self, request: GenerationRequest, since: datetime, until: datetime
    ) -> tuple[Submitted, ...]:
        """Return generations created from `since` to `until` that fit a request exactly.

        Used after an unknown outcome. They agree in model, prompt and every option. Empty if the
        API has no list.
        """

    async def active(self) -> Collection[str] | None:
        """Return the ids of all generations without an end; None if the API has no list.

        An id that is not in it may be that of another model.
        """

    def events(self) -> AsyncIterator[str]:
        """Yield remote ids with news, and empty texts as signs of life of the stream.

        Only a hint: events may be missed, and the stream may end.
        """

    def headers_for(self, url: str) -> Mapping[str, str]:
        """Return the API's key for an address of the API's own origin, else no header."""


class RequestObserver(Protocol):
    """The receiver of every request's duration and outcome."""

    def asking(self, provider: str, method: str) -> AbstractContextManager[None]:
        """Observe one request, which is sent within the block; an error is a ProviderError."""


@dataclass(frozen=True, slots=True)
class Http:
    """The connections that all providers share, and the observer of their requests."""

    session: aiohttp.ClientSession
    observer: RequestObserver
    proxies: Proxies = DIRECT


S = TypeVar("S", bound=ProviderSettings)
Figures = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class ProviderEntry(Generic[S]):
    """An image API in the registry: all that the rest of Easel needs to offer its models.

    `key` is the provider's name in tables, logs and metrics. `key_page` is the address where the
    operator creates an API key. `specs` returns the models, in the order in which they are tried,
    with the prices of the settings. `credits_of` recomputes a cost from the figures in
    `Cost.details`, for the audit of the ledger; None if they are not the figures of this API.
    `floor` returns the balance, in credits, under which the operator wants no new jobs.
    """

    key: str
    key_page: str
    settings: type[S]
    specs: Callable[[S], tuple[ModelSpec, ...]]
    make: Callable[[S, Http], Provider]
    credits_of: Callable[[S, Figures], Decimal | None] | None = None  # None: costs have no figures
    floor: Callable[[S], Decimal | None] = lambda _: None


AnyEntry = ProviderEntry[Any]  # each entry has settings of its own type
