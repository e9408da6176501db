"""Slots for pieces of work that run at once, in which members take turns."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from bot.jobs import Job

REMEMBERED = 1000  # members whose last turn is known; all others had theirs longer ago


@dataclass(slots=True)
class Slots:
    """The slots of one kind of work: `total` at once, `of_member` of them for one member.

    A piece of work that waits for a rate limit gives its slot back, and may end without one. At
    most `in_channel` pieces post to one channel and at most `with_waiting` run at all, half of them
    for one member, those that wait included.
    """

    total: int
    of_member: int
    in_channel: int | None = None
    with_waiting: int = 0
    _jobs: dict[str, Job] = field(default_factory=dict)  # whose work has not ended
    _waiting: set[str] = field(default_factory=set)
    _served: dict[int, None] = field(default_factory=dict)  # the member of the last turn is last

    def choose(self, due: Iterable[Job]) -> list[Job]:
        """Return the jobs to work on now, each with a slot.

        Of the members with the fewest slots, the one who was served longest ago comes first, with
        the first of the member's jobs in the order of `due`.
        """
        left = [job for job in due if job.id not in self._jobs]
        chosen: list[Job] = []
        while fitting := self._fitting(left):
            order = {user_id: number for number, user_id in enumerate(self._served)}
            slots = Counter(job.user_id for job in self._active())
            job = min(fitting, key=lambda each: (slots[each.user_id], order.get(each.user_id, -1)))
            left.remove(job)
            chosen.append(job)
            self._serve(job)
        return chosen

    @property
    def served(self) -> Collection[int]:
        """The members in the order of their last turns."""
        return self._served.keys()

    def wait(self, job: Job) -> None:
        """Give back the slot of a job whose work waits for a rate limit."""
        if job.id in self._jobs:
            self._waiting.add(job.id)

    def end(self, job: Job) -> None:
        """Give back the slot of a job whose work has ended."""
        self._jobs.pop(job.id, None)
        self._waiting.discard(job.id)

    @property
    def full_channels(self) -> frozenset[int]:
        """The channels in which no further work may begin."""
        if self.in_channel is None:
            return frozenset()
        channels = Counter(job.posts_to for job in self._jobs.values())
        return frozenset(
            channel
            for channel, number in channels.items()
            if channel is not None and number >= self.in_channel
        )

    @property
    def is_full(self) -> bool:
        """True while a piece of work that is due would wait for a slot."""
        return len(self._active()) >= self.total

    def _active(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.id not in self._waiting]

    def _fitting(self, due: Collection[Job]) -> list[Job]:
        """Return the jobs of which any could begin now."""
        active, full = self._active(), self.full_channels
        if not due or len(active) >= self.total:
            return []
        if len(self._jobs) >= max(self.with_waiting, self.total):
            return []
        slots = Counter(job.user_id for job in active)
        begun = Counter(job.user_id for job in self._jobs.values())
        most = max(self.with_waiting // 2, self.of_member)
        return [
            job
            for job in due
            if slots[job.user_id] < self.of_member
            and begun[job.user_id] < most
            and job.posts_to not in full
        ]

    def _serve(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._served.pop(job.user_id, None)
        self._served[job.user_id] = None
        if len(self._served) > REMEMBERED:
            del self._served[next(iter(self._served))]
