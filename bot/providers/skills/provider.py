"""skills.video (apis.md, section A): one id for all pictures of a request, and no way to cancel.

Its event stream creates a generation, so that it is no way to follow one: it is not used.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr

from bot.catalog import ModelSpec, skills_spec
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest
from bot.ledger import Cost, thousandths
from bot.observability.metrics import Metrics
from bot.providers.api_client import DATA_LIMIT, Api
from bot.providers.base import Failed, Finished, Submitted, Update, Waiting
from bot.providers.error_mapping import classify, detail_of, has_error
from bot.providers.parsing import JsonObject, Vocabulary, amount, identifier, is_object, pictures
from bot.providers.updates import begun, update_of

SUBMIT_TIMEOUT = 60.0  # seconds
# What our options are called there (apis.md, A2). `n` alone: `num_images` beside it may multiply.
NAMES: Mapping[str, str] = {
    "count": "n",
    "expand_prompt": "enable_prompt_expansion",
    "safety_checker": "enable_safety_checker",
}
STATUSES = ("status", "state", "queue_state", "prediction_status")
USAGE = ("total", "subscription", "permanent")
BALANCES = (*USAGE, "balance", "credits", "remaining", "available")
LARGEST_BALANCE = Decimal(10**15)


class Skills:
    """Implements bot.providers.base.Provider."""

    key = "skills"
    can_cancel = False
    takes_data = False

    def __init__(
        self,
        session: aiohttp.ClientSession,
        key: SecretStr,
        url: str = "https://open.skills.video/api/v1",
        model: str = "qwen/qwen-image-2-pro",
        *,
        metrics: Metrics,
        price: int,
    ) -> None:
        """`price` is a picture's, in thousandths of a credit: the API tells none."""
        self._api = Api(session, url, key, name=self.key, metrics=metrics)
        self._model = model
        self._spec = skills_spec(price=price)
        self._words = Vocabulary("skills")

    def headers_for(self, url: str) -> Mapping[str, str]:
        return self._api.headers_for(url)

    async def ping(self) -> None:
        await self._api.request("GET", "/credits")

    async def describe(self) -> ModelSpec:
        """The table: there is no models endpoint."""
        return self._spec

    async def submit(self, request: GenerationRequest) -> tuple[Submitted, ...]:
        body: dict[str, object] = {"prompt": request.prompt}
        body |= {NAMES.get(name, name): value for name, value in request.options.items()}
        if request.inputs:
            body["image_urls"] = [*request.inputs]
        answer = await self._api.request(
            "POST",
            f"/generation/{quote(self._model, safe='/')}",
            json=body,
            timeout=SUBMIT_TIMEOUT,
            limit=DATA_LIMIT,  # it may be the end already
        )
        row = _row(answer)
        remote_id = identifier(row.get("id"))
        if remote_id is not None:
            return (Submitted(remote_id, begun(self._begun(row))),)
        if has_error(answer):
            raise self._refused(answer)
        raise ProviderError(Reason.MALFORMED, "no id in the answer", Taken.DOUBTFUL)

    async def fetch(self, remote_id: str) -> Update:
        return self._update(await self._ask(remote_id))

    async def cancel(self, remote_id: str) -> None:
        raise ProviderError(Reason.INVALID, "skills.video has no cancel")

    async def cost(self, remote_id: str) -> Cost | None:
        """Of what has ended only: before, the numbers may be zero or an estimate (apis.md, A7)."""
        update = self._update(await self._ask(remote_id))
        return update.cost if isinstance(update, Finished | Failed) else None

    async def find(
        self, request: GenerationRequest, since: datetime, until: datetime
    ) -> tuple[Submitted, ...]:
        """Nothing: the API has no list."""
        return ()

    async def events(self) -> AsyncIterator[str]:
        """None: the API has no stream of what others have begun."""
        nothing: tuple[str, ...] = ()
        for remote_id in nothing:
            yield remote_id

    async def credits(self) -> Mapping[str, Decimal]:
        """The account's numbers by the API's names; empty where they cannot be read.

        What the answer looks like is not documented (apis.md, A7).
        """
        body = await self._api.request("GET", "/credits")
        if not is_object(body):
            return {}
        inner = [
            each for name in ("data", "credits", "balance") if is_object(each := body.get(name))
        ]
        return {
            name: number
            for place in (body, *inner)
            for name in BALANCES
            if (number := amount(place.get(name), LARGEST_BALANCE)) is not None
        }

    async def _ask(self, remote_id: str) -> JsonObject:
        path = f"/generation/{quote(remote_id, safe='')}"
        body = await self._api.request("GET", path, limit=DATA_LIMIT)
        row = _row(body)
        found = identifier(row.get("id"))
        if found is not None and found != remote_id:
            detail = self._api.safe(f"asked for {remote_id}, told of {found}")
            raise ProviderError(Reason.MALFORMED, detail)
        if _word(row) is None and has_error(row):
            raise self._refused(row)
        return row

    def _update(self, row: JsonObject) -> Update:
        word = _word(row)
        if word is None:
            raise ProviderError(Reason.MALFORMED, "a generation without a status")
        return update_of(
            self._words.state(word),
            row,
            found=pictures(row),
            detail=self._api.safe(detail_of(row)),
            cost=_cost(row),
        )

    def _begun(self, row: JsonObject) -> Update:
        return Waiting() if _word(row) is None else self._update(row)

    def _refused(self, body: object) -> ProviderError:
        """An error that was sent as a success."""
        return ProviderError(classify(body), self._api.safe(detail_of(body)), Taken.REFUSED)


def _row(body: object) -> JsonObject:
    """The generation, also inside an envelope; what is none has neither an id nor a status."""
    if not is_object(body):
        return {}
    if "id" not in body:
        for name in ("data", "generation", "prediction"):
            if is_object(inner := body.get(name)) and "id" in inner:
                return inner
    return body


def _word(row: JsonObject) -> str | None:
    words = (row.get(name) for name in STATUSES)
    return next((word for word in words if isinstance(word, str) and word.strip()), None)


def _cost(row: JsonObject) -> Cost | None:
    """In credits, of which the API has two kinds: a subscription's and those bought beside it."""
    usage = row.get("usage")
    if not is_object(usage):
        return None
    told = {name: number for name in USAGE if (number := amount(usage.get(name))) is not None}
    if not told:
        return None
    total = told.get("total", sum(told.values(), Decimal(0)))
    return Cost(thousandths(total), {name: f"{number:f}" for name, number in told.items()})
