"""The waits between the sessions of the bot at Discord's gateway.

Discord allows 1,000 IDENTIFYs in a day and then resets the token. A session that is lost soon after
its start is likely to be lost again, so the waits grow to minutes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.backoff import Backoff
from bot.errors import EaselError

LONG_SESSION = 300.0  # seconds; a session of this age was no failure: at most 288 in a day
WAITS = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=10))


class SessionPostponed(EaselError):
    """No new session may be started for a while."""


@dataclass(slots=True)
class _Shard:
    started: float
    short: int = 0  # sessions in a row that were lost soon
    lost: bool = False


class SessionStarts:
    """The session starts of this run, by shard: they outlive a client that is replaced."""

    def __init__(self, waits: Backoff = WAITS, clock: Callable[[], float] = time.monotonic) -> None:
        self.waits = waits
        self._clock = clock
        self._shards: dict[int, _Shard] = {}

    def wait(self, shard_id: int) -> float:
        """Return the seconds before the next session of a shard, whose last one is lost."""
        shard = self._shards.get(shard_id)
        if shard is None:
            return 0.0
        age = self._clock() - shard.started
        if not shard.lost:
            shard.lost = True
            shard.short = shard.short + 1 if age < LONG_SESSION else 0
        if not shard.short:
            return 0.0
        return max(self.waits.wait(shard.short).total_seconds() - age, 0.0)

    def start(self, shard_id: int) -> None:
        """Note that an IDENTIFY is sent now."""
        shard = self._shards.setdefault(shard_id, _Shard(self._clock()))
        shard.started, shard.lost = self._clock(), False
