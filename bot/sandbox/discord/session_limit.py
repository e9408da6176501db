"""The number of sessions that a bot may start: in a day, and at once."""

import time
from collections.abc import Callable
from typing import Final

from bot.sandbox.discord.request_body import Json

TOTAL: Final = 1000
DAY: Final = 86400.0


class SessionLimit:
    """Discord's counts of IDENTIFYs: a day begins with the first of them.

    Shards with the same `shard_id % max_concurrency` may start one session in `identify_seconds`
    (5 at Discord; 0 accepts any number).
    """

    def __init__(
        self, clock: Callable[[], float], max_concurrency: int = 1, identify_seconds: float = 0.0
    ) -> None:
        self.max_concurrency = max_concurrency
        self.identify_seconds = identify_seconds
        self._clock = clock
        self._last: dict[int, float] = {}  # the last start, by the shards' key; monotonic
        self._used = 0
        self._ends = 0.0

    def to_json(self) -> Json:
        left = self._left()
        return {
            "total": TOTAL,
            "remaining": max(TOTAL - self._used, 0),
            "reset_after": int(left * 1000),  # milliseconds
            "max_concurrency": self.max_concurrency,
        }

    def take(self) -> bool:
        """Count an IDENTIFY; false beyond the limit."""
        if not self._left():
            self._ends = self._clock() + DAY
        self._used += 1
        return self._used <= TOTAL

    def take_turn(self, shard_id: int) -> bool:
        """Count the start of a shard's session; false if another one is too recent."""
        key, now = shard_id % self.max_concurrency, time.monotonic()
        last = self._last.get(key)
        if last is not None and now - last < self.identify_seconds:
            return False
        self._last[key] = now
        return True

    def use_up(self, seconds: float) -> None:
        """Leave no session for so many seconds."""
        self._used, self._ends = TOTAL, self._clock() + seconds

    def _left(self) -> float:
        left = max(self._ends - self._clock(), 0.0)
        if not left:
            self._used = 0
        return left
