"""Bounds for the connections to the health endpoint, which aiohttp's server has not."""

import asyncio
from collections.abc import Callable
from typing import cast

MAX_CONNECTIONS = 50
IDLE_SECONDS = 10.0  # without a byte from the client


class Gate(asyncio.Protocol):
    """A connection to the protocol `inner`: closed if nothing arrives, or too many newer ones do.

    The oldest goes first, so that clients which send a byte now and then keep nobody else out.
    """

    def __init__(self, inner: asyncio.Protocol, connections: dict["Gate", None]) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass
        if len(self._connections) >= MAX_CONNECTIONS:
            next(iter(self._connections)).abort()
        self._connections[self] = None
        self._wait()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._wait()
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.pop(self, None)
        if self._idle is not None:
            self._idle.cancel()
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def abort(self) -> None:
        self._connections.pop(self, None)  # at once: the transport closes in a later turn
        if self._transport is not None:
            self._transport.abort()

    def _wait(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(IDLE_SECONDS, self.abort)


def gated(inner: Callable[[], asyncio.Protocol]) -> Callable[[], Gate]:
    """Return a factory of gates that share one bound."""
    connections: dict[Gate, None] = {}  # in the order of their beginning
    return lambda: Gate(inner(), connections)
