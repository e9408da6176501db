"""A running job in memory: its last updates, and the time of its next poll.

After a restart, the watch is made again from the rows.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.backoff import Backoff
from bot.errors import Reason
from bot.jobs import Generation, Job
from bot.providers.base import Canceled, Running, Waiting
from bot.worker.poll_queue import Poll
from bot.worker.schedule import LEAST, MOST, Schedule
from bot.worker.settle import Abandoned, End

CANCELS = Backoff(first=timedelta(seconds=5), longest=timedelta(minutes=1))
# Beyond JOB_TIMEOUT, a provider that does not answer, or a picture that cannot be downloaded, is
# polled on: an outage of seconds, or a start after a long one, loses no finished picture.
OVERTIME = timedelta(minutes=3)
IN_OVERTIME = timedelta(seconds=10)  # the longest wait then
NET = timedelta(seconds=MOST)  # between the late polls of a job whose end a stream reports
JITTER = 0.05  # of a wait, more or less
# The part of the time until the first poll after which a generation has ended that this poll finds
# ended: most that end so early end shortly before it, because the schedule begins with the first.
BEFORE_FIRST = 0.8


@dataclass(slots=True)
class JobWatch:
    """A running job. `since` is the time from which it has been running."""

    job: Job
    generations: Sequence[Generation]
    since: datetime
    deadline: datetime
    schedule: Schedule
    cancel_requested: bool = False
    updates: dict[str, End] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    polls: int = 0
    polled_at: datetime | None = None  # the last poll
    not_before: datetime | None = None  # the provider requested a pause
    overtime_at: datetime | None = None  # the first poll after the deadline
    stopped: frozenset[str] = frozenset()  # generations that need no cancel any more
    cancel_attempts: int = 0
    cancel_after: datetime | None = None
    news: bool = False  # a stream reported an end that no poll has seen yet
    news_at: datetime | None = None  # the last report of a stream
    has_stream: bool = False  # of its own, which reports its end
    unseen: bool = False  # an end may have been missed: the job ran while no stream was followed
    fails: bool = False  # the last poll failed, or the pictures of an end cannot be downloaded
    running_until: datetime | None = None  # the last poll that found a generation without an end

    @property
    def poll(self) -> Poll:
        return Poll(self.job.id, self.job.provider, self.job.user_id, self.polls)

    @property
    def pending(self) -> list[Generation]:
        open_ended = (Waiting, Running, type(None))
        return [
            each
            for each in self.generations
            if isinstance(self.updates.get(each.remote_id), open_ended)
        ]

    @property
    def unstopped(self) -> list[Generation]:
        return [each for each in self.pending if each.remote_id not in self.stopped]

    @property
    def ends(self) -> list[tuple[Generation, End]]:
        """The ends so far: in overtime, a generation without an end of its own is abandoned."""
        open_ended = (Waiting, Running) if self.cancel_requested else (Waiting, Running, Canceled)
        found: list[tuple[Generation, End]] = []
        for each in self.generations:
            update = self.updates.get(each.remote_id, Running())
            if self.overtime_at and isinstance(update, open_ended):
                found.append((each, Abandoned(Reason.TIMEOUT, "no end within JOB_TIMEOUT")))
            else:
                found.append((each, update))
        return found

    def hear(self, now: datetime) -> None:
        """Note that a stream has reported an end."""
        self.news, self.news_at = True, now

    def begin_poll(self, now: datetime) -> None:
        self.polls += 1
        self.polled_at = now
        self.news = self.unseen = self.fails = False
        if now >= self.deadline and self.overtime_at is None:
            self.overtime_at = now

    def is_last(self, now: datetime) -> bool:
        """Return whether this poll settles the job, whatever the provider answers."""
        return self.overtime_at is not None and now - self.overtime_at >= OVERTIME

    def forget_ends(self) -> None:
        """Poll all generations again: the addresses of their pictures may have expired."""
        self.fails = True
        self.stopped |= self.updates.keys() - {each.remote_id for each in self.pending}
        self.updates.clear()

    def cancel_failed(self, now: datetime, retry_after: float | None) -> None:
        self.cancel_attempts += 1
        self.cancel_after = now + CANCELS.wait(self.cancel_attempts, retry_after)

    def ended(self, now: datetime) -> Job:
        """Return the job with the time that its pictures took.

        Without a report of a stream, the end was between the last two polls.
        """
        if self.running_until:
            polled = self.running_until + (now - self.running_until) / 2
        else:
            polled = self.since + BEFORE_FIRST * (now - self.since)
        at = self.news_at or polled
        took = max((at - self.since) // timedelta(milliseconds=1), 0)
        return replace(self.job, generation_ms=took)

    def next_poll(self, now: datetime, *, followed: bool) -> datetime:
        """Return the time of the next poll; `followed` if a stream reports ends.

        It counts from the last poll, so that planning a job again does not postpone its poll.
        """
        overtime = now >= self.deadline
        if followed and not (self.fails or self.cancel_requested or overtime):
            late = self.since + timedelta(seconds=self.schedule.late)
            moment = max(late, self.polled_at + NET) if self.polled_at else late
        else:
            moment = self._by_schedule()
        moment = min(moment, now + IN_OVERTIME) if overtime else min(moment, self.deadline)
        if self.not_before and self.pending:
            end = (self.overtime_at or self.deadline) + OVERTIME
            moment = max(moment, min(self.not_before, end))
        return moment

    def _by_schedule(self) -> datetime:
        begin = self.polled_at or self.since  # a job that was not watched is polled at once
        wait = self.schedule.wait(begin - self.since).total_seconds()
        wait *= random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret
        return begin + timedelta(seconds=min(max(wait, LEAST), MOST))
