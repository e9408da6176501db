"""The clock of a run, and the comparison with Discord's."""

import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from bot.backoff import utc_now

log = logging.getLogger(__name__)

Now = Callable[[], datetime]
TOLERANCE = timedelta(seconds=10)
AGAIN = timedelta(seconds=60)  # a wrong clock is logged again after a change of this size


def elapsed() -> float:
    """Return seconds that no setting of the clock changes; a suspended machine counts on."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class SteadyClock:
    """The time at the start, plus the time that has passed since.

    The machine's clock may be set while Easel runs. Jobs would then time out or stand still, and
    tokens would count as expired.
    """

    def __init__(self, wall: Now = utc_now, elapsed: Callable[[], float] = elapsed) -> None:
        self.wall = wall
        self._elapsed = elapsed
        self._base, self._since = wall(), elapsed()

    def __call__(self) -> datetime:
        return self._base + timedelta(seconds=self._elapsed() - self._since)

    def follow(self, ahead: timedelta) -> None:
        """Correct the time by the machine's error, before anything else uses this clock.

        Stored times are then Discord's, as are the ids by which messages are searched and the
        times that members see, also after the machine's clock has been corrected.
        """
        if abs(ahead) > TOLERANCE:
            self._base -= ahead


class ClockWatch:
    """Compares both clocks, the machine's and that of this run, with Discord's answers."""

    SAMPLES = 5
    FEWEST = 3

    def __init__(self, now: Now) -> None:
        self._now = now
        self._wall: Now = now.wall if isinstance(now, SteadyClock) else now
        self._machine: deque[timedelta] = deque(maxlen=self.SAMPLES)
        self._own: deque[timedelta] = deque(maxlen=self.SAMPLES)
        self._said = {"machine": timedelta(0), "run": timedelta(0)}

    @property
    def machine_ahead(self) -> timedelta | None:
        """The time by which the machine's clock is ahead of Discord's; None if unknown."""
        return self._least(self._machine)

    @property
    def own_ahead(self) -> timedelta | None:
        """The same for the clock of this run."""
        return self._least(self._own)

    def note(self, date: str | None) -> None:
        """Compare with the Date header of an answer that has just arrived."""
        theirs = parse_date(date)
        if theirs is None:
            return
        self._machine.append(self._wall() - theirs)
        self._own.append(self._now() - theirs)
        if self._is_news("machine", self.machine_ahead):
            log.warning("clock of this machine is %s Discord's", in_words(self._said["machine"]))
        if self._is_news("run", self.own_ahead):
            log.warning("clock of this run is %s Discord's", in_words(self._said["run"]))

    def _is_news(self, which: str, ahead: timedelta | None) -> bool:
        """Return whether a clock has an error that has not been logged."""
        if ahead is None:
            return False
        if abs(ahead) <= TOLERANCE:
            if self._said[which]:
                log.info("clock of this %s agrees with Discord's again", which)
            self._said[which] = timedelta(0)
            return False
        if abs(ahead - self._said[which]) < AGAIN and self._said[which]:
            return False
        self._said[which] = ahead
        return True

    def _least(self, samples: deque[timedelta]) -> timedelta | None:
        """Return the smallest error: a slow answer adds its delay to the others."""
        return min(samples, key=abs) if len(samples) >= self.FEWEST else None


def parse_date(header: str | None) -> datetime | None:
    """Return the time of a Date header, which is on average half a second old."""
    try:
        found = parsedate_to_datetime(header or "").replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found + timedelta(seconds=0.5)


def in_words(ahead: timedelta) -> str:
    seconds = ahead.total_seconds()
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
