import time
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.worker.poll_queue import GAP, OF_MEMBER, POLLS_AT_ONCE, OnTheWay, Poll, PollQueue, Rotation
from tests.support.rows import NOW

SECOND = timedelta(seconds=1)
FREE = OnTheWay()


@pytest.fixture
def queue() -> PollQueue:
    return PollQueue()


def poll(job_id: str, user_id: int = 1, *, polls: int = 0, provider: str = "oxen") -> Poll:
    return Poll(job_id, provider, user_id, polls)


def free(*, oxen: int) -> OnTheWay:
    """Return the polls of many members that leave so many slots at one provider."""
    on_the_way = OnTheWay()
    for number in range(8 - oxen):
        on_the_way.begin("oxen", 1000 + number)
    return on_the_way


def taken(queue: PollQueue, number: int, on_the_way: OnTheWay = FREE) -> list[str]:
    """Take polls at the pace of the queue."""
    moments = [NOW + turn * GAP for turn in range(number)]
    return [job_id for moment in moments for job_id in queue.take_due(moment, on_the_way)]


def test_a_job_has_one_time_the_newest_that_was_set(queue: PollQueue) -> None:
    queue.set(poll("a"), NOW + 5 * SECOND)
    queue.set(poll("a"), NOW + SECOND)

    assert queue.next(NOW, FREE) == NOW + SECOND
    assert queue.take_due(NOW, FREE) == []
    assert queue.take_due(NOW + SECOND, FREE) == ["a"]
    assert queue.take_due(NOW + 9 * SECOND, FREE) == []
    assert queue.next(NOW, FREE) is None


def test_a_time_that_is_set_again_after_it_came_counts(queue: PollQueue) -> None:
    queue.set(poll("a"), NOW)
    queue.set(poll("b"), NOW)
    assert queue.take_due(NOW, FREE) == ["a"]
    queue.set(poll("b"), NOW + SECOND)

    assert queue.take_due(NOW + GAP, FREE) == []
    assert queue.take_due(NOW + SECOND, FREE) == ["b"]


def test_dropped_jobs_are_not_polled(queue: PollQueue) -> None:
    queue.set(poll("a"), NOW)
    queue.set(poll("c"), NOW - SECOND)
    queue.hurry(poll("b"), NOW)
    assert queue.next(NOW - 9 * SECOND, FREE) == NOW - 9 * SECOND
    for job_id in "abcd":
        queue.drop(job_id)

    assert queue.take_due(NOW, FREE) == []
    assert queue.next(NOW, FREE) is None


def test_due_polls_of_a_member_keep_a_distance_the_longest_due_first(queue: PollQueue) -> None:
    for number, job_id in enumerate("cab"):
        queue.set(poll(job_id), NOW - number * SECOND)

    assert queue.take_due(NOW, FREE) == ["b"]
    assert queue.take_due(NOW, FREE) == []
    assert queue.next(NOW, FREE) == NOW + GAP
    assert queue.take_due(NOW + GAP, FREE) == ["a"]
    assert queue.take_due(NOW + 2 * GAP, FREE) == ["c"]


def test_first_polls_of_a_member_come_before_later_ones(queue: PollQueue) -> None:
    queue.set(poll("old", polls=49), NOW - 9 * SECOND)
    queue.set(poll("new"), NOW)

    assert taken(queue, 2) == ["new", "old"]


def test_members_take_turns_however_many_jobs_one_has(queue: PollQueue) -> None:
    for number in range(500):
        queue.set(poll(f"a{number:03}", 1), NOW - SECOND)
    queue.set(poll("b0", 2, polls=9), NOW)
    queue.set(poll("b1", 2, polls=9), NOW)
    queue.set(poll("c0", 3), NOW)

    assert taken(queue, 6) == ["a000", "c0", "b0", "a001", "b1", "a002"]


def test_a_member_who_has_just_come_waits_for_no_round_to_end(queue: PollQueue) -> None:
    for user_id in range(100):
        queue.set(poll(f"old{user_id}", user_id, polls=50), NOW - SECOND)
    assert len(taken(queue, 10)) == 10
    queue.set(poll("new", 200), NOW)

    assert queue.take_due(NOW + SECOND, FREE) == ["new"]


def test_a_member_who_comes_back_within_the_round_waits_for_the_next(queue: PollQueue) -> None:
    for user_id, job_id in enumerate("abc"):
        queue.set(poll(job_id, user_id), NOW - (3 - user_id) * SECOND)
    assert queue.take_due(NOW, FREE) == ["a"]
    queue.set(poll("a", 0), NOW - 9 * SECOND)

    later = [queue.take_due(NOW + turn * GAP, FREE) for turn in (1, 2, 3)]
    assert later == [["b"], ["c"], ["a"]]


def test_urgent_polls_keep_no_distance(queue: PollQueue) -> None:
    queue.set(poll("a"), NOW)
    assert queue.take_due(NOW, FREE) == ["a"]
    for job_id in "bcd":
        queue.set(poll(job_id), NOW)
    queue.hurry(poll("d"), NOW)
    queue.hurry(poll("c"), NOW + SECOND)

    assert queue.next(NOW, FREE) == NOW
    assert queue.take_due(NOW, FREE) == ["d", "c"]
    assert queue.take_due(NOW + GAP, FREE) == ["b"]
    assert queue.next(NOW, FREE) is None


def test_urgent_polls_wait_for_a_free_slot_and_members_take_turns(queue: PollQueue) -> None:
    for number in range(5):
        queue.hurry(poll(f"a{number}", 1), NOW)
    queue.hurry(poll("b", 2), NOW + SECOND)

    assert queue.take_due(NOW, free(oxen=2)) == ["a0", "b"]
    assert queue.take_due(NOW, free(oxen=0)) == []
    assert queue.next(NOW, free(oxen=0)) is None
    assert queue.take_due(NOW, free(oxen=2)) == ["a1", "a2"]


@pytest.mark.parametrize("urgent", [False, True])
def test_a_member_takes_half_of_the_slots_of_a_provider(queue: PollQueue, urgent: bool) -> None:
    on_the_way = OnTheWay()
    for number in range(8):
        if urgent:
            queue.hurry(poll(f"a{number}", 1), NOW)
        else:
            queue.set(poll(f"a{number}", 1), NOW)
    for turn in range(8):
        for _ in queue.take_due(NOW + turn * GAP, on_the_way):
            on_the_way.begin("oxen", 1)
    later = NOW + SECOND
    assert queue.next(later, on_the_way) is None
    queue.set(poll("b", 2, polls=9), NOW)
    queue.set(poll("c", 1, provider="skills", polls=9), NOW)

    assert taken(queue, 30, on_the_way) == ["b", "c"]
    on_the_way.end("oxen", 1)
    assert queue.take_due(later + SECOND, on_the_way) == [f"a{OF_MEMBER}"]


def test_an_ended_poll_frees_one_place_of_its_provider() -> None:
    on_the_way = OnTheWay()
    for member in range(POLLS_AT_ONCE):
        on_the_way.begin("oxen", member)
    assert not on_the_way.leave_room(("oxen", -1))

    on_the_way.end("oxen", 0)
    assert on_the_way.leave_room(("oxen", -1))
    on_the_way.begin("oxen", 0)
    assert not on_the_way.leave_room(("oxen", -1))


def test_a_busy_provider_holds_back_no_poll_of_another(queue: PollQueue) -> None:
    queue.set(poll("slow"), NOW - SECOND)
    queue.set(poll("quick", provider="skills"), NOW)
    busy = free(oxen=0)

    assert queue.next(NOW, busy) == NOW
    assert taken(queue, 3, busy) == ["quick"]
    assert queue.next(NOW, busy) is None
    assert queue.take_due(NOW + SECOND, FREE) == ["slow"]


def test_a_time_set_anew_takes_the_urgency_away(queue: PollQueue) -> None:
    queue.hurry(poll("a"), NOW)
    queue.set(poll("a"), NOW + SECOND)

    assert queue.take_due(NOW, FREE) == []


def test_several_processes_keep_the_distance_together() -> None:
    sharers = [3]
    queue = PollQueue(lambda: sharers[0])
    for job_id in "abc":
        queue.set(poll(job_id), NOW)
    assert queue.take_due(NOW, FREE) == ["a"]
    assert queue.next(NOW, FREE) == NOW + 3 * GAP
    assert queue.take_due(NOW + 3 * GAP - timedelta(microseconds=1), FREE) == []
    sharers[0] = 2
    assert queue.take_due(NOW + 3 * GAP, FREE) == ["b"]

    assert queue.next(NOW, FREE) == NOW + 5 * GAP
    assert queue.next(NOW + 9 * GAP, FREE) == NOW + 9 * GAP


calls = st.lists(
    st.tuples(st.sampled_from(["set", "hurry", "drop", "take"]), st.integers(0, 9)), max_size=60
)


@given(calls)
def test_every_queued_job_is_polled_once(made: Iterable[tuple[str, int]]) -> None:
    """Compare with the set of jobs that are queued, whatever was called before."""
    queue, queued = PollQueue(), set[str]()
    now: datetime = NOW
    for call, number in made:
        now += GAP
        each = poll(f"job{number}", number % 3, polls=number, provider="oxen")
        match call:
            case "set":
                queue.set(each, now - number * GAP)
            case "hurry":
                queue.hurry(each, now)
            case "drop":
                queue.drop(each.job_id)
            case _:
                found = queue.take_due(now, free(oxen=4))
                assert queued.issuperset(found)
                assert bool(found) == bool(queued)
                queued.difference_update(found)
                continue
        (queued.discard if call == "drop" else queued.add)(each.job_id)
    rest: list[str] = []
    while queue.next(now, free(oxen=4)) is not None:
        now += GAP
        rest += queue.take_due(now, free(oxen=4))
    assert sorted(rest) == sorted(queued)


def test_a_turn_does_not_take_longer_with_more_jobs() -> None:
    def seconds(number: int) -> float:
        rotation = Rotation()
        for each in range(number):
            rotation.add(Poll(f"job {each}", "oxen", each % 10), NOW)
        begun = time.process_time()
        for _ in range(50):
            assert rotation.pop(OnTheWay()) is not None
        return time.process_time() - begun

    few = min(seconds(100) for _ in range(5))
    many = min(seconds(10_000) for _ in range(5))

    assert many < few * 10
