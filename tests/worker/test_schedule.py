"""The schedule of polls: an optimum, bounds, and what is learnt from durations. Pure."""

import math
import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.worker.schedule import (
    FEWEST,
    LEAST,
    MOST,
    PRICE,
    STEP,
    Schedule,
    learnt,
    optimum,
    prior,
    schedule_of,
)

durations = st.lists(st.floats(0, 900), max_size=50)


def drawn(middle: float, number: int, seed: int = 1, spread: float = 0.4) -> list[float]:
    chance = random.Random(seed)
    return [math.exp(math.log(middle) + spread * chance.gauss(0, 1)) for _ in range(number)]


def cost(schedule: Schedule, ends: Sequence[float]) -> tuple[float, float]:
    """Return the mean delay in seconds, and the mean number of polls, for these durations."""
    delay = polls = 0.0
    for end in ends:
        age = 0.0
        while age < end:
            age += schedule.wait(timedelta(seconds=age)).total_seconds()
            polls += 1
        delay += age - end
    return delay / len(ends), polls / len(ends)


def total(schedule: Schedule, ends: Sequence[float]) -> float:
    delay, polls = cost(schedule, ends)
    return delay + PRICE * polls


def known(middle: float) -> Schedule:
    """Return the best schedule for log-normal durations that are known exactly."""
    ages = [max(number * STEP, 1e-9) for number in range(1200)]
    scaled = [math.log(age / middle) / (0.4 * math.sqrt(2)) for age in ages]
    return Schedule(optimum([(1 - math.erf(each)) / 2 for each in scaled], PRICE), 0.0)


@settings(max_examples=25)
@given(durations, st.floats(0, 7200))
def test_a_wait_is_neither_shorter_nor_longer_than_the_bounds(
    made: list[float], age: float
) -> None:
    wait = schedule_of(made).wait(timedelta(seconds=age)).total_seconds()

    assert LEAST <= wait <= MOST


def test_the_optimum_is_that_of_every_other_choice() -> None:
    """Compared with all sequences of polls, for ends at 2, 5 or 6 s."""
    ends = {2.0: 0.5, 5.0: 0.3, 6.0: 0.2}
    ages = [number * STEP for number in range(60)]
    lasting = [sum(part for end, part in ends.items() if end > age) for age in ages]

    def best(age: float) -> float:
        left = {end: part for end, part in ends.items() if end > age}
        if not left:
            return 0.0
        costs = []
        for wait in range(4, 25):  # in steps: from LEAST on
            then = age + wait * STEP
            delay = sum(part * (then - end) for end, part in left.items() if end <= then)
            costs.append(PRICE * sum(left.values()) + delay + best(then))
        return min(costs)

    waits, age, found = optimum(lasting, PRICE), 0.0, 0.0
    while any(end > age for end in ends):
        left = {end: part for end, part in ends.items() if end > age}
        then = age + waits[round(age / STEP)]
        found += PRICE * sum(left.values())
        found += sum(part * (then - end) for end, part in left.items() if end <= then)
        age = then
    assert found == pytest.approx(best(0.0), abs=STEP)  # ends between two ages count half a step


def test_a_learnt_schedule_beats_a_poll_every_five_seconds_by_far() -> None:
    ends = drawn(15, 2000, seed=2)
    every_five = sum(math.ceil(end / 5) * 5 - end for end in ends) / len(ends)
    polls_of_five = sum(math.ceil(end / 5) + 1 for end in ends) / len(ends)  # the first at once
    found = [cost(schedule_of(drawn(15, 50, seed)), ends) for seed in range(5)]

    assert sum(delay for delay, _ in found) / 5 <= 0.57 * every_five
    assert sum(polls for _, polls in found) / 5 <= 0.92 * polls_of_five


@pytest.mark.parametrize("number", [FEWEST, 30, 50])
def test_few_durations_are_enough(number: int) -> None:
    ends = drawn(15, 2000, seed=2)
    found = [total(schedule_of(drawn(15, number, seed)), ends) for seed in range(3, 8)]

    assert max(found) <= 1.15 * total(known(15), ends)


@pytest.mark.parametrize("middle", [7.5, 30.0])
def test_a_shift_by_two_is_learnt_after_thirty(middle: float) -> None:
    ends = drawn(middle, 2000, seed=2)
    mixed = [*drawn(middle, 30, seed=3), *drawn(15, 20, seed=4)]

    assert total(schedule_of(mixed), ends) <= 1.25 * total(known(middle), ends)


def test_without_enough_durations_the_prior_counts_alone() -> None:
    few = schedule_of([1.0] * (FEWEST - 1))

    assert few == schedule_of(())
    assert few != schedule_of([1.0] * FEWEST)
    assert few.late == pytest.approx(
        next(age * STEP for age in range(400) if prior(age * STEP) >= 0.95)
    )


def test_late_is_the_age_at_which_nearly_all_have_ended() -> None:
    learnt = schedule_of([10.0] * 50)

    assert 10.0 < learnt.late < 20.0


def test_what_is_learnt_is_a_distribution_with_a_long_tail() -> None:
    ended = learnt(drawn(15, 50))
    ages = [ended(number / 2) for number in range(2000)]

    assert ages == sorted(ages)
    assert ages[0] == 0.0
    assert ended(1e9) == pytest.approx(1)
    assert ended(90) < 0.9999  # the longest was far shorter: a generation may still go on


def test_an_odd_duration_breaks_nothing() -> None:
    for odd in ([0.0] * 30, [5000.0] * 30, [0.0, 900.0] * 15):
        assert schedule_of(odd).waits
