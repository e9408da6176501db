"""When to ask a provider next. The schedule is pure: it can be tested without a clock."""

from datetime import UTC, datetime, timedelta

FIRST = timedelta(seconds=2)
# (age up to, interval): most pictures take 5 to 30 s (apis.md, C3), so that is where we ask often.
STEPS = (
    (timedelta(seconds=60), timedelta(seconds=2)),
    (timedelta(minutes=3), timedelta(seconds=5)),
    (timedelta(minutes=10), timedelta(seconds=15)),
)
SLOWEST = timedelta(seconds=60)


def wait_after(age: timedelta, asked: int) -> timedelta:
    """How long to wait when the job has been running for `age` and was asked for `asked` times."""
    if asked == 0:
        return max(FIRST - age, timedelta(0))
    return next((interval for limit, interval in STEPS if age < limit), SLOWEST)


def back_off(tries: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """Doubling waits: `first` after the first try, never more than `longest`."""
    doublings = min(max(tries - 1, 0), 30)
    return min(first * (1 << doublings), longest)


def utc_now() -> datetime:
    """The clock, where no test puts its own in its place."""
    return datetime.now(UTC)
