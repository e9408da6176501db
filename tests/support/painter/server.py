"""A stand-in for the painter's API, which refuses all unknown input."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.files import picture

KNOWN = {
    "pencil-1": {"model", "prompt", "aspect_ratio", "seed"},
    "fresco-2": {"model", "prompt", "image_size"},
}
CREDITS = {"pencil-1": 3, "fresco-2": 11}


@dataclass
class FakePainter:
    """A painter's API. `bodies` are the creating requests; the n-th has the id `painting-n`."""

    key: str
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def account(self, request: web.Request) -> web.Response:
        return self._answer(request, {"name": "Ada's studio"})

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["model"] not in KNOWN or not body.keys() <= KNOWN[body["model"]]:
            return web.json_response({"error": {"message": f"invalid: {body}"}}, status=422)
        self.bodies.append(body)
        return self._answer(request, {"id": f"painting-{len(self.bodies)}", "status": "queued"})

    async def read(self, request: web.Request) -> web.Response:
        remote_id = request.match_info["id"]
        body = self.bodies[int(remote_id.removeprefix("painting-")) - 1]
        row = {"id": remote_id, "status": "completed", "credits": CREDITS[body["model"]]}
        return self._answer(request, {**row, "url": f"{self.url}/files/{remote_id}.png"})

    async def file(self, _: web.Request) -> web.Response:
        return web.Response(body=picture(), content_type="image/png")

    def _answer(self, request: web.Request, body: object) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "unauthorized"}}, status=401)
        return web.json_response(body)


@asynccontextmanager
async def fake_painter(key: str) -> AsyncIterator[FakePainter]:
    painter = FakePainter(key)
    app = web.Application()
    app.router.add_get("/api/account", painter.account)
    app.router.add_post("/api/paintings", painter.create)
    app.router.add_get("/api/paintings/{id}", painter.read)
    app.router.add_get("/api/files/{name}", painter.file)
    async with TestServer(app, host="127.0.0.1") as server:
        painter.url = str(server.make_url("/api"))
        yield painter
