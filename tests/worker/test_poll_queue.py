from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.worker.poll import GAP, SCHEDULE, PollQueue
from tests.support.rows import NOW

SECOND = timedelta(seconds=1)


def test_a_job_has_one_time_the_newest_that_was_set() -> None:
    agenda = PollQueue()
    agenda.set("a", NOW + 5 * SECOND)
    agenda.set("a", NOW + SECOND)

    assert agenda.next(NOW) == NOW + SECOND
    assert agenda.take_due(NOW) == []
    assert agenda.take_due(NOW + SECOND) == ["a"]
    assert agenda.take_due(NOW + 9 * SECOND) == []
    assert agenda.next(NOW) is None


def test_what_is_dropped_is_not_asked_about() -> None:
    agenda = PollQueue()
    agenda.set("a", NOW)
    agenda.hurry("b")
    agenda.drop("a")
    agenda.drop("b")

    assert agenda.take_due(NOW) == []


def test_many_that_are_due_are_taken_one_after_another_the_longest_due_first() -> None:
    agenda = PollQueue()
    for number, job_id in enumerate("cab"):
        agenda.set(job_id, NOW - number * SECOND)

    assert agenda.take_due(NOW) == ["b"]
    assert agenda.take_due(NOW) == []
    assert agenda.next(NOW) == NOW + GAP
    assert agenda.take_due(NOW + GAP) == ["a"]
    assert agenda.take_due(NOW + 2 * GAP) == ["c"]


def test_what_is_urgent_waits_for_nobody() -> None:
    agenda = PollQueue()
    agenda.set("a", NOW)
    assert agenda.take_due(NOW) == ["a"]
    for job_id in "bcd":
        agenda.set(job_id, NOW)
    agenda.hurry("d")
    agenda.hurry("c")

    assert agenda.next(NOW) == NOW
    assert agenda.take_due(NOW) == ["d", "c"]
    assert agenda.take_due(NOW + GAP) == ["b"]
    assert agenda.next(NOW) is None


def test_a_time_set_anew_takes_the_urgency_away() -> None:
    agenda = PollQueue()
    agenda.hurry("a")
    agenda.set("a", NOW + SECOND)

    assert agenda.take_due(NOW) == []


ages = st.floats(0, 7200).map(lambda seconds: timedelta(seconds=seconds))


def test_the_first_poll_comes_after_two_seconds_then_every_two() -> None:
    assert SCHEDULE.wait(timedelta(0), polls=0) == timedelta(seconds=2)
    assert SCHEDULE.wait(timedelta(seconds=2), polls=1) == timedelta(seconds=2)


def test_a_job_found_after_a_restart_is_polled_at_once() -> None:
    assert SCHEDULE.wait(timedelta(minutes=5), polls=0) == timedelta(0)


@given(ages, ages)
def test_polls_only_become_rarer_with_age(one: timedelta, other: timedelta) -> None:
    younger, older = sorted((one, other))

    assert SCHEDULE.wait(younger, polls=1) <= SCHEDULE.wait(older, polls=1) <= SCHEDULE.longest
