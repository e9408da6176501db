"""A loopback server that answers as a test tells it, for what no faithful stand-in would say."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

Body = bytes | str | Mapping[str, object] | list[object] | None


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: Body = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        body = self.body
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return web.Response(status=self.status, body=body, headers=dict(self.headers))


@dataclass
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Service:
    """Answers with `replies` in turn, and with the last of them for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.replies: list[Reply] = [Reply()]
        self.asked: list[Asked] = []

    def says(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def answers(self, body: Body, status: int = 200, **headers: str) -> None:
        self.says(Reply(status, body, headers))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        path = request.rel_url.raw_path
        self.asked.append(
            Asked(request.method, path, dict(request.query), dict(request.headers), body)
        )
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply.response()


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    found = Service()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", found.serve)
    async with TestServer(app, host="127.0.0.1") as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


@asynccontextmanager
async def raw(answer: bytes, *, hang: bool = False) -> AsyncIterator[str]:
    """The address of a server that sends these bytes to whoever asks, and then hangs or closes."""
    waiting = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if hang:
                await waiting.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        waiting.set()
        server.close()
        await server.wait_closed()
