"""What this run remembers of deliveries that have failed so far; a restart may forget it."""

from dataclasses import dataclass, field
from datetime import datetime

from bot.jobs import Job

# Numbers of tries, at back-offs of 2 s to 10 min. The answer can be changed for 15 minutes only,
# so the channel is left for it early: after some 4 minutes. For the rest, where nobody would look
# for it, it is left after some two hours, when most of Discord's disturbances are over.
EARLY = 8
LATE = 20
LAST = 150  # a day: no way has worked while Discord did, so that none will
WRONG = 3  # of these tries the last ones, in a row, with Discord at work: else it is an outage
SMALLEST_LIMIT = 512 * 1024  # bytes of a picture that no line is too slow for


@dataclass(slots=True)
class Tried:
    """One job's. `doubtful` are ways that may have taken the result without saying so."""

    earlier_run: bool = False  # there were tries of which nothing is known
    doubtful: set[str] = field(default_factory=set)
    wrong: int = 0  # tries in a row that failed while Discord answered other questions
    limit: int | None = None  # bytes of one picture, where more took too long

    def looks_first(self, way: str, job: Job) -> bool:
        """Whether the result is looked for there before it is posted anywhere.

        With nothing known that is all ways, but for direct messages: Discord does not like
        many to be opened at once, and before `LATE` they are only a way where others were closed.
        """
        unknown = self.earlier_run and (way != "member" or job.delivery_attempts > LATE)
        return way in self.doubtful or unknown

    def looks(self, way: str) -> bool:
        """Whether it is looked for there before it is posted there."""
        return way in self.doubtful or self.earlier_run

    def may_leave(self, way: str, job: Job, now: datetime) -> bool:
        """Whether a way that does not work now is passed over for the next."""
        if self.wrong < WRONG:
            return False
        answerable = job.route.status_message_id is not None and job.route.token_at(now) is not None
        early = way == "channel" and answerable and job.delivery_attempts >= EARLY
        return early or job.delivery_attempts >= LATE

    def is_over(self, job: Job) -> bool:
        return self.wrong >= WRONG and job.delivery_attempts >= LAST

    def took_too_long(self, largest: int) -> None:
        """The next try uploads less; `largest` is the largest picture's size in bytes."""
        if largest > SMALLEST_LIMIT:
            self.limit = max(largest // 2, SMALLEST_LIMIT)


class Tries:
    def __init__(self) -> None:
        self._of: dict[str, Tried] = {}

    def of(self, job: Job, *, again: bool) -> Tried:
        if not again:
            self.forget(job)
        return self._of.setdefault(job.id, Tried(earlier_run=again))

    def forget(self, job: Job) -> None:
        self._of.pop(job.id, None)
