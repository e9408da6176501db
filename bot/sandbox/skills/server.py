"""A strict stand-in for skills.video's image API, in the older and in the newer contract.

Accepted requests follow the service's own document; parameters are checked at once.
"""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, get_args

from bot.sandbox.drawing.draw import Format
from bot.sandbox.generations import (
    DrawRequest,
    FakeGeneration,
    GenerationControls,
    GenerationRunner,
    dice,
)
from bot.sandbox.http.faults import Answer, Rule
from bot.sandbox.http.service import Refusal, Route, Service
from bot.sandbox.imaging import (
    LONG_SIDE,
    Size,
    UnusableInput,
    fetch_input,
    size_of_input,
    size_of_ratio,
)
from bot.sandbox.skills.events import Cut
from bot.sandbox.skills.models import MODEL, SIZES, Contract
from bot.sandbox.skills.responses import CreditsShape, Usage, failure, plain, refused
from bot.sandbox.skills.routes import SkillsRoutes

KEY: Final = "skills-sandbox-key"
NOTHING: Final = Usage()


@dataclass(kw_only=True, eq=False)
class FakeSkills(GenerationControls, Service):
    """A skills.video for `async with FakeSkills() as skills`; clients use `skills.url` with
    `skills.key`.

    Every field may be changed while the server runs. `price` is in credits per picture;
    `subscription` and `permanent` are the two buckets, emptied in this order. `early_usage` reports
    the usage from the beginning, `accepted_status` is the status of the creating answer (None: as
    in the contract's own example). `charge_failed`: a failed generation is charged. `newer_page`:
    two parameters are missing. `rejects`: the moment of moderation. `initial_404s` is the number of
    404 answers to the first polls of a new generation. `at_once`: generations are settled before
    the creating answer. `expands_prompts`: the drawn prompt is a longer one, unless the request
    forbids that. `stream_cut` ends each event stream early; `open_streams` counts them.
    """

    key: str = KEY
    generation_seconds: float = 0.8
    price: int = 20
    contract: Contract = "new"
    model: str = MODEL
    subscription: int = 1000
    permanent: int = 500
    early_usage: bool | None = None
    accepted_status: Literal[200, 202] | None = None
    charge_failed: bool = False
    credits_shape: CreditsShape = "flat"
    newer_page: bool = False
    rejects: Literal["at once", "later"] = "at once"
    forbidden_words: frozenset[str] = frozenset({"forbidden"})
    long_side: int = LONG_SIDE
    initial_404s: int = 0
    at_once: bool = False
    expands_prompts: bool = True
    stream_cut: Cut | None = None
    open_streams: int = field(default=0, init=False)
    runner: GenerationRunner = field(init=False, repr=False)
    _usages: dict[str, Usage] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.runner = GenerationRunner(
            self.generation_seconds, self.clock, self._prepare, self._ended, self.violations
        )

    @property
    def url(self) -> str:
        """Return the value for SKILLS_API_URL."""
        return f"{self.origin}/api/v1"

    @property
    def charges(self) -> dict[str, int]:
        """Return the credits by generation, without those that cost nothing."""
        return {id: int(each.charged) for id, each in self.generations.items() if each.charged}

    def fail_next(self, message: str = "", code: str = "FAILED", times: int = 1) -> None:
        """Let the next generations fail; `code` has no family prefix.

        See docs/internals/apis.md, skills.video: errors.
        """
        self.runner.fail_next(failure(code, message), times)

    def limit_next(self, times: int = 1, *, retry_after: str | None = None) -> Rule:
        """Answer the next calls with 429 and the API's own error."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        body = refused(self.contract, "RATE_LIMITED").body
        return self.faults.add("*", "/api/.*", Answer(429, body, headers), times)

    def usage_of(self, generation: FakeGeneration) -> Usage:
        """Return the usage that the API reports now; zeros if none is reported yet."""
        early = self.contract == "new" if self.early_usage is None else self.early_usage
        return self._usages[generation.id] if early or generation.settled else NOTHING

    def begin(self, body: dict[str, object]) -> FakeGeneration:
        """Reserve the credits and create the generation. Raise the 402 if the credits are too
        low."""
        pictures = _count(body, "n") * _count(body, "num_images")
        price = self.price * pictures
        if price > self.subscription + self.permanent:
            raise refused(self.contract, "INSUFFICIENT_CREDITS")
        usage = Usage(min(price, self.subscription), price - min(price, self.subscription))
        self.subscription -= usage.subscription
        self.permanent -= usage.permanent
        generation = FakeGeneration(
            f"gen_{uuid.uuid4().hex}",
            self.model,
            body,
            self.clock(),
            number=len(self.generations),
            pictures=pictures,
        )
        self._usages[generation.id] = usage
        return generation

    def rejected(self, body: dict[str, object]) -> bool:
        """Return whether moderation rejects the prompt."""
        words = set(re.findall(r"\w+", str(body.get("prompt", "")).lower()))
        return body.get("enable_safety_checker") is not False and bool(words & self.forbidden_words)

    def routes(self) -> Iterable[Route]:
        return SkillsRoutes(self).routes()

    def refusal(self, status: Literal[401, 404, 405, 500]) -> Refusal:
        return plain(self.contract, status)

    async def open_picture(self, path: str) -> tuple[bytes, str] | None:
        match = re.fullmatch(r"/output/(gen_[0-9a-f]{32})-([1-9][0-9]?)\.(png|jpeg|webp)", path)
        generation = self.generations.get(match[1]) if match else None
        if match is None or generation is None or generation.status != "succeeded":
            return None
        index = int(match[2]) - 1
        if index >= generation.pictures or match[3] != output_format(generation.body):
            return None
        return await self.runner.picture(generation, index), f"image/{match[3]}"

    async def close(self) -> None:
        await self.runner.close()

    async def _prepare(self, generation: FakeGeneration) -> DrawRequest:
        body = generation.body
        if self.rejected(body):
            raise failure("CONTENT_REJECTED")
        addresses = body.get("image_urls")
        inputs = []
        for address in addresses if isinstance(addresses, list) else []:
            try:
                inputs.append(await fetch_input(self.session, address))
            except UnusableInput as error:
                raise failure("INVALID_INPUT", str(error)) from error
        return DrawRequest(
            str(body["prompt"]),
            tuple(_seed(generation, index) for index in range(generation.pictures)),
            self._size(body, inputs),
            tuple(inputs),
            output_format(body),
        )

    def _size(self, body: dict[str, object], inputs: list[bytes]) -> Size:
        """Return the size. No precedence is documented; the more exact parameter wins."""
        if "image_size" in body:
            return SIZES[str(body["image_size"])]
        if inputs and "aspect_ratio" not in body:
            return size_of_input(inputs[-1])
        return size_of_ratio(str(body.get("aspect_ratio", "1:1")), long_side=self.long_side)

    def _ended(self, generation: FakeGeneration) -> None:
        usage = self._usages[generation.id]
        if generation.status != "succeeded" and not self.charge_failed:
            self.subscription += usage.subscription
            self.permanent += usage.permanent
            usage = self._usages[generation.id] = NOTHING
        generation.charged = Decimal(usage.total)


def output_format(body: dict[str, object]) -> Format:
    wanted = body.get("output_format", "png")
    return next(each for each in get_args(Format) if each == wanted)


def _count(body: dict[str, object], name: str) -> int:
    value = body.get(name, 1)
    return value if isinstance(value, int) else 1


def _seed(generation: FakeGeneration, index: int) -> int:
    """Return the given seed mixed with the options; without one, a different seed each time."""
    options = {k: v for k, v in generation.body.items() if k not in ("prompt", "image_urls")}
    if generation.body.get("seed") is None:
        return dice(options, index, generation.number)
    return dice(options, index)
