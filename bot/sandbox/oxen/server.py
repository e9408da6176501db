"""A strict stand-in for Oxen.ai's image API:

queue, history, events, models, synchronous calls. Input and answers follow Oxen's own documents.
Bad parameters are accepted and fail later, as in the real API; a parameter that no document names
fails too.
"""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from bot.sandbox.generations import (
    DrawRequest,
    Failure,
    FakeGeneration,
    GenerationRunner,
    State,
    dice,
)
from bot.sandbox.http.faults import Answer, Rule
from bot.sandbox.http.service import Refusal, Route, Service
from bot.sandbox.imaging import (
    LONG_SIDE,
    UnusableInput,
    fetch_input,
    size_of_input,
    size_of_ratio,
)
from bot.sandbox.oxen.events import Events
from bot.sandbox.oxen.models import (
    PARAMETERS,
    QWEN,
    REQUIRED,
    RESPONSE_FORMAT,
    TARGETS,
    SchemaKey,
    models,
)
from bot.sandbox.oxen.responses import FLAGGED, NO_CREDITS, completed, plain, typed
from bot.sandbox.oxen.routes import OxenRoutes
from bot.sandbox.parameters import problem

KEY: Final = "oxen-sandbox-key"
OWN_FIELDS: Final = frozenset({"model", "num_generations", *TARGETS})
MODEL_FIELDS: Final = {**PARAMETERS, "response_format": RESPONSE_FORMAT}


@dataclass(kw_only=True, eq=False)
class FakeOxen(Service):
    """`async with FakeOxen() as oxen`, then a client at `oxen.url` with `oxen.key`.

    Every field may be changed while it runs. `generation_seconds` is about how long one takes,
    in real time. `price` is in dollars a picture, `credits` what is left of them (None: no end).
    `charged_price` is what a picture costs in the end, where that is not what was said before.
    `cost_delay` is how many seconds of the clock a cost stays unknown (None: for ever).
    `initial_404s`: so many first questions about a new generation are answered with 404.
    `at_once`: generations are at their end when the queue's first answer names them.
    `redirect_results`: a result's address leads to the CDN; else the picture is served there.
    `echo_defaults`: rows also show parameters that were not given.
    """

    key: str = KEY
    generation_seconds: float = 0.8
    price: str = "0.075"
    charged_price: str | None = None
    schema_key: SchemaKey = "json_request_schema"
    models_answer: bool = True
    cost_delay: float | None = 0.0
    credits: Decimal | None = None
    model: str = QWEN.id
    long_side: int = LONG_SIDE
    forbidden_words: frozenset[str] = frozenset({"forbidden"})
    keep_alive_seconds: float = 15.0
    initial_404s: int = 0
    at_once: bool = False
    redirect_results: bool = True
    results_need_key: bool = True
    echo_defaults: bool = False
    charge_cancelled: bool = False
    namespace: str = "sandbox"
    runner: GenerationRunner = field(init=False, repr=False)
    events: Events = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.runner = GenerationRunner(
            self.generation_seconds, self.clock, self._prepare, self._ended, self.violations
        )
        self.events = Events(self.keep_alive_seconds)
        self.models = models(self.model)

    @property
    def url(self) -> str:
        """The value for OXEN_API_URL."""
        return f"{self.origin}/api"

    @property
    def generations(self) -> dict[str, FakeGeneration]:
        """Everything that was ever created, by id."""
        return self.runner.generations

    @property
    def charges(self) -> dict[str, Decimal]:
        """Dollars by generation, without those that cost nothing."""
        return {id: each.charged for id, each in self.generations.items() if each.charged}

    @property
    def manual(self) -> bool:
        """While on, generations move by `advance` only."""
        return self.runner.manual

    @manual.setter
    def manual(self, on: bool) -> None:
        self.runner.manual = on

    def advance(self, id: str, state: State) -> None:
        """Move a generation to a state now. ValueError after its end."""
        self.runner.advance(id, state)

    def finish(self, id: str) -> None:
        """Let a generation end soon; await `settled` for the end."""
        self.runner.finish(id)

    def hold_generations(self) -> None:
        """Keep generations processing without an end, until `release_generations`."""
        self.runner.hold(on=True)

    def release_generations(self) -> None:
        self.runner.hold(on=False)

    def fail_next(self, message: str = "Generation failed", code: str = "", times: int = 1) -> None:
        """Let the next created generations fail. Oxen has no codes: `code` is not reported."""
        self.runner.fail_next(Failure(message, code), times)

    def limit_next(self, times: int = 1, *, retry_after: str | None = None) -> Rule:
        """Answer the next calls with 429, in the API's own words."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        body = plain(429, "Rate limit exceeded").body
        return self.faults.add("*", "/api/.*", Answer(429, body, headers), times)

    def drop_streams(self) -> None:
        """Cut every event stream; clients miss the events until they return."""
        self.events.drop()

    async def settled(self, id: str, timeout: float = 10.0) -> FakeGeneration:
        return await self.runner.settle(id, timeout)

    async def created(self, number: int = 1, timeout: float = 10.0) -> list[FakeGeneration]:
        """Wait until so many generations were ever created; all of them."""
        return await self.runner.count(number, timeout)

    async def listening(self, listeners: int = 1, timeout: float = 10.0) -> None:
        """Wait until so many event streams are open."""
        await self.events.joined(listeners, timeout)

    def new_generation(self, body: dict[str, object], *, queued: bool) -> FakeGeneration:
        return FakeGeneration(
            str(uuid.uuid4()),
            self.model,
            body,
            self.clock(),
            number=len(self.generations),
            queued=queued,
        )

    def result_path(self, generation: FakeGeneration) -> str:
        namespace = generation.body.get("target_namespace") or self.namespace
        return f"/api/repos/{namespace}/generations/file/main/images/{generation.id}.png"

    def result_url(self, generation: FakeGeneration) -> str | None:
        if generation.status != "succeeded":
            return None
        return self.origin + self.result_path(generation)

    def cost_of(self, generation: FakeGeneration) -> Decimal | None:
        """Return the cost that the history reports at this moment."""
        if self.cost_delay is None or generation.completed_at is None or not generation.charged:
            return None
        known = self.clock() >= generation.completed_at + self.cost_delay
        return generation.charged if known else None

    def routes(self) -> Iterable[Route]:
        return OxenRoutes(self).routes()

    def refusal(self, status: Literal[401, 404, 405, 500]) -> Refusal:
        match status:
            case 401:
                return typed(401, "unauthenticated")
            case 404 | 405:
                return typed(status, "resource_not_found")
            case 500:
                return typed(500, "unknown_error")

    async def open_picture(self, path: str) -> tuple[bytes, str] | None:
        match = re.fullmatch(r"/api/repos/.+/([0-9a-f-]{36})\.png", path)
        generation = self.generations.get(match[1]) if match else None
        if generation is None or generation.status != "succeeded":
            return None
        return await self.runner.picture(generation), "image/png"

    async def close(self) -> None:
        self.events.end()
        await self.runner.close()

    async def _prepare(self, generation: FakeGeneration) -> DrawRequest:
        parameters = {k: v for k, v in generation.body.items() if k not in OWN_FIELDS}
        if (wrong := problem(MODEL_FIELDS, REQUIRED, parameters)) is not None:
            raise Failure(wrong)
        prompt = str(parameters["prompt"])
        if self.forbidden_words & set(re.findall(r"\w+", prompt.lower())):
            raise Failure(FLAGGED)
        if self.credits is not None and self.credits - self._reserved() < Decimal(self.price):
            raise Failure(NO_CREDITS)
        inputs = await self._inputs(parameters)
        size = size_of_ratio(str(parameters.get("aspect_ratio", "16:9")), long_side=self.long_side)
        if inputs and parameters.get("match_input_image") is True:
            size = size_of_input(inputs[0])
        return DrawRequest(prompt, (_seed(generation, parameters),), size, inputs)

    async def _inputs(self, parameters: dict[str, object]) -> tuple[bytes, ...]:
        address = parameters.get("input_image")
        if address is None:
            return ()
        try:
            return (await fetch_input(self.session, str(address)),)
        except UnusableInput as error:
            raise Failure(str(error)) from error

    def _reserved(self) -> Decimal:
        """Dollars that those which are being made will cost."""
        working = [each for each in self.generations.values() if each.draw_request is not None]
        return Decimal(self.price) * sum(not each.settled for each in working)

    def _ended(self, generation: FakeGeneration) -> None:
        running = generation.status == "cancelled" and generation.started_at is not None
        if generation.status == "succeeded" or (running and self.charge_cancelled):
            generation.charged = Decimal(self.charged_price or self.price)
            if self.credits is not None:
                self.credits -= generation.charged
        if generation.status != "cancelled" and generation.queued:
            self._announce(generation)

    def _announce(self, generation: FakeGeneration) -> None:
        self.events.send("deployment_status_changed", {"model": "other", "status": "inactive"})
        url = self.signed(self.origin, self.result_path(generation))
        self.events.send("media_generation_completed", completed(generation, url))


def _seed(generation: FakeGeneration, parameters: dict[str, object]) -> int:
    """The same for the same seed and options; without a seed, another each time."""
    options = {k: v for k, v in parameters.items() if k not in ("prompt", "input_image")}
    return dice(options) if "seed" in parameters else dice(options, generation.number)
