"""One circuit breaker for each image API: after failures in a row nothing more is sent there, so
that jobs wait in the queue instead of being lost one by one."""

from datetime import datetime, timedelta
from enum import StrEnum

from bot.backoff import back_off
from bot.errors import ProviderError, Reason

FAILURES = 3
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=1)
DOWN = frozenset({Reason.UNAVAILABLE, Reason.TIMEOUT, Reason.MALFORMED})


class State(StrEnum):
    CLOSED = "closed"  # all is well
    OPEN = "open"  # nothing is sent until a question that costs nothing is answered
    HALF_OPEN = "half open"  # it is: one request is sent, which decides


class Breaker:
    """Counts creating requests alone: an API may tell of old work and take no new one."""

    def __init__(self) -> None:
        self.state = State.CLOSED
        self._failures = 0
        self._times_opened = 0
        self._until: datetime | None = None

    def asks(self, now: datetime) -> bool:
        """Whether it is time to ask if the API is there again."""
        return self.state is State.OPEN and self._until is not None and now >= self._until

    def answered(self) -> None:
        """The API is there: let one request try."""
        self.state = State.HALF_OPEN

    def failed(self, error: ProviderError, now: datetime) -> None:
        """Hear of an error; one that is about the request alone says that the API works."""
        limited = error.reason is Reason.RATE_LIMITED
        if error.reason not in DOWN and not limited:
            self.worked()
            return
        self._failures += 1
        patience = 1 if self.state is not State.CLOSED or error.retry_after else FAILURES
        if self._failures >= patience:
            self._open(now, timedelta(seconds=error.retry_after or 0))

    def worked(self) -> None:
        self.state = State.CLOSED
        self._failures = self._times_opened = 0
        self._until = None

    def _open(self, now: datetime, at_least: timedelta) -> None:
        self.state = State.OPEN
        self._times_opened += 1
        wait = back_off(self._times_opened, first=FIRST_WAIT, longest=LONGEST_WAIT)
        self._until = now + max(wait, at_least)
