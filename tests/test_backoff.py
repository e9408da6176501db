from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.backoff import FIRST, SLOWEST, back_off, wait_after

SECOND = timedelta(seconds=1)
ages = st.floats(0, 7200).map(lambda seconds: timedelta(seconds=seconds))


def test_the_first_question_comes_after_two_seconds_then_every_two() -> None:
    assert wait_after(timedelta(0), asked=0) == FIRST == 2 * SECOND
    assert wait_after(2 * SECOND, asked=1) == 2 * SECOND


def test_a_job_found_after_a_restart_is_asked_about_at_once() -> None:
    assert wait_after(timedelta(minutes=5), asked=0) == timedelta(0)


@given(ages, ages)
def test_it_only_gets_slower_with_age(one: timedelta, other: timedelta) -> None:
    younger, older = sorted((one, other))

    assert wait_after(younger, asked=1) <= wait_after(older, asked=1) <= SLOWEST


def test_backing_off_doubles_up_to_a_limit() -> None:
    waits = [back_off(tries, first=SECOND, longest=10 * SECOND) for tries in range(1, 7)]

    assert waits == [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND, 10 * SECOND]
    assert back_off(10**6, first=SECOND, longest=10 * SECOND) == 10 * SECOND
