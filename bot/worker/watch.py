"""One running job as it is watched: what is known of it in memory, and when to ask next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.backoff import back_off, wait_after
from bot.errors import Reason
from bot.jobs import Generation, Job
from bot.providers.base import Canceled, Running, Update, Waiting
from bot.worker.settle import End, GivenUp

# Beyond JOB_TIMEOUT, where nobody answers or a picture cannot be had: an outage of seconds, or a
# start after a long one, is no reason to give up what may be finished.
PATIENCE = timedelta(minutes=3)
AGAIN = timedelta(seconds=10)  # between questions in that time
FIRST_CANCEL = timedelta(seconds=5)  # until it is repeated
LONGEST_CANCEL = timedelta(minutes=1)


@dataclass
class JobWatch:
    """Made anew from the rows after a restart."""

    job: Job
    generations: Sequence[Generation]
    since: datetime
    deadline: datetime
    wished: bool = False  # its member wants it stopped
    updates: dict[str, Update] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    not_before: datetime | None = None  # the provider asked to be left alone
    overtime_at: datetime | None = None  # when it was first asked about after the deadline
    stopped: set[str] = field(default_factory=set)  # nothing is to be cancelled there any more
    cancels: int = 0  # tries that were not all answered
    cancel_after: datetime | None = None
    news: bool = False  # a stream told of an end that no poll has asked about yet

    @property
    def pending(self) -> list[Generation]:
        unended = (Waiting, Running, type(None))
        return [
            each
            for each in self.generations
            if isinstance(self.updates.get(each.remote_id), unended)
        ]

    @property
    def unstopped(self) -> list[Generation]:
        return [each for each in self.pending if each.remote_id not in self.stopped]

    @property
    def ends(self) -> list[tuple[Generation, End]]:
        """How its generations ended; given up where they did not, or only because we said so."""
        unmade = (Waiting, Running) if self.wished else (Waiting, Running, Canceled)
        found: list[tuple[Generation, End]] = []
        for each in self.generations:
            update = self.updates.get(each.remote_id, Running())
            if self.overtime_at and isinstance(update, unmade):
                found.append((each, GivenUp(Reason.TIMEOUT, "no end within JOB_TIMEOUT")))
            else:
                found.append((each, update))
        return found

    def begin_turn(self, now: datetime) -> None:
        self.asked += 1
        self.news = False
        if now >= self.deadline and self.overtime_at is None:
            self.overtime_at = now

    def is_last(self, now: datetime) -> bool:
        """Whether it is settled after this turn, whatever is answered in it."""
        return self.overtime_at is not None and now - self.overtime_at >= PATIENCE

    def ask_anew(self) -> None:
        """Forget how they ended: their pictures' addresses may have expired."""
        self.stopped |= self.updates.keys() - {each.remote_id for each in self.pending}
        self.updates.clear()

    def cancel_failed(self, now: datetime, retry_after: float | None) -> None:
        self.cancels += 1
        wait = back_off(self.cancels, first=FIRST_CANCEL, longest=LONGEST_CANCEL)
        self.cancel_after = now + max(wait, timedelta(seconds=retry_after or 0))

    def next_question(self, now: datetime) -> datetime:
        overtime = now >= self.deadline
        usual = wait_after(now - self.since, self.asked)
        moment = now + (min(usual, AGAIN) if overtime else usual)
        if not overtime:
            moment = min(moment, self.deadline)
        if self.not_before and self.pending:
            end = (self.overtime_at or self.deadline) + PATIENCE
            moment = max(moment, min(self.not_before, end))
        return moment
