"""Wait for conditions, woken by changes instead of a clock."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WAIT_SECONDS = 30.0  # for what should come at once, even on a machine with too much to do


class Changes:
    """A notifier that wakes all waiters after any change; each waiter checks again."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def until(self, probe: Callable[[], T | None], timeout: float, complaint: str) -> T:
        """Return the first result of `probe` that is not None.

        Raise TimeoutError with `complaint` after `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while (found := probe()) is None:
                    future = asyncio.get_running_loop().create_future()
                    self._waiting.add(future)
                    await future
                return found
        except TimeoutError:
            raise TimeoutError(complaint) from None
