"""Slots without a database: who gets the next one."""

from dataclasses import replace

from bot.jobs import Job, JobStatus
from bot.store.database import Database
from bot.worker.turns import REMEMBERED, Slots
from tests.support.rows import new_job, one


async def stored(database: Database, user_id: int, *, channel_id: int = 20) -> Job:
    job = await one(database, new_job(user_id))
    return replace(job, status=JobStatus.FAILED, route=replace(job.route, channel_id=channel_id))


async def test_members_take_turns_and_none_has_more_than_a_share(database: Database) -> None:
    ada = [await stored(database, 1) for _ in range(6)]
    ben = [await stored(database, 2) for _ in range(2)]
    slots = Slots(4, of_member=3)

    assert slots.choose(ada) == ada[:3]
    assert slots.choose(ada) == []
    assert slots.choose([*ada, *ben]) == ben[:1]
    slots.end(ada[0])
    assert slots.choose([*ada[3:], *ben]) == ben[1:]


async def test_of_members_without_a_slot_the_one_served_longest_ago_comes_first(
    database: Database,
) -> None:
    ada, ben, cleo = [[await stored(database, user) for _ in range(3)] for user in (1, 2, 3)]
    slots = Slots(1, of_member=1)
    order: list[Job] = []
    left = [*ada, *ben, *cleo]
    while chosen := slots.choose(left):
        order += chosen
        left.remove(chosen[0])
        slots.end(chosen[0])

    assert [job.user_id for job in order] == [1, 2, 3] * 3


async def test_a_channel_takes_two_at_once_and_others_go_on(database: Database) -> None:
    here = [await stored(database, user) for user in (1, 2, 3)]
    there = await stored(database, 3, channel_id=21)
    private = replace(here[2], id="p", route=replace(here[2].route, private=True))
    slots = Slots(8, of_member=8, in_channel=2)

    assert slots.choose([*here, there]) == [*here[:2], there]
    assert slots.full_channels == {20}
    assert slots.choose([here[2], private]) == [private]
    slots.end(here[0])
    assert slots.full_channels == frozenset()
    assert slots.choose([here[2]]) == [here[2]]


async def test_work_that_waits_gives_its_slot_back_but_not_its_place_in_the_channel(
    database: Database,
) -> None:
    jobs = [await stored(database, user, channel_id=user) for user in range(1, 6)]
    same = await stored(database, 9, channel_id=1)
    slots = Slots(2, of_member=2, in_channel=1, with_waiting=4)
    assert slots.choose(jobs) == jobs[:2]

    slots.wait(jobs[0])
    slots.wait(jobs[1])
    assert slots.choose([same, *jobs[2:]]) == jobs[2:4]
    slots.wait(jobs[2])
    slots.wait(jobs[3])
    assert slots.choose(jobs[4:]) == []  # as many as may wait at all
    slots.end(jobs[0])
    slots.wait(jobs[0])  # too late
    assert slots.choose([same, jobs[4]]) == [same]


async def test_waiting_work_of_one_member_leaves_half_of_the_places_to_others(
    database: Database,
) -> None:
    ada = [await stored(database, 1, channel_id=number) for number in range(8)]
    ben = await stored(database, 2)
    slots = Slots(2, of_member=2, in_channel=1, with_waiting=8)
    for _ in ada:
        for job in slots.choose(ada):
            slots.wait(job)
    assert [job for job in ada if job.route.channel_id in slots.full_channels] == ada[:4]

    assert slots.choose([*ada, ben]) == [ben]
    slots.end(ada[0])
    assert slots.choose(ada[4:]) == [ada[4]]


async def test_the_members_whose_turns_are_remembered_are_bounded(database: Database) -> None:
    job = await stored(database, 1)
    slots = Slots(1, of_member=1)
    for user_id in range(REMEMBERED + 5):
        (chosen,) = slots.choose([replace(job, user_id=user_id)])
        slots.end(chosen)

    assert [*slots.served] == [*range(5, REMEMBERED + 5)]
