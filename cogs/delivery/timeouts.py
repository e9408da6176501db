"""How long we wait for Discord, and that nobody else waits longer for that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord

# A request that Discord's limits hold back for longer is refused by discord.py at once, so that
# the wait is ours: nothing is on its way meanwhile. Less than this it does not take.
LONGEST_PAUSE = 30.0  # seconds


@asynccontextmanager
async def within(client: discord.Client, seconds: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`, for requests of discord.py's."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (TimeoutError, asyncio.CancelledError):
        _let_others_go_on(client)
        raise


def _let_others_go_on(client: discord.Client) -> None:
    """In a global limit discord.py 2.7.1 holds back all requests until the one that was told has
    waited; where that is cancelled, they would wait for ever. Too early, each is told itself."""
    client.http._global_over.set()
