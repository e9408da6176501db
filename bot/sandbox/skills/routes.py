"""The routes of skills.video's API, one method each."""

import base64
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox.generations import FakeGeneration
from bot.sandbox.http.service import Route, answer, json_object
from bot.sandbox.parameters import problem
from bot.sandbox.skills.events import GenerationEvents
from bot.sandbox.skills.models import REQUIRED, parameters
from bot.sandbox.skills.responses import (
    Usage,
    actual_prompt,
    created,
    credits_body,
    plain,
    refused,
    shown,
)

if TYPE_CHECKING:
    from bot.sandbox.skills.server import FakeSkills


class SkillsRoutes:
    """The routes. The API cannot cancel, list generations or models, or accept uploads."""

    def __init__(self, skills: "FakeSkills") -> None:
        self.skills = skills

    def routes(self) -> Iterable[Route]:
        prefix = "/api/v1"
        return (
            Route("POST", prefix + "/generation/sse/{provider}/{model}", self.stream),
            Route("POST", prefix + "/generation/{provider}/{model}", self.create),
            Route("GET", prefix + "/generation/{id}", self.show),
            Route("GET", prefix + "/credits", self.credits),
        )

    async def create(self, request: web.Request) -> web.Response:
        skills = self.skills
        generation = await self._begun(request)
        body = created(generation, skills.contract, skills.usage_of(generation))
        return answer(body, skills.accepted_status or (202 if skills.contract == "new" else 200))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Create a generation, and answer with each state until the end."""
        return GenerationEvents(self.skills, await self._begun(request), self._view)

    async def show(self, request: web.Request) -> web.Response:
        generation = self.skills.generations.get(request.match_info["id"])
        if generation is None:
            raise plain(self.skills.contract, 404)
        generation.times_fetched += 1
        if generation.times_fetched <= self.skills.initial_404s:
            raise plain(self.skills.contract, 404)
        return answer(await self._view(generation))

    async def credits(self, _: web.Request) -> web.Response:
        left = Usage(self.skills.subscription, self.skills.permanent)
        return answer(credits_body(self.skills.credits_shape, left))

    async def _begun(self, request: web.Request) -> FakeGeneration:
        """Create the generation of a valid request."""
        skills = self.skills
        if request.content_type != "application/json":
            raise plain(skills.contract, 415)
        wanted = f"{request.match_info['provider']}/{request.match_info['model']}"
        if wanted != skills.model:
            raise refused(skills.contract, "UNSUPPORTED_MODEL", f"{wanted} is not supported.")
        body = await json_object(request)
        if body is None:
            raise refused(skills.contract, "INVALID_INPUT", "The body must be a JSON object.")
        table = parameters(newer_page=skills.newer_page)
        if (wrong := problem(table, REQUIRED, body)) is not None:
            raise refused(skills.contract, "INVALID_INPUT", wrong)
        if "n" in body and "num_images" in body:
            skills.violations.append(f"{request.path}: n and num_images together multiply")
        if skills.rejects == "at once" and skills.rejected(body):
            raise refused(skills.contract, "CONTENT_REJECTED")
        generation = skills.begin(body)
        if skills.at_once:
            await skills.runner.take_at_once(generation)
        else:
            skills.runner.take(generation)
        return generation

    async def _view(self, generation: FakeGeneration) -> dict[str, object]:
        usage = self.skills.usage_of(generation)
        return shown(generation, self.skills.contract, usage, await self._data(generation))

    async def _data(self, generation: FakeGeneration) -> object:
        """Return the pictures, or None until the generation has succeeded."""
        if generation.status != "succeeded":
            return None
        images = [await self._image(generation, index) for index in range(generation.pictures)]
        return {
            "type": "image",
            "n": generation.pictures,
            "actual_prompt": actual_prompt(generation, expands=self.skills.expands_prompts),
            "images": images,
            "image": images[0],
        }

    async def _image(self, generation: FakeGeneration, index: int) -> dict[str, object]:
        draw_request = await self.skills.runner.draw_request(generation)
        kind = f"image/{draw_request.format}"
        name = f"{generation.id}-{index + 1}.{draw_request.format}"
        if generation.body.get("sync_mode") is True:
            data = await self.skills.runner.picture(generation, index)
            url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        else:
            url = self.skills.signed(self.skills.cdn_origin, f"/output/{name}")
        return {
            "url": url,
            "file_name": name,
            "content_type": kind,
            "width": draw_request.size[0],
            "height": draw_request.size[1],
        }
