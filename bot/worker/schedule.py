"""When to ask for a running generation: an optimum over the durations of recent ones. Pure.

A request costs as much as PRICE seconds of delay. At each age of a generation that has not ended,
the wait until the next request is the one with the least expected cost of all that follows, by
dynamic programming from the oldest age backwards.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

PRICE = 0.33  # seconds of delay: fewer requests than asking at once and then every five seconds
LEAST, MOST = 1.0, 15.0  # seconds between two requests
STEP = 0.25  # seconds between the ages that are compared
FEWEST = 20  # durations by which a schedule is made
LATE = 0.95  # the part of the generations that have ended at `Schedule.late`
SHORTEST, LONGEST = 150.0, 600.0  # seconds: the oldest age with a wait of its own; MOST after it
TAIL = 0.1  # the weight of the prior beside what was learnt: durations may change
BANDWIDTH = 0.05  # the least, of the logarithm of a duration

Distribution = Callable[[float], float]  # the part that has ended at an age in seconds


@dataclass(frozen=True, slots=True)
class Schedule:
    """Waits by age. `late` is an age at which nearly all generations have ended, in seconds."""

    waits: Sequence[float]  # seconds; by the number of STEPs of the age
    late: float

    def wait(self, age: timedelta) -> timedelta:
        """Return the wait of a generation that has not ended at this age."""
        step = max(int(age / timedelta(seconds=STEP)), 0)
        return timedelta(seconds=self.waits[step] if step < len(self.waits) else MOST)


def prior(seconds: float) -> float:
    """The distribution before anything is learnt: 5 to 30 s (apis.md, The model: latency)."""
    return 0.85 * _log_normal(seconds, 15.0, 0.5) + 0.15 * _log_normal(seconds, 4.0, 0.8)


def learnt(durations: Sequence[float]) -> Distribution:
    """Return the distribution of durations in seconds, of which there are FEWEST or more."""
    logs = [math.log(max(each, 0.1)) for each in durations]
    mean = sum(logs) / len(logs)
    spread = math.sqrt(sum((each - mean) ** 2 for each in logs) / (len(logs) - 1))
    width = max(0.9 * spread * len(logs) ** -0.2, BANDWIDTH)  # Silverman's rule
    middle = math.exp(mean)

    def ended(seconds: float) -> float:
        if seconds <= 0:
            return 0.0
        log = math.log(seconds)
        near = sum(_normal((log - each) / width) for each in logs) / len(logs)
        return (1 - TAIL) * near + TAIL * _log_normal(seconds, middle, 1.0)

    return ended


def schedule_of(durations: Sequence[float], price: float = PRICE) -> Schedule:
    """Return the schedule with the least expected cost for durations like these, in seconds."""
    ended = learnt(durations) if len(durations) >= FEWEST else prior
    longest = min(max([SHORTEST, *(3 * each for each in durations)]), LONGEST)
    lasting = [1 - ended(number * STEP) for number in range(int(longest / STEP) + 1)]
    late = next((at for at, left in enumerate(lasting) if left <= 1 - LATE), len(lasting))
    return Schedule(optimum(lasting, price), late * STEP)


def optimum(lasting: Sequence[float], price: float) -> list[float]:
    """Return the best wait at each age, in seconds.

    `lasting` has the part of the generations that go on at each age, in STEPs.
    """
    summed = [0.0]  # the integral of `lasting` up to each age
    for before, after in pairwise(lasting):
        summed.append(summed[-1] + STEP * (before + after) / 2)
    last, least, most = len(lasting) - 1, round(LEAST / STEP), round(MOST / STEP)
    # Of all that follows, times the part that goes on; after the last age, nothing does.
    cost = [0.0] * (len(lasting) + most)
    summed += [summed[-1]] * most
    waits = [MOST] * len(lasting)
    for at in range(last - 1, -1, -1):
        left = lasting[at]
        totals = [
            STEP * wait * left - summed[at + wait] + cost[at + wait]
            for wait in range(least, most + 1)
        ]
        least_total = min(totals)
        cost[at] = price * left + summed[at] + least_total
        waits[at] = STEP * (least + totals.index(least_total))
    return waits


def _log_normal(seconds: float, middle: float, spread: float) -> float:
    return _normal(math.log(seconds / middle) / spread) if seconds > 0 else 0.0


def _normal(deviation: float) -> float:
    return (1 + math.erf(deviation / math.sqrt(2))) / 2
