"""Timeouts for Discord requests that do not stall other requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord

from cogs.delivery.global_limit_workaround import release_global_limit

# discord.py refuses a request at once that a rate limit would hold back for longer, so that the
# wait is the worker's and no request is on the way meanwhile. discord.py accepts no less.
MAX_RATE_LIMIT_WAIT = 30.0  # seconds
SHOW_TIMEOUT = 5.0  # seconds, for the edit or the removal of a status message
QUERY_TIMEOUT = 10.0
SEND_TIMEOUT = 60.0  # and more by the size of the upload


def send_timeout(size: int) -> float:
    """Return the seconds for an upload of `size` bytes: less than 1 Mbit/s is cut off."""
    return SEND_TIMEOUT + size / (128 * 1024)


@asynccontextmanager
async def within(client: discord.Client, seconds: float) -> AsyncIterator[None]:
    """Limit requests of discord.py like `asyncio.timeout`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (TimeoutError, asyncio.CancelledError):
        release_global_limit(client)
        raise
