"""The bounds of the slots: of one member, of a channel, and of all work together."""

from dataclasses import replace

import pytest

from bot.jobs import Job, JobStatus
from bot.worker.turns import Slots
from tests.support.rows import new_job

ADA, BEN = 1, 2


def job(user_id: int, channel_id: int = 20, *, private: bool = False) -> Job:
    new = new_job(user_id)
    route = replace(new.route, channel_id=channel_id, private=private)
    return Job(
        *(new.id, JobStatus.FAILED, user_id, route, new.request),
        *(new.provider, new.price, new.created_at),
    )


def jobs(user_id: int, number: int, channel_id: int = 20) -> list[Job]:
    return [job(user_id, channel_id) for _ in range(number)]


def test_a_job_with_a_slot_gets_no_other() -> None:
    first, second = jobs(ADA, 2)
    slots = Slots(4, of_member=4)
    assert slots.choose([first]) == [first]

    assert slots.choose([first, second]) == [second]
    slots.end(first)
    assert slots.choose([first, second]) == [first]


def test_all_slots_are_full_with_the_last_of_them() -> None:
    slots, found = Slots(2, of_member=2), jobs(ADA, 2)
    full: list[bool] = []
    for begin in (found[:1], found):
        slots.choose(begin)
        full.append(slots.is_full)
    slots.wait(found[0])
    assert [*full, slots.is_full] == [False, True, False]


def test_of_two_members_the_one_with_fewer_slots_comes_first() -> None:
    slots = Slots(8, of_member=8)
    ada, ben = jobs(ADA, 3), jobs(BEN, 3)
    slots.choose(ada[:2])
    assert slots.choose([ada[2], *ben]) == [ben[0], ben[1], ada[2], ben[2]]


def test_who_never_had_a_turn_comes_before_all_others() -> None:
    slots = Slots(1, of_member=1)
    for each in (job(ADA), job(BEN)):
        slots.choose([each])
        slots.end(each)
    assert [*slots.served] == [ADA, BEN]

    newcomer = job(3)
    assert slots.choose([job(ADA), job(BEN), newcomer]) == [newcomer]
    slots.end(newcomer)
    again = job(ADA)
    assert slots.choose([job(BEN), again, job(3)]) == [again]
    assert [*slots.served] == [BEN, 3, ADA]


def test_of_one_member_the_first_due_job_comes_first() -> None:
    found = jobs(ADA, 3)

    assert Slots(2, of_member=2).choose(reversed(found)) == [found[2], found[1]]


@pytest.mark.parametrize(("in_channel", "number"), [(None, 5), (1, 1), (3, 3)])
def test_a_channel_has_a_limit_of_its_own(in_channel: int | None, number: int) -> None:
    slots, found = Slots(8, of_member=8, in_channel=in_channel), jobs(ADA, 5)

    assert slots.choose(found) == found[:number]
    assert slots.full_channels == (frozenset({20}) if in_channel else frozenset())
    assert slots.choose([job(ADA, 21)])


def test_results_in_replies_are_in_no_channel() -> None:
    slots = Slots(8, of_member=8, in_channel=1)
    private = [job(ADA, private=True) for _ in range(3)]

    assert slots.choose(private) == private
    assert slots.full_channels == frozenset()


@pytest.mark.parametrize(("with_waiting", "number"), [(0, 2), (2, 2), (3, 3), (4, 4)])
def test_waiting_work_is_limited_too(with_waiting: int, number: int) -> None:
    slots = Slots(2, of_member=2, with_waiting=with_waiting)
    begun = 0
    for each in [job(user) for user in range(6)]:
        for chosen in slots.choose([each]):
            begun += 1
            slots.wait(chosen)

    assert begun == number


@pytest.mark.parametrize(("with_waiting", "number"), [(6, 3), (7, 3), (8, 4), (2, 2)])
def test_half_of_all_work_may_be_one_members(with_waiting: int, number: int) -> None:
    slots = Slots(2, of_member=2, with_waiting=with_waiting)
    begun = 0
    for each in jobs(ADA, 8):
        for chosen in slots.choose([each]):
            begun += 1
            slots.wait(chosen)

    assert begun == number


def test_the_end_of_work_that_waits_frees_the_slot_of_its_next_attempt() -> None:
    slots, again = Slots(1, of_member=1), job(ADA)
    slots.choose([again])
    slots.wait(again)
    slots.end(again)
    slots.choose([again])

    assert slots.is_full  # the attempt does not count as one that waits
    slots.end(job(BEN))  # ended without a slot
    assert slots.is_full
