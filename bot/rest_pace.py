"""The pace of requests to Discord, where several processes share the limit of one bot."""

import asyncio
import re
from collections.abc import Callable

LIMIT = 50  # requests a second for the whole bot (docs/internals/discord.md, Limits)
BURST = 5  # requests that may leave at once after a pause
# Replies to interactions do not count: they go by webhooks and callbacks.
UNCOUNTED = re.compile(r"/(webhooks|interactions)/")


class RestPace:
    """Holds requests back, so that all processes together stay below Discord's limit."""

    def __init__(self, sharers: Callable[[], int]) -> None:
        """`sharers` returns the number of processes; one alone is not held back."""
        self._sharers = sharers
        self._free_at = 0.0  # by the clock of the event loop

    async def wait(self, path: str) -> None:
        """Wait for the turn of a request; the path is that of its address."""
        sharers = self._sharers()
        if sharers == 1 or UNCOUNTED.search(path):
            return
        interval, now = sharers / LIMIT, asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - BURST * interval) + interval
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
