"""Oxen.ai (apis.md, section B): an asynchronous queue, one id for each picture."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr

from bot.catalog import ModelSpec, oxen_spec
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest
from bot.ledger import Cost, thousandths
from bot.observability.metrics import Metrics
from bot.providers.api_client import DATA_LIMIT, Api
from bot.providers.base import Finished, Submitted, Update, Waiting
from bot.providers.error_mapping import classify, detail_of, has_error
from bot.providers.oxen.model import described
from bot.providers.oxen.rows import (
    SKEW,
    enqueued_at,
    fits,
    id_of,
    parameters,
    result_of,
    rows_of,
    told_id,
    unwrapped,
)
from bot.providers.parsing import JsonObject, Vocabulary, amount, is_object, pictures
from bot.providers.sse import Decoder
from bot.providers.updates import begun, update_of

COMPLETED = "media_generation_completed"
SILENCE = 45.0  # seconds: three missed keep-alives of the event stream (apis.md, B3)
SYNC_TIMEOUT = 180.0  # seconds: the picture is made while the request waits
SUBMIT_TIMEOUT = 60.0  # an input picture may go with it as a data URI
PAGE = 100  # rows of the history in one answer
MOST_PAGES = 10


class Oxen:
    """Implements bot.providers.base.Provider."""

    key = "oxen"
    can_cancel = True
    takes_data = True

    def __init__(
        self,
        session: aiohttp.ClientSession,
        key: SecretStr,
        url: str = "https://hub.oxen.ai/api",
        model: str = "qwen-image-2",
        *,
        metrics: Metrics,
        price: int,
        credits_per_usd: Decimal,
    ) -> None:
        """`price` is a picture's, in thousandths of a credit, until the API tells its own."""
        self._api = Api(session, url, key, name=self.key, metrics=metrics)
        self._model = model
        self._credits_per_usd = credits_per_usd
        self._table = oxen_spec(price=price)
        self._spec = self._table
        self._words = Vocabulary("oxen")

    def headers_for(self, url: str) -> Mapping[str, str]:
        return self._api.headers_for(url)

    async def ping(self) -> None:
        await self._api.request("GET", f"/ai/models/{_path(self._model)}")

    async def describe(self) -> ModelSpec:
        body = await self._api.request("GET", f"/ai/models/{_path(self._model)}")
        self._spec = described(self._table, body, credits_per_usd=self._credits_per_usd)
        return self._spec

    async def submit(self, request: GenerationRequest) -> tuple[Submitted, ...]:
        body = {"model": self._model, **parameters(request)}
        answer = await self._api.request("POST", "/ai/queue", json=body, timeout=SUBMIT_TIMEOUT)
        rows = {id_of(row): row for row in rows_of(answer) or ()}
        found = [Submitted(each, self._begun(row)) for each, row in rows.items() if each]
        if found:
            return tuple(found)
        if has_error(answer):  # also beside an empty list (apis.md, B2)
            raise self._refused(answer)
        raise ProviderError(Reason.MALFORMED, "no generation_id in the answer", Taken.DOUBTFUL)

    async def fetch(self, remote_id: str) -> Update:
        path = f"/ai/queue/{_path(remote_id)}"
        # A row repeats its request, and so an input picture that was sent as a data URI.
        body = await self._api.request("GET", path, limit=DATA_LIMIT)
        return self._update(self._row(body, remote_id))

    async def list(self, *, status: str | None = None) -> tuple[JsonObject, ...]:
        """The queue's rows of this model: those that are active, or those of one status."""
        params = {"model": self._model, "media_type": "image"}
        if status is not None:
            params["status"] = status
        body = await self._api.request("GET", "/ai/queue", params=params, limit=DATA_LIMIT)
        return self._rows(body)

    async def history(self, page: int = 1, page_size: int = PAGE) -> tuple[JsonObject, ...]:
        """A page of all generations of this model, ended ones too (apis.md, B2)."""
        params = {
            "page": str(page),
            "page_size": str(page_size),
            "model": self._model,
            "media_type": "image",
        }
        body = await self._api.request("GET", "/ai/generations", params=params, limit=DATA_LIMIT)
        return self._rows(body)

    async def cancel(self, remote_id: str) -> None:
        await self._api.request("DELETE", f"/ai/queue/{_path(remote_id)}")

    async def cost(self, remote_id: str) -> Cost | None:
        path = f"/ai/generations/{_path(remote_id)}"
        try:
            body = await self._api.request("GET", path, limit=DATA_LIMIT)
        except ProviderError as error:
            if error.reason is Reason.NOT_FOUND:  # not in the history yet
                return None
            raise
        return self._cost(self._row(body, remote_id))

    async def find(
        self, request: GenerationRequest, since: datetime, until: datetime
    ) -> tuple[Submitted, ...]:
        rows = {id_of(row): row for row in (*await self.list(), *await self._history_since(since))}
        fitting = [
            (enqueued_at(row) or 0.0, remote_id, row)
            for remote_id, row in rows.items()
            if remote_id is not None
            and fits(row, request, model=self._model, spec=self._spec, since=since, until=until)
        ]
        fitting.sort(key=lambda each: each[:2])
        return tuple(Submitted(remote_id, self._begun(row)) for _, remote_id, row in fitting)

    async def events(self) -> AsyncIterator[str]:
        decoder = Decoder()
        async with aclosing(self._api.stream("/events", silence=SILENCE)) as chunks:
            async for chunk in chunks:
                for event in decoder.feed(chunk):
                    if event.event == COMPLETED and (remote_id := told_id(event.data)):
                        yield remote_id

    async def edit(self, request: GenerationRequest, *, response_format: str = "url") -> Finished:
        """One picture while the request waits (apis.md, B4); also from a prompt alone."""
        return await self._draw("/ai/images/edit", request, response_format)

    async def generate(
        self, request: GenerationRequest, *, response_format: str = "url"
    ) -> Finished:
        """As `edit`, at the address that the list of models gives for image models."""
        return await self._draw("/ai/images/generate", request, response_format)

    async def _draw(self, path: str, request: GenerationRequest, response_format: str) -> Finished:
        body = {
            "model": self._model,
            **parameters(request),
            "response_format": response_format,  # `url` or `b64_json`
        }
        body.pop("num_generations", None)  # the queue's own
        answer = await self._api.request(
            "POST", path, json=body, timeout=SYNC_TIMEOUT, limit=DATA_LIMIT
        )
        found = pictures(answer) if is_object(answer) else ()
        if found:
            return Finished(found)
        if has_error(answer):
            raise self._refused(answer)
        raise ProviderError(Reason.NO_PICTURE, "no picture in the answer", Taken.DOUBTFUL)

    async def _history_since(self, since: datetime) -> Sequence[JsonObject]:
        found: Sequence[JsonObject] = ()
        for page in range(1, MOST_PAGES + 1):
            rows = await self.history(page)
            found = (*found, *rows)
            times = [time for row in rows if (time := enqueued_at(row)) is not None]
            # The order of the pages is not documented: only newest first may be left early.
            past = times and times[-1] <= times[0] and times[-1] < (since - SKEW).timestamp()
            if len(rows) < PAGE or past:
                break
        return found

    def _row(self, body: object, remote_id: str) -> JsonObject:
        """The row in an answer about one generation; ProviderError for an error sent as a 200."""
        if not is_object(body):
            raise ProviderError(Reason.MALFORMED, "the answer is no object")
        row = unwrapped(body)
        found = id_of(row)
        if found is not None and found.lower() != remote_id.lower():
            detail = self._api.safe(f"asked for {remote_id}, told of {found}")
            raise ProviderError(Reason.MALFORMED, detail)
        envelope = "status_message" in row or row.get("status") in (None, "error")
        if found is None and envelope and has_error(row):
            raise self._refused(row)
        return row

    def _rows(self, body: object) -> tuple[JsonObject, ...]:
        rows = rows_of(body)
        if rows is not None:
            return rows
        if has_error(body):
            raise self._refused(body)
        raise ProviderError(Reason.MALFORMED, "no list of generations in the answer")

    def _update(self, row: JsonObject) -> Update:
        word = row.get("status")
        if not isinstance(word, str):
            raise ProviderError(Reason.MALFORMED, "a generation without a status")
        return update_of(
            self._words.state(word),
            row,
            found=result_of(row),
            detail=self._api.safe(detail_of(row)),
            cost=self._cost(row),
        )

    def _begun(self, row: JsonObject) -> Update:
        try:
            return begun(self._update(row))
        except ProviderError:
            return Waiting()

    def _cost(self, row: JsonObject) -> Cost | None:
        usd = amount(row.get("cost"))
        if usd is None:
            return None
        return Cost(thousandths(usd * self._credits_per_usd), {"usd": f"{usd:f}"})

    def _refused(self, body: object) -> ProviderError:
        """An error that was sent as a success."""
        return ProviderError(classify(body), self._api.safe(detail_of(body)), Taken.REFUSED)


def _path(remote_id: str) -> str:
    return quote(remote_id, safe="")
