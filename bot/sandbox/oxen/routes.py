"""The routes of Oxen's API, one method each."""

import base64
import math
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from aiohttp import web

from bot.sandbox.generations import Failure, FakeGeneration
from bot.sandbox.http.service import Route, answer, json_object
from bot.sandbox.oxen.models import TARGETS, Model, describe
from bot.sandbox.oxen.responses import (
    COUNT_WRONG,
    MEDIA_TYPES,
    NO_CREDITS,
    STATUSES,
    UNSUPPORTED,
    history_row,
    plain,
    queue_row,
    revised_prompt,
    typed,
    unknown_model,
)

if TYPE_CHECKING:
    from bot.sandbox.oxen.server import FakeOxen

FILTERS: Final = frozenset({"namespace", "model", "media_type", "status", "repo", "folder"})
PAGES: Final = frozenset({"page", "page_size"})
MODEL_FILTERS: Final = frozenset({"provider_name", "developer_name", "action"})
USER_ID: Final = "5f0c1b7e-2f65-4f0c-9d0a-2c6f1a2b3c4d"
SYNC_SECONDS: Final = 600.0


class OxenRoutes:
    def __init__(self, oxen: "FakeOxen") -> None:
        self.oxen = oxen

    def routes(self) -> Iterable[Route]:
        """Return all routes. The list of models needs no key (docs/internals/apis.md, Oxen:
        authentication)."""
        return (
            Route("POST", "/api/ai/queue", self.enqueue),
            Route("GET", "/api/ai/queue", self.queue),
            Route("GET", "/api/ai/queue/{id}", self.show),
            Route("DELETE", "/api/ai/queue/{id}", self.cancel),
            Route("GET", "/api/ai/generations", self.history),
            Route("GET", "/api/ai/generations/{id}", self.history_entry),
            Route("GET", "/api/events", self.events),
            Route("GET", "/api/ai/models", self.models, open=True),
            Route("GET", "/api/ai/models/search", self.search_models, open=True),
            Route("GET", "/api/ai/models/{id}", self.model, open=True),
            Route("POST", "/api/ai/images/edit", self.make),
            Route("POST", "/api/ai/images/generate", self.make),
            Route("GET", "/api/repos/{path:.+}", self.result, open=True),
        )

    async def enqueue(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        count = body.get("num_generations", 1)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 4:
            raise plain(400, COUNT_WRONG)
        if self.oxen.credits is not None and self.oxen.credits <= 0:
            raise plain(400, NO_CREDITS)
        made = []
        for _ in range(count):
            generation = self.oxen.new_generation(body, queued=True)
            if self.oxen.at_once:
                await self.oxen.runner.take_at_once(generation)
            else:
                self.oxen.runner.take(generation)
            made.append({"generation_id": generation.id, "status": generation.status})
        return answer({"generations": made})

    async def queue(self, request: web.Request) -> web.Response:
        found = self._filtered(request, FILTERS)
        if "status" not in request.query:
            found = [each for each in found if not each.settled]
        rows = [self._row(each) for each in found if each.queued]
        return answer({"count": len(rows), "generations": rows})

    async def show(self, request: web.Request) -> web.Response:
        generation = self._generation(request)
        generation.times_fetched += 1
        if generation.times_fetched <= self.oxen.initial_404s:
            raise typed(404, "resource_not_found")
        return answer(self._row(generation))

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a generation. A settled one gets the same answer, without an effect."""
        generation = self._generation(request)
        if not generation.settled:
            self.oxen.advance(generation.id, "cancelled")
        return answer({"status": "success", "generation_id": generation.id})

    async def history(self, request: web.Request) -> web.Response:
        found = self._filtered(request, FILTERS | PAGES)
        found.sort(key=lambda each: each.number, reverse=True)
        page = self._number(request, "page", 1, None)
        size = self._number(request, "page_size", 50, 1000)
        shown = found[(page - 1) * size : page * size]
        costs = [cost for each in found if (cost := self.oxen.cost_of(each)) is not None]
        return answer(
            {
                "count": len(shown),
                "generations": [self._history_row(each) for each in shown],
                "page_number": page,
                "page_size": size,
                "total_pages": max(1, math.ceil(len(found) / size)),
                "total_entries": len(found),
                "total_cost": str(sum(costs)) if costs else None,
            }
        )

    async def history_entry(self, request: web.Request) -> web.Response:
        row = self._history_row(self._generation(request))
        return answer({"status": "success", "status_message": "resource_found", "generation": row})

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await self.oxen.events.serve(request)

    async def models(self, request: web.Request) -> web.Response:
        self._known_query(request, MODEL_FILTERS)
        return self._model_list("")

    async def search_models(self, request: web.Request) -> web.Response:
        self._known_query(request, {"search"})
        if not (wanted := request.query.get("search", "")):
            raise typed(400, "invalid_params", "search is required")
        return self._model_list(wanted.lower())

    async def model(self, request: web.Request) -> web.Response:
        self._models_answer()
        self._known_query(request, {"deployment_status"})
        model = self.oxen.models.get(request.match_info["id"])
        if model is None:
            raise unknown_model(request.match_info["id"])
        return answer(self._describe(model))

    async def make(self, request: web.Request) -> web.Response:
        """Handle a synchronous call: parameters are checked before the answer, not after."""
        body = await self._body(request)
        generation = self.oxen.new_generation(body, queued=False)
        self.oxen.runner.take(generation)
        await self.oxen.runner.settle(generation.id, SYNC_SECONDS)
        if generation.failure is not None:
            raise plain(400, generation.failure.message)
        if generation.status != "succeeded":
            raise Failure("a synchronous generation was cancelled")
        if body.get("response_format") == "b64_json":
            data = await self.oxen.runner.picture(generation)
            image = {"b64_json": base64.b64encode(data).decode()}
        else:
            image = {"url": self.oxen.signed(self.oxen.origin, self.oxen.result_path(generation))}
        image |= revised_prompt(generation)
        created = int(generation.enqueued_at)
        return answer({"model": generation.model, "created": created, "images": [image]})

    async def result(self, request: web.Request) -> web.Response:
        """Redirect to the CDN. Needs the key or a signed address."""
        oxen = self.oxen
        if oxen.results_need_key and not (oxen.has_key(request) or oxen.is_signed(request)):
            raise typed(401, "unauthenticated")
        found = await oxen.open_picture(request.path)
        if found is None:
            raise typed(404, "resource_not_found")
        if oxen.redirect_results:
            raise web.HTTPFound(oxen.signed(oxen.cdn_origin, request.path))
        data, content_type = found
        return web.Response(body=data, content_type=content_type)

    async def _body(self, request: web.Request) -> dict[str, object]:
        """Return the body of a creating request whose model makes images."""
        if request.content_type != "application/json":
            raise typed(415, "invalid_params", "The body must be application/json")
        body = await json_object(request)
        if body is None:
            raise typed(400, "invalid_params", "The body must be a JSON object")
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise typed(400, "invalid_params", "model is required")
        model = self.oxen.models.get(name)
        if model is None:
            raise unknown_model(name)
        if (
            model.output != "image"
        ):  # Oxen's queue accepts video models too; the stand-in only draws
            raise plain(400, UNSUPPORTED)
        for target in TARGETS:
            if not isinstance(body.get(target), str | None):
                raise typed(400, "invalid_params", f"{target} must be a string")
        return body

    def _generation(self, request: web.Request) -> FakeGeneration:
        generation = self.oxen.generations.get(request.match_info["id"])
        if generation is None:
            raise typed(404, "resource_not_found")
        return generation

    def _filtered(self, request: web.Request, known: Collection[str]) -> list[FakeGeneration]:
        self._known_query(request, known)
        query = request.query
        if query.get("status", "queued") not in STATUSES:
            raise typed(400, "invalid_params", "status is not one of the statuses")
        if query.get("media_type", "image") not in MEDIA_TYPES:
            raise typed(400, "invalid_params", "media_type must be image or video")
        own = self.oxen.namespace
        wanted = {
            "namespace": query.get("namespace", own),
            "model": query.get("model"),
            "status": query.get("status"),
            "media_type": query.get("media_type"),
            "repo": query.get("repo"),
            "folder": query.get("folder"),
        }
        return [
            each
            for each in self.oxen.generations.values()
            if all(
                value in (None, has)
                for value, has in zip(wanted.values(), self._marks(each), strict=True)
            )
        ]

    def _marks(self, generation: FakeGeneration) -> tuple[object, ...]:
        """Return the filtered fields of a generation, in the order of the filters."""
        body = generation.body
        return (
            body.get("target_namespace") or self.oxen.namespace,
            generation.model,
            generation.status,
            "image",
            body.get("target_repo"),
            body.get("target_directory"),
        )

    def _row(self, generation: FakeGeneration) -> dict[str, object]:
        row = queue_row(generation, self.oxen.result_url(generation))
        if self.oxen.revised_in_rows:
            row |= revised_prompt(generation)
        if not self.oxen.echo_defaults:
            return row
        defaults = {
            name: getattr(kind, "default", None) for name, kind in self.oxen.parameters.items()
        }
        return {name: value for name, value in defaults.items() if value is not None} | row

    def _history_row(self, generation: FakeGeneration) -> dict[str, object]:
        user = {"user_id": USER_ID, "username": self.oxen.namespace, "user_image": None}
        return history_row(self._row(generation), self.oxen.cost_of(generation), user)

    def _number(self, request: web.Request, name: str, default: int, most: int | None) -> int:
        text = request.query.get(name, str(default))
        if not (text.isascii() and text.isdigit()) or int(text) < 1 or int(text) > (most or 10**9):
            raise typed(400, "invalid_params", f"{name} is out of range")
        return int(text)

    def _known_query(self, request: web.Request, known: Collection[str]) -> None:
        for name in set(request.query) - set(known):
            self.oxen.violations.append(f"{request.path}: no query parameter {name} there")

    def _describe(self, model: Model) -> dict[str, object]:
        oxen = self.oxen
        return describe(model, Decimal(oxen.price), oxen.schema_key, oxen.parameters, oxen.required)

    def _models_answer(self) -> None:
        if not self.oxen.models_answer:
            raise typed(500, "unknown_error")

    def _model_list(self, wanted: str) -> web.Response:
        self._models_answer()
        found = [
            self._describe(model)
            for model in self.oxen.models.values()
            if wanted in f"{model.id} {model.name}".lower()
        ]
        return answer({"object": "list", "data": found})
