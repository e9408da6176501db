"""The client of Oxen.ai (apis.md, Oxen.ai): an asynchronous queue with one id per picture."""

import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

from bot.catalog import ModelSpec, check_request
from bot.errors import ProviderError, Reason, Taken, UserError
from bot.jobs import GenerationRequest
from bot.ledger import Cost, credits_text, thousandths
from bot.providers.api_client import DATA_LIMIT, Api
from bot.providers.base import (
    Failed,
    Figures,
    Finding,
    Http,
    Submission,
    Submitted,
    Update,
    Waiting,
)
from bot.providers.error_mapping import classify, detail_of, has_error
from bot.providers.oxen.model import DOCUMENTED, OxenSettings, described, oxen_spec
from bot.providers.oxen.rows import (
    INPUT,
    SKEW,
    InputField,
    enqueued_at,
    event_id,
    fits,
    id_of,
    parameters,
    result_of,
    rows_of,
    unwrapped,
)
from bot.providers.parsing import (
    JsonObject,
    Vocabulary,
    amount,
    initial,
    is_object,
    prompts,
    update_of,
)
from bot.providers.sse import Decoder

log = logging.getLogger(__name__)

SUBMIT_TIMEOUT = 60.0  # seconds: the request may carry an input picture as a data URI
PAGE = 100  # rows of the history in one answer


class Oxen:
    """Implements bot.providers.base.Provider."""

    key = "oxen"
    takes_data = True

    def __init__(self, settings: OxenSettings, http: Http) -> None:
        self._api = Api(self.key, settings, http)
        self._model = settings.model
        self._credits_per_usd = settings.credits_per_usd
        self._table = oxen_spec(price=thousandths(settings.price), model=settings.model)
        self._spec = self._table
        self._input: InputField | None = INPUT
        self._is_documented = settings.model == DOCUMENTED
        self._is_described = False
        self._words = Vocabulary("oxen")

    def headers_for(self, url: str) -> Mapping[str, str]:
        return self._api.headers_for(url)

    async def balance(self) -> int | None:
        """Return None, because the API has no balance."""
        return None

    async def ping(self) -> None:
        await self._api.request("GET", f"/ai/models/{_path(self._model)}")

    async def describe(self) -> tuple[ModelSpec, ...]:
        body = await self._api.request("GET", f"/ai/models/{_path(self._model)}")
        self._spec, self._input = described(
            self._table,
            body,
            credits_per_usd=self._credits_per_usd,
            is_documented=self._is_documented,
        )
        self._is_described = True
        if self._spec.problem:
            log.error(
                "the request schema of the model %s is unusable: %s",
                self._model,
                self._spec.problem,
            )
        return (self._spec,)

    async def check(self) -> tuple[Finding, ...]:
        await self.list()  # needs the key, while the models may be public
        (spec,) = await self.describe()
        if spec.problem:
            remedy = "Set OXEN_MODEL to a model that makes a picture of a prompt."
            return Finding("the key is valid"), Finding(self._unusable(), remedy)
        if not spec.price_known:
            remedy = "OXEN_PRICE is used instead: compare the price with https://www.oxen.ai."
            return Finding("the key is valid"), Finding("reports no price", remedy)
        price = f"{credits_text(spec.price)} credits per picture"
        return (Finding(f"the key is valid; {spec.title}, {price}"),)

    async def submit(self, request: GenerationRequest, member: int) -> Submission:
        await self._check_schema(request)
        body = {"model": self._model, **parameters(request, self._input)}
        answer = await self._api.request("POST", "/ai/queue", json=body, timeout=SUBMIT_TIMEOUT)
        rows = {id_of(row): row for row in rows_of(answer) or ()}
        found = [Submitted(each, self._initial(row)) for each, row in rows.items() if each]
        if found:
            return Submission(tuple(found))
        if has_error(answer):  # also with an empty list (apis.md, Oxen: queue)
            raise self._api.refused(answer)
        raise ProviderError(Reason.MALFORMED, "no generation_id in the answer", Taken.DOUBTFUL)

    async def fetch(self, remote_id: str) -> Update:
        await self._read_schema()
        path = f"/ai/queue/{_path(remote_id)}"
        # A row repeats the request, and so an input picture that was sent as a data URI.
        body = await self._api.request("GET", path, limit=DATA_LIMIT)
        return self._update(self._row(body, remote_id))

    async def list(self, *, status: str | None = None) -> tuple[JsonObject, ...]:
        """Return the queue's rows of this model: those that are active, or those of one status."""
        params = {"model": self._model, "media_type": "image"}
        if status is not None:
            params["status"] = status
        body = await self._api.request("GET", "/ai/queue", params=params, limit=DATA_LIMIT)
        return self._rows(body)

    async def history(self, page: int = 1, page_size: int = PAGE) -> tuple[JsonObject, ...]:
        """Return a page of all generations of this model, ended ones too (apis.md, Oxen: queue)."""
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
        await self._read_schema()
        rows = {id_of(row): row for row in (*await self.list(), *await self._history_since(since))}
        fitting = [
            (enqueued_at(row) or 0.0, remote_id, row)
            for remote_id, row in rows.items()
            if remote_id is not None
            and fits(
                row,
                request,
                model=self._model,
                spec=self._spec,
                since=since,
                until=until,
                field=self._input,
            )
        ]
        fitting.sort(key=lambda each: each[:2])
        return tuple(Submitted(remote_id, self._initial(row)) for _, remote_id, row in fitting)

    async def active(self) -> Collection[str]:
        return {each for row in await self.list() if (each := id_of(row))}

    async def events(self) -> AsyncIterator[str]:
        decoder = Decoder()
        # 45 s are three missed keep-alives of the event stream (apis.md, Oxen: events).
        async with aclosing(self._api.stream("/events", silence=45.0)) as chunks:
            async for chunk in chunks:
                yield ""
                for event in decoder.feed(chunk):
                    is_end = event.event == "media_generation_completed"
                    if is_end and (remote_id := event_id(event.data)):
                        yield remote_id

    async def _read_schema(self) -> None:
        """Read the schema of another model than the documented one, before anything depends on it.

        Raises ProviderError: a refusal, or NO, since nothing was sent.
        """
        if self._is_documented or self._is_described:
            return
        try:
            await self.describe()
        except ProviderError as error:
            taken = Taken.NO if error.taken is Taken.DOUBTFUL else error.taken
            raise ProviderError(error.reason, error.detail, taken, error.retry_after) from error

    async def _check_schema(self, request: GenerationRequest) -> None:
        """Refuse to send what the model's schema lacks: it could be dropped, and charged.

        The schema may have changed since the member's request.
        """
        await self._read_schema()
        try:
            check_request(request, self._spec)
        except UserError as error:
            detail = self._unusable() if self._spec.problem else f"not in the schema: {error}"
            raise ProviderError(Reason.INVALID, self._api.safe(detail), Taken.REFUSED) from error

    def _unusable(self) -> str:
        return f"the request schema of the model {self._model} is unusable: {self._spec.problem}"

    async def _history_since(self, since: datetime) -> Sequence[JsonObject]:
        found: Sequence[JsonObject] = ()
        for page in range(1, 11):
            rows = await self.history(page)
            found = (*found, *rows)
            times = [time for row in rows if (time := enqueued_at(row)) is not None]
            # The order of the pages is not documented: only newest first may end early.
            past = times and times[-1] <= times[0] and times[-1] < (since - SKEW).timestamp()
            if len(rows) < PAGE or past:
                break
        return found

    def _row(self, body: object, remote_id: str) -> JsonObject:
        """Return the row of one generation; ProviderError for an error that was sent as a 200."""
        if not is_object(body):
            raise ProviderError(Reason.MALFORMED, "the answer is no object")
        row = unwrapped(body)
        found = id_of(row)
        if found is not None and found.lower() != remote_id.lower():
            detail = self._api.safe(f"requested {remote_id}, received {found}")
            raise ProviderError(Reason.MALFORMED, detail)
        envelope = "status_message" in row or row.get("status") in (None, "error")
        if found is None and envelope and has_error(row):
            raise self._api.refused(row)
        return row

    def _rows(self, body: object) -> tuple[JsonObject, ...]:
        rows = rows_of(body)
        if rows is not None:
            return rows
        if has_error(body):
            raise self._api.refused(body)
        raise ProviderError(Reason.MALFORMED, "no list of generations in the answer")

    def _update(self, row: JsonObject) -> Update:
        word = row.get("status")
        if not isinstance(word, str):
            raise ProviderError(Reason.MALFORMED, "a generation without a status")
        failure = Failed(classify(row), self._api.safe(detail_of(row)), self._cost(row))
        return update_of(
            self._words.state(word),
            found=result_of(row, self._input),
            failure=failure,
            drawn=prompts(row),
        )

    def _initial(self, row: JsonObject) -> Update:
        try:
            return initial(self._update(row))
        except ProviderError:
            return Waiting()

    def _cost(self, row: JsonObject) -> Cost | None:
        usd = amount(row.get("cost"))
        if usd is None:
            return None
        return Cost(thousandths(usd * self._credits_per_usd), {"usd": f"{usd:f}"})


def credits_of(figures: Figures, credits_per_usd: Decimal) -> Decimal | None:
    """Return the credits of a cost by the API's figures, as `Oxen` has computed the cost."""
    usd = figures.get("usd")
    return None if usd is None else usd * credits_per_usd


def _path(remote_id: str) -> str:
    return quote(remote_id, safe="")
