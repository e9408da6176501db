"""The client of skills.video (apis.md, skills.video): one id for all pictures, and no cancel.

An event stream follows only the generation of the request that opened the stream.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

from bot.catalog import ModelSpec
from bot.errors import ProviderError, Reason
from bot.jobs import GenerationRequest
from bot.ledger import Cost, thousandths
from bot.providers.api_client import DATA_LIMIT, Api
from bot.providers.base import (
    Failed,
    Figures,
    Finding,
    Finished,
    Http,
    Submission,
    Submitted,
    Update,
)
from bot.providers.error_mapping import has_error
from bot.providers.parsing import JsonObject, amount, is_object
from bot.providers.skills.create import Creator
from bot.providers.skills.model import SkillsSettings, skills_spec
from bot.providers.skills.rows import USAGE, Reader, credits_of, id_of, row_of, status_of

# Easel's options by the API's names; `num_images` beside `n` might multiply (apis.md).
NAMES: Mapping[str, str] = {
    "count": "n",
    "expand_prompt": "enable_prompt_expansion",
    "safety_checker": "enable_safety_checker",
}
REST = ("remaining", "available", "balance", "credits")  # names that say what is left
BALANCES = (*USAGE, *REST)
MOST_CREDITS = Decimal(10**15)


class Skills:
    """Implements bot.providers.base.Provider."""

    key = "skills"
    takes_data = False

    def __init__(self, settings: SkillsSettings, http: Http) -> None:
        self._api = Api(self.key, settings, http)
        self._spec = skills_spec(price=thousandths(settings.price))
        self._floor = settings.floor
        self._reader = Reader(self._api)
        self._creator = Creator(self._api, self._reader, settings)

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

    async def submit(self, request: GenerationRequest, member: int) -> Submission:
        body: dict[str, object] = {"prompt": request.prompt}
        body |= {NAMES.get(name, name): value for name, value in request.options.items()}
        if request.inputs:
            body["image_urls"] = [*request.inputs]
        return await self._creator.create(body, member)

    async def fetch(self, remote_id: str) -> Update:
        return self._reader.update(await self._get(remote_id))

    async def cancel(self, remote_id: str) -> None:
        raise ProviderError(Reason.INVALID, "skills.video has no cancel")

    async def cost(self, remote_id: str) -> Cost | None:
        """Return the cost of an ended generation only, since earlier numbers may be estimates."""
        update = self._reader.update(await self._get(remote_id))
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
        row = row_of(body)
        found = id_of(row)
        if found is not None and found != remote_id:
            detail = self._api.safe(f"requested {remote_id}, received {found}")
            raise ProviderError(Reason.MALFORMED, detail)
        if status_of(row) is None and has_error(row):
            raise self._api.refused(row)
        return row


def _left(balances: Figures) -> Decimal | None:
    """Return the credits that are left, by the names that say so, else by the sum of the buckets.

    A `total` may count what was used too, so the plain names come first.
    """
    plain = next((balances[name] for name in REST if name in balances), None)
    return credits_of(balances) if plain is None else plain
