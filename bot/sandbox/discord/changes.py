"""Waiting for something to become true, woken by changes and never by the clock."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """Wakes every waiting task after a change; each task checks its own condition."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def until(self, probe: Callable[[], T | None], timeout: float, complaint: str) -> T:
        """The first result of `probe` that is not None; TimeoutError with `complaint` after
        `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while (found := probe()) is None:
                    future = asyncio.get_running_loop().create_future()
                    self._waiting.add(future)
                    await future
                return found
        except TimeoutError:
            raise TimeoutError(complaint) from None
