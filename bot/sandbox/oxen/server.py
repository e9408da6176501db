"""A strict stand-in for Oxen.ai's image API: queue, history, events, models, synchronous calls.

Accepted requests and answers follow Oxen's own documents. As there, bad parameters are accepted at
first and fail later; a parameter that no document names fails too.
"""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from bot.sandbox.generations import (
    DrawRequest,
    Failure,
    FakeGeneration,
    GenerationControls,
    GenerationRunner,
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
    Model,
    Pictures,
    SchemaKey,
    models,
)
from bot.sandbox.oxen.responses import FLAGGED, NO_CREDITS, completed, plain, typed
from bot.sandbox.oxen.routes import OxenRoutes
from bot.sandbox.parameters import Kind, problem

KEY: Final = "oxen-sandbox-key"
OWN_FIELDS: Final = frozenset({"model", "num_generations", *TARGETS})


@dataclass(kw_only=True, eq=False)
class FakeOxen(GenerationControls, Service):
    """An Oxen.ai for `async with FakeOxen() as oxen`; clients use `oxen.url` with `oxen.key`.

    Every field may be changed while the server runs. `generation_seconds` is the approximate
    duration in real time. `price` is in dollars per picture, `credits` the balance (None:
    unlimited). `charged_price` is the final cost of a picture, if different from the announced one.
    `parameters` and `required` are the model's schema; other parameters are refused.
    `charge_failed`: a failed generation is charged.
    `cost_delay` is the number of seconds of the clock until a cost is known (None: never).
    `initial_404s` is the number of 404 answers to the first polls of a new generation. `at_once`:
    generations are settled before the queue's first answer. `redirect_results`: result addresses
    redirect to the CDN; else they serve the picture. `echo_defaults`: rows also show parameters
    that were not given. `revised_in_rows`: rows have a `revised_prompt` too, which the documents
    name for the synchronous answer alone.
    """

    key: str = KEY
    generation_seconds: float = 0.8
    price: str = "0.075"
    charged_price: str | None = None
    schema_key: SchemaKey = "json_request_schema"
    parameters: Mapping[str, Kind] = field(default_factory=lambda: PARAMETERS)
    required: Sequence[str] = REQUIRED
    models_answer: bool = True
    cost_delay: float | None = 0.0
    charge_failed: bool = False
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
    revised_in_rows: bool = False
    charge_cancelled: bool = False
    namespace: str = "sandbox"
    runner: GenerationRunner = field(init=False, repr=False)
    events: Events = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.runner = GenerationRunner(
            self.generation_seconds, self.clock, self._prepare, self._ended, self.violations
        )
        self.events = Events(self.keep_alive_seconds)

    @property
    def url(self) -> str:
        """Return the value for OXEN_API_URL."""
        return f"{self.origin}/api"

    @property
    def models(self) -> dict[str, Model]:
        return models(self.model)

    @property
    def charges(self) -> dict[str, Decimal]:
        """Return the dollars by generation, without those that cost nothing."""
        return {id: each.charged for id, each in self.generations.items() if each.charged}

    def fail_next(self, message: str = "Generation failed", code: str = "", times: int = 1) -> None:
        """Let the next generations fail. Oxen has no codes: `code` is never sent."""
        self.runner.fail_next(Failure(message, code), times)

    def limit_next(self, times: int = 1, *, retry_after: str | None = None) -> Rule:
        """Answer the next calls with 429 and the API's own error."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        body = plain(429, "Rate limit exceeded").body
        return self.faults.add("*", "/api/.*", Answer(429, body, headers), times)

    def drop_streams(self) -> None:
        """Cut every event stream; events until the client reconnects are lost."""
        self.events.drop()

    async def listening(self, listeners: int = 1, timeout: float = 10.0) -> None:
        """Wait until this number of event streams is open."""
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
        """Return the cost that the history shows now."""
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
        fields = {**self.parameters, "response_format": RESPONSE_FORMAT}
        if (wrong := problem(fields, self.required, parameters)) is not None:
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
        addresses: list[object] = []
        for name, kind in self.parameters.items():
            if isinstance(kind, Pictures) and (value := parameters.get(name)) is not None:
                addresses += value if isinstance(value, list) else [value]
        try:
            return tuple([await fetch_input(self.session, str(each)) for each in addresses])
        except UnusableInput as error:
            raise Failure(str(error)) from error

    def _reserved(self) -> Decimal:
        """Return the dollars reserved for unsettled generations."""
        working = [each for each in self.generations.values() if each.draw_request is not None]
        return Decimal(self.price) * sum(not each.settled for each in working)

    def _ended(self, generation: FakeGeneration) -> None:
        running = generation.status == "cancelled" and generation.started_at is not None
        is_charged = generation.status == "succeeded" or (running and self.charge_cancelled)
        if is_charged or (generation.status == "failed" and self.charge_failed):
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
    """Return the given seed mixed with the options; without one, a different seed each time."""
    options = {k: v for k, v in parameters.items() if k not in ("prompt", "input_image")}
    return dice(options) if "seed" in parameters else dice(options, generation.number)
