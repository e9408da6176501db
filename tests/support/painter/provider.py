"""The settings, the models and the client of the painter's API."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal

from bot.catalog import Choice, ModelSpec, Whole
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest
from bot.ledger import Cost, thousandths
from bot.providers.api_client import Api
from bot.providers.base import Failed, Finding, Http, Submission, Submitted, Update
from bot.providers.error_mapping import classify, detail_of
from bot.providers.parsing import (
    JsonObject,
    Vocabulary,
    amount,
    identifier,
    is_object,
    pictures,
    update_of,
)
from bot.settings import Address, Credits, ProviderSettings

MODELS: Mapping[str, str] = {"sketch": "pencil-1", "mural": "fresco-2"}  # by the API's names


class PainterSettings(ProviderSettings, env_prefix="PAINTER_"):
    api_url: Address = "https://painter.example/api"
    price: Credits = Decimal(3)
    mural_price: Credits = Decimal(11)


def sketch(*, price: int) -> ModelSpec:
    return ModelSpec(
        key="sketch",
        provider="painter",
        title="Pencil at Painter",
        service="Painter",
        options={"aspect_ratio": Choice(("1:1", "5:1"), default="1:1"), "seed": Whole(0, 9)},
        max_inputs=0,
        price=price,
        cancels=False,
    )


def mural(*, price: int) -> ModelSpec:
    return ModelSpec(
        key="mural",
        provider="painter",
        title="Fresco at Painter",
        service="Painter",
        options={"image_size": Choice(("wall", "ceiling"), default="wall")},
        max_inputs=0,
        price=price,
        cancels=False,
    )


class Painter:
    """Implements bot.providers.base.Provider."""

    key = "painter"
    takes_data = False

    def __init__(self, settings: PainterSettings, http: Http) -> None:
        self._api = Api(self.key, settings, http)
        self._words = Vocabulary(self.key)
        self._specs = (
            sketch(price=thousandths(settings.price)),
            mural(price=thousandths(settings.mural_price)),
        )

    def headers_for(self, url: str) -> Mapping[str, str]:
        return self._api.headers_for(url)

    async def balance(self) -> int | None:
        return None

    async def ping(self) -> None:
        await self._api.request("GET", "/account")

    async def check(self) -> tuple[Finding, ...]:
        await self.ping()
        return (Finding("the key is valid"),)

    async def describe(self) -> tuple[ModelSpec, ...]:
        return self._specs

    async def submit(self, request: GenerationRequest, member: int) -> Submission:
        body = {"model": MODELS[request.model], "prompt": request.prompt, **request.options}
        row = _row(await self._api.request("POST", "/paintings", json=body))
        remote_id = identifier(row.get("id"))
        if remote_id is None:
            raise ProviderError(Reason.MALFORMED, "no id in the answer", Taken.DOUBTFUL)
        return Submission((Submitted(remote_id, self._update(row)),))

    async def fetch(self, remote_id: str) -> Update:
        return self._update(_row(await self._api.request("GET", f"/paintings/{remote_id}")))

    async def cancel(self, remote_id: str) -> None:
        raise ProviderError(Reason.INVALID, "the painter cannot be stopped")

    async def cost(self, remote_id: str) -> Cost | None:
        return None

    async def find(
        self, request: GenerationRequest, since: datetime, until: datetime
    ) -> tuple[Submitted, ...]:
        return ()

    async def active(self) -> None:
        """Return None: there is no list."""

    async def events(self) -> AsyncIterator[str]:
        nothing: tuple[str, ...] = ()
        for remote_id in nothing:
            yield remote_id

    def _update(self, row: JsonObject) -> Update:
        credits = amount(row.get("credits"))
        cost = Cost(thousandths(credits), {}) if credits is not None else None
        failure = Failed(classify(row), self._api.safe(detail_of(row)), cost)
        state = self._words.state(str(row.get("status")))
        return update_of(state, found=pictures(row), failure=failure)


def _row(body: object) -> JsonObject:
    return body if is_object(body) else {}
