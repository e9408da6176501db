"""Bounds for the connections to the health endpoint, which aiohttp's server has not."""

import asyncio
from collections.abc import Callable
from typing import cast

MAX_CONNECTIONS = 50
IDLE_SECONDS = 10.0  # without a byte from the client


class Gate(asyncio.Protocol):
    """A connection to the protocol `inner`: closed if too many are open, or nothing arrives."""

    def __init__(self, inner: asyncio.Protocol, connections: set["Gate"]) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass
        if len(self._connections) >= MAX_CONNECTIONS:
            stream.abort()
            return
        self._transport = stream
        self._connections.add(self)
        self._wait()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._wait()
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is None:
            return
        self._connections.discard(self)
        if self._idle is not None:
            self._idle.cancel()
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _wait(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(IDLE_SECONDS, self._transport.abort)


def gated(inner: Callable[[], asyncio.Protocol]) -> Callable[[], Gate]:
    """Return a factory of gates that share one bound."""
    connections: set[Gate] = set()
    return lambda: Gate(inner(), connections)
