"""The clock, and the waits between the attempts at one piece of work."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double: `first` after the first attempt, never more than `longest`."""

    first: timedelta
    longest: timedelta

    def wait(self, attempt: int, retry_after: float | None = None) -> timedelta:
        """Return the wait after attempt number `attempt`, counted from 1.

        `retry_after` is in seconds: the pause that the other side asks for. The wait is no
        shorter, also beyond `longest`.
        """
        doublings = min(max(attempt - 1, 0), 30)  # more would overflow
        wait = min(self.first * (1 << doublings), self.longest)
        return max(wait, timedelta(seconds=retry_after or 0))


def utc_now() -> datetime:
    """Return the time of the system's clock; tests pass a clock of their own instead."""
    return datetime.now(UTC)
