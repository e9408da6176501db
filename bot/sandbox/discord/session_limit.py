"""The number of sessions that a bot may start in a day."""

from collections.abc import Callable
from typing import Final

from bot.sandbox.discord.request_body import Json

TOTAL: Final = 1000
DAY: Final = 86400.0


class SessionLimit:
    """Discord's count of IDENTIFYs: a day begins with the first of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used = 0
        self._ends = 0.0

    def to_json(self) -> Json:
        left = self._left()
        return {
            "total": TOTAL,
            "remaining": max(TOTAL - self._used, 0),
            "reset_after": int(left * 1000),  # milliseconds
            "max_concurrency": 1,
        }

    def take(self) -> bool:
        """Count an IDENTIFY; false beyond the limit."""
        if not self._left():
            self._ends = self._clock() + DAY
        self._used += 1
        return self._used <= TOTAL

    def use_up(self, seconds: float) -> None:
        """Leave no session for so many seconds."""
        self._used, self._ends = TOTAL, self._clock() + seconds

    def _left(self) -> float:
        left = max(self._ends - self._clock(), 0.0)
        if not left:
            self._used = 0
        return left
