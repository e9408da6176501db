"""Clocks that stand still until a test moves them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.support.rows import NOW


@dataclass
class Moment:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


@dataclass
class Elapsed:
    """The clock of `bot.clock.elapsed`."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds
