"""Clocks that stand still until a test moves them."""

import asyncio
from dataclasses import dataclass, field
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


SLEEP = asyncio.sleep


@dataclass
class Sleeps:
    """The waits of a task for a second and longer, none of which takes time."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        if seconds >= 1:  # not those of the tests
            self.seconds.append(seconds)
        await SLEEP(min(seconds, 0.001))
