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


class Retries:
    """The attempts at many pieces of work, each with an id: counted in this run only.

    The count of an id that was not used for long is forgotten, because work may end unnoticed.
    """

    COUNTED = 1000  # ids

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._attempts: dict[str, int] = {}  # the id that was used last is last

    def wait(self, work_id: str, retry_after: float | None = None) -> timedelta:
        """Count a failed attempt, and return the wait before the next, as in `Backoff.wait`."""
        attempt = self._attempts.pop(work_id, 0) + 1
        self._attempts[work_id] = attempt
        if len(self._attempts) > self.COUNTED:
            del self._attempts[next(iter(self._attempts))]
        return self._backoff.wait(attempt, retry_after)

    def end(self, work_id: str) -> None:
        """Forget the attempts: the work has succeeded, or is given up."""
        self._attempts.pop(work_id, None)


def utc_now() -> datetime:
    """Return the time of the system's clock; tests pass a clock of their own instead."""
    return datetime.now(UTC)
