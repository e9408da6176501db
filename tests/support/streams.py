"""A stream of a provider, which reports what a test says."""

import asyncio
from collections.abc import AsyncIterator


class HeldStream:
    """A `bot.providers.base.Stream`: it reports ends, and then waits until it is over or closed.

    An error is raised in the place of an end: no provider does that, and the worker must not end
    with one that does.
    """

    def __init__(self, *ends: str | Exception, is_over: bool = False) -> None:
        self._ends = ends
        self.over = asyncio.Event()
        if is_over:
            self.over.set()
        self.closed = 0

    async def ends(self) -> AsyncIterator[str]:
        for each in self._ends:
            if isinstance(each, Exception):
                raise each
            yield each
        await self.over.wait()

    def close(self) -> None:
        self.closed += 1
