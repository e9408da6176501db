"""The event stream of one generation (docs/internals/apis.md, skills.video: events)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox.generations import FakeGeneration, State
from bot.sandbox.http.service import compact

if TYPE_CHECKING:
    from bot.sandbox.skills.server import FakeSkills

View = Callable[[FakeGeneration], Awaitable[dict[str, object]]]
LOOK_SECONDS = 0.05  # between looks whether the client is still connected


@dataclass(frozen=True, slots=True)
class Cut:
    """The end of each stream after `events` events: the connection closes, or falls silent.

    `extra` is sent before that.
    """

    events: int
    silent: bool = False
    extra: bytes = b""


class GenerationEvents(web.StreamResponse):
    """An answer with each state of a generation until the end.

    All is sent when the server writes the answer, so that a fault can replace or delay the answer
    after the creation. A client that disconnects misses the rest.
    """

    def __init__(self, skills: "FakeSkills", generation: FakeGeneration, view: View) -> None:
        super().__init__(headers={"Content-Type": "text/event-stream"})
        self._skills = skills
        self._generation = generation
        self._view = view
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> object:  # type: ignore[override]
        self._request = request
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        self._skills.open_streams += 1
        try:
            if await self._send_all():
                await super().write_eof(data)
            elif self._request is not None and self._request.transport is not None:
                self._request.transport.close()
        except ConnectionError:
            pass  # the generation continues
        finally:
            self._skills.open_streams -= 1

    async def _send_all(self) -> bool:
        """Return whether the stream ended by itself."""
        cut, number = self._skills.stream_cut, 0
        while cut is None or number < cut.events:
            sent = self._generation.status
            await self.write(await self._event())
            number += 1
            if self._generation.status == sent and self._generation.settled:
                return True
            if cut is None or number < cut.events:
                await self._wait_while(sent)
        await self.write(cut.extra)
        if cut.silent:
            await self._wait_while(None)
        return False

    async def _event(self) -> bytes:
        view = await self._view(self._generation)
        line = {name: view[name] for name in ("id", "status", "data", "usage")}
        reason = {n: view[n] for n in ("error", "code", "message") if n in view}
        return f"data: {compact(line | reason)}\n\n".encode()

    async def _wait_while(self, status: State | None) -> None:
        """Wait for another state, or without end. Raise ConnectionError when an end of the
        connection or of the stand-in comes first."""
        while status is None or self._generation.status == status:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._skills.runner.changed()
            except TimeoutError:
                transport = self._request.transport if self._request is not None else None
                if transport is None or transport.is_closing():
                    raise ConnectionError("the client has disconnected") from None
