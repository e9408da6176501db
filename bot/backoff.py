"""The clock, and the waits between the attempts at one piece of work."""

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits between the polls of a job.

    `steps` are the waits by the age that a job has not reached yet. `overtime` is the time beyond
    JOB_TIMEOUT in which a provider that does not answer, or a picture that cannot be downloaded,
    is polled on: an outage of seconds, or a start after a long one, loses no finished picture.
    """

    first: timedelta
    steps: Sequence[tuple[timedelta, timedelta]]
    longest: timedelta
    overtime: timedelta
    in_overtime: timedelta

    def wait(self, age: timedelta, polls: int) -> timedelta:
        """Return the wait of a job that has been running for `age` and was polled `polls` times."""
        if polls == 0:
            return max(self.first - age, timedelta(0))
        return next((wait for limit, wait in self.steps if age < limit), self.longest)


def utc_now() -> datetime:
    """Return the time of the system's clock; tests pass a clock of their own instead."""
    return datetime.now(UTC)
