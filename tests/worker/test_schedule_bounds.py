"""The bounds of the schedule of polls, and its numbers where they can be computed by hand. Pure."""

from datetime import timedelta

import pytest

from bot.worker.schedule import Schedule, learnt, optimum, prior, schedule_of


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def test_the_wait_is_that_of_the_quarter_of_a_second_of_the_age() -> None:
    schedule = Schedule([1.0, 2.0, 3.0], late=0.0)
    found = {age: schedule.wait(seconds(age)) for age in (-1, 0, 0.2499, 0.25, 0.5, 0.749, 0.75, 9)}

    assert [each.total_seconds() for each in found.values()] == [1, 1, 1, 2, 3, 3, 15, 15]


@pytest.mark.parametrize(
    ("durations", "longest"),
    [
        ([], 150),
        ([40.0], 150),
        ([50.0], 150),
        ([60.0], 180),
        ([60.0, 70.0], 210),
        ([200.0], 600),
        ([500.0], 600),
    ],
)
def test_ages_to_three_times_the_longest_duration_have_waits_of_their_own(
    durations: list[float], longest: int
) -> None:
    assert len(schedule_of(durations).waits) == 4 * longest + 1


def test_late_is_the_oldest_age_if_too_few_have_ended() -> None:
    assert schedule_of([5000.0] * 20).late == 600.25


def test_late_is_where_nineteen_of_twenty_have_ended() -> None:
    late = schedule_of(()).late

    assert prior(late - 0.25) < 0.95 <= prior(late)


def test_before_anything_is_learnt_most_end_within_half_a_minute() -> None:
    """By the parts of both kinds at their medians, and one deviation above."""
    assert prior(15.0) == pytest.approx(0.85 * 0.5 + 0.15 * 0.95078, abs=1e-4)
    assert prior(4.0) == pytest.approx(0.85 * 0.00409 + 0.15 * 0.5, abs=1e-4)
    assert prior(24.7308) == pytest.approx(0.85 * 0.84134 + 0.15 * 0.98859, abs=1e-4)
    assert (prior(0.0), prior(-1.0)) == (0.0, 0.0)


def test_equal_durations_are_smoothed_a_little() -> None:
    ended = learnt([10.0] * 20)

    assert ended(10.0) == pytest.approx(0.5)
    assert ended(10.5127) == pytest.approx(0.9 * 0.84134 + 0.1 * 0.51994, abs=1e-4)  # e ** 0.05
    assert ended(27.1828) == pytest.approx(0.9 + 0.1 * 0.84134, abs=1e-4)  # the tail is wider
    assert (ended(0.0), ended(-1.0)) == (0.0, 0.0)
    assert ended(1e-9) < 1e-9


def test_the_smoothing_is_as_wide_as_the_durations_differ() -> None:
    """Twenty with a logarithm of 0, and twenty of 2: spread 1.0127, width 0.4359."""
    ended = learnt([1.0] * 20 + [7.389056] * 20)

    assert ended(2.718282) == pytest.approx(0.5)
    near = (0.5 + 0.0000022) / 2
    assert ended(1.0) == pytest.approx(0.9 * near + 0.1 * 0.15866, abs=1e-4)


def test_a_duration_of_nothing_counts_as_a_tenth_of_a_second() -> None:
    assert learnt([0.0] * 20)(0.1) == learnt([0.1] * 20)(0.1)
    assert learnt([0.2] * 20)(0.1) < 0.1


def test_the_first_poll_of_equal_ends_follows_them_at_once() -> None:
    lasting = [1.0] * 40 + [0.0] * 41  # until 10 s, of 20

    waits = optimum(lasting, 0.33)
    assert waits[0] == 10.0
    assert waits[20] == 5.0
    assert waits[39] == 1.0  # the least
    assert (waits[79], waits[80]) == (1.0, 15.0)


def test_a_far_end_is_approached_by_the_longest_waits() -> None:
    lasting = [1.0] * 400 + [0.0] * 10

    waits = optimum(lasting, 0.33)
    age, polls = 0.0, 0
    while age < 100:
        age += waits[int(age / 0.25)]
        polls += 1
    assert (age, polls) == (100.0, 7)  # six waits of 15 s reach 90 s at most


def test_requests_that_cost_more_are_fewer() -> None:
    lasting = [1 - number / 120 for number in range(121)]

    assert optimum(lasting, 0.1)[0] < optimum(lasting, 1.0)[0] < optimum(lasting, 5.0)[0]
