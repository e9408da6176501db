"""The body of an event stream, read in small pieces and within limits."""

import asyncio
import time
from collections.abc import Callable

import aiohttp

from bot.errors import ProviderError, Reason

STREAM_BYTES = 1024 * 1024  # of an event stream in STREAM_SECONDS; a real one sends a few hundred
STREAM_SECONDS = 10.0
PIECE = 8 * 1024  # bytes of a stream that are decoded at once: each may be an empty line


class ByteStream:
    """An open answer of unlimited length; whoever has the stream closes it."""

    def __init__(
        self, response: aiohttp.ClientResponse, broken: Callable[[Exception], ProviderError]
    ) -> None:
        """`broken` returns the error of a connection that failed."""
        self._response = response
        self._broken = broken
        self._began, self._received = time.monotonic(), 0

    async def read(self) -> bytes:
        """Return the next bytes, none at the end of the stream; other tasks run after each read.

        ProviderError if the connection breaks, is silent for too long, or sends too much.
        """
        try:
            piece = await self._response.content.read(PIECE)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not chained: aiohttp's errors carry the request's headers, and so the key.
            raise self._broken(error) from None
        self._count(len(piece))
        # After the read: a connection that ends meanwhile would take the bytes before with it.
        await asyncio.sleep(0)
        return piece

    def close(self) -> None:
        """Close the connection, also during a read; a second call does nothing."""
        self._response.close()

    def _count(self, received: int) -> None:
        now = time.monotonic()
        if now - self._began > STREAM_SECONDS:
            self._began, self._received = now, 0
        self._received += received
        if self._received > STREAM_BYTES:
            raise ProviderError(Reason.MALFORMED, "an event stream of too many bytes")
