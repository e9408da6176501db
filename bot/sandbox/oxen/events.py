"""Oxen's event stream: one user, lossy, no resume (docs/internals/apis.md, Oxen: events)."""

import asyncio
from typing import Final

from aiohttp import web

from bot.sandbox.http.service import compact

KEEP_ALIVE: Final = b": keep-alive\n\n"


class Events:
    """The open streams. An event reaches the streams that are open at that moment, and no
    others."""

    def __init__(self, keep_alive_seconds: float) -> None:
        self.keep_alive_seconds = keep_alive_seconds
        self._listeners: dict[asyncio.Queue[bytes | None], asyncio.Transport | None] = {}
        self._joined = asyncio.Event()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def send(self, name: str, data: object) -> None:
        text = f"event: {name}\ndata: {compact(data)}\n\n".encode()
        for queue in self._listeners:
            queue.put_nowait(text)

    async def joined(self, listeners: int, timeout: float) -> None:
        async with asyncio.timeout(timeout):
            while self.listeners < listeners:
                self._joined.clear()
                await self._joined.wait()

    def drop(self) -> None:
        """Reset all streams."""
        for queue, transport in list(self._listeners.items()):
            if transport is not None:
                transport.abort()
            queue.put_nowait(None)

    def end(self) -> None:
        """End all streams properly."""
        for queue in self._listeners:
            queue.put_nowait(None)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._listeners[queue] = request.transport
        self._joined.set()
        try:
            while (text := await self._next(queue)) is not None:
                await response.write(text)
        except ConnectionError:
            pass  # the client disconnected
        finally:
            del self._listeners[queue]
        return response

    async def _next(self, queue: asyncio.Queue[bytes | None]) -> bytes | None:
        try:
            async with asyncio.timeout(self.keep_alive_seconds):
                return await queue.get()
        except TimeoutError:
            return KEEP_ALIVE
