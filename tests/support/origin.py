"""A web server for downloads, and headers for requests to it."""

from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = {"Authorization": "Bearer secret"}


class Origin:
    """A web server of one handler, which remembers what keys it was sent."""

    def __init__(self, handler: Handler) -> None:
        self.keys: list[str | None] = []
        self._handler = handler
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._serve)
        self.server = TestServer(app, host="127.0.0.1")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.keys.append(request.headers.get("Authorization"))
        return await self._handler(request)

    def url(self, path: str = "/a.png") -> str:
        return str(self.server.make_url(path))

    async def __aenter__(self) -> Self:
        await self.server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()


def nobody(_: str) -> dict[str, str]:
    """Send no header with any request."""
    return {}
