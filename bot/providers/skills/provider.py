"""The client of skills.video (apis.md, skills.video): one id for all pictures, and no cancel.

The API's event stream is not used, because opening one creates a generation.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

from bot.catalog import ModelSpec
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest
from bot.ledger import Cost, thousandths
from bot.providers.api_client import DATA_LIMIT, Api
from bot.providers.base import Failed, Figures, Finding, Finished, Http, Submitted, Update, Waiting
from bot.providers.error_mapping import classify, detail_of, has_error
from bot.providers.parsing import (
    JsonObject,
    Vocabulary,
    amount,
    identifier,
    initial,
    is_object,
    pictures,
    prompts,
    update_of,
)
from bot.providers.skills.model import SkillsSettings, skills_spec

SUBMIT_TIMEOUT = 60.0  # seconds
# Easel's options by the API's names; `num_images` beside `n` might multiply (apis.md).
NAMES: Mapping[str, str] = {
    "count": "n",
    "expand_prompt": "enable_prompt_expansion",
    "safety_checker": "enable_safety_checker",
}
# The document has `id`; the vendor's own helper reads the others too (apis.md, Tolerance).
IDS = ("id", "generation_id", "prediction_id", "task_id")
STATUSES = ("status", "state", "queue_state", "prediction_status")
USAGE = ("total", "subscription", "permanent")
REST = ("remaining", "available", "balance", "credits")  # names that say what is left
BALANCES = (*USAGE, *REST)
MOST_CREDITS = Decimal(10**15)


class Skills:
    """Implements bot.providers.base.Provider."""

    key = "skills"
    takes_data = False

    def __init__(self, settings: SkillsSettings, http: Http) -> None:
        self._api = Api(self.key, settings, http)
        self._model = settings.model
        self._spec = skills_spec(price=thousandths(settings.price))
        self._floor = settings.floor
        self._words = Vocabulary("skills")

    def headers_for(self, url: str) -> Mapping[str, str]:
        return self._api.headers_for(url)

    async def ping(self) -> None:
        await self._api.request("GET", "/credits")

    async def describe(self) -> tuple[ModelSpec, ...]:
        """Return the table's model, because the API has no models endpoint."""
        return (self._spec,)

    async def check(self) -> tuple[Finding, ...]:
        balances = await self.credits()
        left = _left(balances)
        if left is None:
            remedy = "SKILLS_FLOOR has no effect without a balance." if self._floor else ""
            return (Finding("the key is valid; reports no credits", remedy),)
        listed = ", ".join(f"{name} {number:f}" for name, number in balances.items())
        buy = "Buy credits at https://skills.video"
        if thousandths(left) < self._spec.price:
            return (Finding(f"not enough for a picture: {listed}", f"{buy}."),)
        if self._floor is not None and left < self._floor:
            found = f"under SKILLS_FLOOR ({self._floor:f}), new jobs are refused: {listed}"
            return (Finding(found, f"{buy}, or lower SKILLS_FLOOR."),)
        floor = "" if self._floor is None else f"; SKILLS_FLOOR is {self._floor:f}"
        return (Finding(f"the key is valid; credits: {listed}{floor}"),)

    async def balance(self) -> int:
        """Return the credits of both buckets, in thousandths. ProviderError if none are named."""
        left = _left(await self.credits())
        if left is None:
            raise ProviderError(Reason.MALFORMED, "no balance in the answer")
        return thousandths(left)

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
            limit=DATA_LIMIT,  # the answer may have the pictures already
        )
        row = _row(answer)
        remote_id = _id(row)
        if remote_id is not None:
            return (Submitted(remote_id, initial(self._initial(row))),)
        if has_error(answer):
            raise self._api.refused(answer)
        raise ProviderError(Reason.MALFORMED, "no id in the answer", Taken.DOUBTFUL)

    async def fetch(self, remote_id: str) -> Update:
        return self._update(await self._get(remote_id))

    async def cancel(self, remote_id: str) -> None:
        raise ProviderError(Reason.INVALID, "skills.video has no cancel")

    async def cost(self, remote_id: str) -> Cost | None:
        """Return the cost of an ended generation only, since earlier numbers may be estimates."""
        update = self._update(await self._get(remote_id))
        return update.cost if isinstance(update, Finished | Failed) else None

    async def find(
        self, request: GenerationRequest, since: datetime, until: datetime
    ) -> tuple[Submitted, ...]:
        """Return nothing, because the API has no list."""
        return ()

    async def active(self) -> None:
        """Return None, because the API has no list."""

    async def events(self) -> AsyncIterator[str]:
        """Yield nothing, because the API has no stream for existing generations."""
        nothing: tuple[str, ...] = ()
        for remote_id in nothing:
            yield remote_id

    async def credits(self) -> Mapping[str, Decimal]:
        """Return the account's balances by the API's names; empty if they cannot be read.

        The format of the answer is not documented (apis.md, skills.video: credits).
        """
        body = await self._api.request("GET", "/credits")
        if not is_object(body):
            return {}
        inner = [
            each for name in ("data", "credits", "balance") if is_object(each := body.get(name))
        ]
        return {
            name: number
            for part in (body, *inner)
            for name in BALANCES
            if (number := amount(part.get(name), MOST_CREDITS)) is not None
        }

    async def _get(self, remote_id: str) -> JsonObject:
        path = f"/generation/{quote(remote_id, safe='')}"
        body = await self._api.request("GET", path, limit=DATA_LIMIT)
        row = _row(body)
        found = _id(row)
        if found is not None and found != remote_id:
            detail = self._api.safe(f"requested {remote_id}, received {found}")
            raise ProviderError(Reason.MALFORMED, detail)
        if _word(row) is None and has_error(row):
            raise self._api.refused(row)
        return row

    def _update(self, row: JsonObject) -> Update:
        word = _word(row)
        if word is None:
            raise ProviderError(Reason.MALFORMED, "a generation without a status")
        failure = Failed(classify(row), self._api.safe(detail_of(row)), _cost(row))
        return update_of(
            self._words.state(word), found=pictures(row), failure=failure, drawn=prompts(row)
        )

    def _initial(self, row: JsonObject) -> Update:
        return Waiting() if _word(row) is None else self._update(row)


def _row(body: object) -> JsonObject:
    """Return the generation, also from inside an envelope; other answers have no id or status."""
    if not is_object(body):
        return {}
    if _id(body) is None:
        for name in ("data", "generation", "prediction"):
            if is_object(inner := body.get(name)) and _id(inner) is not None:
                return inner
    return body


def _id(row: JsonObject) -> str | None:
    found = (identifier(row.get(name)) for name in IDS)
    return next((each for each in found if each is not None), None)


def _word(row: JsonObject) -> str | None:
    words = (row.get(name) for name in STATUSES)
    return next((word for word in words if isinstance(word, str) and word.strip()), None)


def _left(balances: Figures) -> Decimal | None:
    """Return the credits that are left, by the names that say so, else by the sum of the buckets.

    A `total` may count what was used too, so the plain names come first.
    """
    plain = next((balances[name] for name in REST if name in balances), None)
    return credits_of(balances) if plain is None else plain


def _cost(row: JsonObject) -> Cost | None:
    """Return the cost in credits; the API has those of a subscription and permanent ones."""
    usage = row.get("usage")
    if not is_object(usage):
        return None
    used = {name: number for name in USAGE if (number := amount(usage.get(name))) is not None}
    total = credits_of(used)
    if total is None:
        return None
    return Cost(thousandths(total), {name: f"{number:f}" for name, number in used.items()})


def credits_of(figures: Figures) -> Decimal | None:
    """Return the credits of a cost by the API's figures."""
    used = {name: figures[name] for name in USAGE if name in figures}
    return used.get("total", sum(used.values(), Decimal(0))) if used else None
