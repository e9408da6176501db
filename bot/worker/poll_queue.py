"""The order of polls: members take turns, and a job's first polls come before later ones."""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

# At most 20 polls a second, of all processes together, however many jobs run: commands are answered
# between them, and the APIs are not flooded. Jobs of which a stream reported an end need not keep
# this distance.
GAP = timedelta(milliseconds=50)
POLLS_AT_ONCE = 8  # at each provider; a poll of a job with four generations is four requests
OF_MEMBER = POLLS_AT_ONCE // 2  # so that polls that stall delay nobody else's


@dataclass(frozen=True, slots=True)
class Poll:
    """The next poll of a job. `polls` is the number of polls so far."""

    job_id: str
    provider: str
    user_id: int
    polls: int = 0


Lane = tuple[str, int]  # the jobs of one member at one provider


@dataclass(slots=True)
class OnTheWay:
    """The polls that are on the way, by member and provider."""

    _lanes: Counter[Lane] = field(default_factory=Counter)
    _providers: Counter[str] = field(default_factory=Counter)

    def begin(self, provider: str, user_id: int) -> None:
        self._lanes[provider, user_id] += 1
        self._providers[provider] += 1

    def end(self, provider: str, user_id: int) -> None:
        self._lanes[provider, user_id] -= 1
        self._providers[provider] -= 1
        if not self._lanes[provider, user_id]:
            del self._lanes[provider, user_id]

    def leave_room(self, lane: Lane) -> bool:
        """Return whether one more poll of the lane may begin."""
        return self._lanes[lane] < OF_MEMBER and self._providers[lane[0]] < POLLS_AT_ONCE

    def copy(self) -> "OnTheWay":
        return OnTheWay(self._lanes.copy(), self._providers.copy())


class Rotation:
    """Polls that are due now, taken by turns.

    Each turn takes one poll of a lane: of the job with the fewest polls so far, then of the one
    that has been due for longest. A lane that had a turn in the current round waits for the next
    round. In a round, a lane whose poll is an earlier one goes first, so that a member who has just
    come waits for no round to end.

    Invariant: `_lanes` holds no empty lane, `_rounds` no round before the current one, and the
    first entry of each of `_order` is that of a job in the lane.
    """

    def __init__(self) -> None:
        self._lanes: dict[Lane, dict[str, tuple[int, datetime]]] = {}
        self._order: dict[Lane, list[tuple[int, datetime, str]]] = {}  # a heap of each lane
        self._lane_of: dict[str, Lane] = {}
        self._round = 0
        self._rounds: dict[Lane, int] = {}  # the round of the next turn; the current one if absent

    def add(self, poll: Poll, moment: datetime) -> None:
        lane = (poll.provider, poll.user_id)
        self._lanes.setdefault(lane, {})[poll.job_id] = (poll.polls, moment)
        self._lane_of[poll.job_id] = lane
        heapq.heappush(self._order.setdefault(lane, []), (poll.polls, moment, poll.job_id))

    def drop(self, job_id: str) -> None:
        lane = self._lane_of.pop(job_id, None)
        if lane is None:
            return
        del self._lanes[lane][job_id]
        if not self._lanes[lane]:
            del self._lanes[lane], self._order[lane]
            return
        order, jobs = self._order[lane], self._lanes[lane]
        while jobs.get(order[0][2]) != order[0][:2]:  # void: dropped, or added again
            heapq.heappop(order)

    def has_turn(self, on_the_way: OnTheWay) -> bool:
        """Return whether a poll waits that has a slot."""
        return any(on_the_way.leave_room(lane) for lane in self._lanes)

    def pop(self, on_the_way: OnTheWay) -> Poll | None:
        """Take the next poll that has a slot off the rotation; None if there is none."""
        lane = self._next_lane(on_the_way)
        if lane is None:
            return None
        polls, _, job_id = self._order[lane][0]
        self._count_turn(lane)
        self.drop(job_id)
        return Poll(job_id, *lane, polls)

    def _next_lane(self, on_the_way: OnTheWay) -> Lane | None:
        waiting = [lane for lane in self._lanes if on_the_way.leave_room(lane)]
        if not waiting:
            return None
        first = min(self._round_of(lane) for lane in waiting)
        return min(
            (lane for lane in waiting if self._round_of(lane) == first),
            key=lambda lane: self._order[lane][0][:2],
        )

    def _count_turn(self, lane: Lane) -> None:
        current = self._round_of(lane)
        if current > self._round:
            self._round = current
            self._rounds = {
                each: number for each, number in self._rounds.items() if number > current
            }
        self._rounds[lane] = current + 1

    def _round_of(self, lane: Lane) -> int:
        return self._rounds.get(lane, self._round)


class PollQueue:
    """The next polls of all running jobs.

    A job is in just one of three places: `_later` until its time comes, then `_due`, or `_urgent`
    after a stream has reported an end. Urgent polls keep no distance, but wait for a slot too.
    """

    def __init__(self, sharers: Callable[[], int] = lambda: 1) -> None:
        """`sharers` returns the number of processes that poll."""
        self._sharers = sharers
        self._later: dict[str, tuple[datetime, Poll]] = {}
        self._times: list[tuple[datetime, str]] = []  # a heap; entries unlike `_later` are void
        self._due = Rotation()
        self._urgent = Rotation()
        self._not_before: datetime | None = None

    def set(self, poll: Poll, moment: datetime) -> None:
        """Poll then, or as soon afterwards as the turns of others allow; forget an earlier time."""
        self.drop(poll.job_id)
        self._later[poll.job_id] = (moment, poll)
        heapq.heappush(self._times, (moment, poll.job_id))

    def hurry(self, poll: Poll, now: datetime) -> None:
        """Poll at once, before all that are not urgent."""
        self.drop(poll.job_id)
        self._urgent.add(poll, now)

    def drop(self, job_id: str) -> None:
        self._later.pop(job_id, None)
        self._due.drop(job_id)
        self._urgent.drop(job_id)

    def next(self, now: datetime, on_the_way: OnTheWay) -> datetime | None:
        """Return when `take_due` has a job; None while no poll is queued that could be made."""
        if self._urgent.has_turn(on_the_way):
            return now
        self._collect_due(now)
        times = [self._first_later()]
        if self._due.has_turn(on_the_way):
            times.append(max(now, self._not_before or now))
        return min((each for each in times if each is not None), default=None)

    def take_due(self, now: datetime, on_the_way: OnTheWay) -> list[str]:
        """Return the jobs to poll now, beside those on the way: the urgent ones, and one other."""
        with_taken, taken = on_the_way.copy(), list[str]()
        while poll := self._urgent.pop(with_taken):
            with_taken.begin(poll.provider, poll.user_id)
            taken.append(poll.job_id)
        self._collect_due(now)
        if self._not_before is not None and now < self._not_before:
            return taken
        if poll := self._due.pop(with_taken):
            self._not_before = now + GAP * self._sharers()
            taken.append(poll.job_id)
        return taken

    def _collect_due(self, now: datetime) -> None:
        while (first := self._first_later()) is not None and first <= now:
            _, job_id = heapq.heappop(self._times)
            moment, poll = self._later.pop(job_id)
            self._due.add(poll, moment)

    def _first_later(self) -> datetime | None:
        while self._times:
            moment, job_id = self._times[0]
            if job_id in self._later and self._later[job_id][0] == moment:
                return moment
            heapq.heappop(self._times)
        return None
