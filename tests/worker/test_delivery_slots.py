"""The deliveries of a process: which of the listed jobs begin, and when a list is read again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from bot.delivery import NotDelivered, Shown
from bot.jobs import Job, JobStatus
from bot.store import jobs
from bot.store.tables import jobs as table
from bot.worker import deliveries as module
from bot.worker.deliver import Deliverer
from bot.worker.deliveries import CONCURRENT_DELIVERIES, REREAD, Deliveries
from bot.worker.leases import Leases
from bot.worker.tasks import Work
from tests.support.outcomes import Outcomes
from tests.support.parts import Served
from tests.support.rows import NOW, new_job

MOMENT = timedelta(milliseconds=1)


class Started:
    """Deliveries by tasks that a test ends, beside the wishes to read the rows again."""

    def __init__(self, made: Served) -> None:
        self.discord = Outcomes()
        self.discord.open.clear()
        services = replace(made.services, delivery=self.discord)
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.busy: set[str] = set()
        self.woken = 0
        self.deliveries = Deliveries(
            services,
            Deliverer(services, Leases(services)),
            start=self._start,
            is_busy=lambda job: job.id in self.busy,
            wake=self._wake,
        )

    def _start(self, job: Job, work: Work) -> bool:
        async def run() -> None:
            await work

        self.tasks[job.id] = asyncio.create_task(run())
        return True

    def _wake(self) -> None:
        self.woken += 1

    async def begun(self, number: int) -> None:
        """Wait until Discord has as many messages on the way, or delivered."""
        async with asyncio.timeout(20):
            while len(self.discord.attempts) < number:
                await asyncio.sleep(0.001)

    async def ended(self) -> None:
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@pytest.fixture
async def started(made: Served) -> AsyncIterator[Started]:
    opened = Started(made)
    yield opened
    for task in opened.tasks.values():
        task.cancel()
    await opened.ended()


async def waiting(made: Served, number: int, *, channels: int = 0, user_id: int = 0) -> list[Job]:
    """Store settled jobs, each of another member and for another channel unless it is given."""
    found = []
    async with made.database.transaction() as tx:
        for each in range(number):
            new = new_job(user_id or 1000 + each)
            channel = channels or 2000 + each
            route = replace(new.route, channel_id=channel, interaction_token=None)
            found.append(await jobs.add(tx, replace(new, route=route)))
        await tx.execute(
            update(table)
            .where(table.c.status == JobStatus.QUEUED)
            .values(status=JobStatus.FAILED, settled_at=NOW, status_message_id=40)
        )
    return found


async def read(started: Started, made: Served) -> list[Job]:
    async with made.database.reading() as view:
        return await started.deliveries.read(view, made.clock.now)


async def begin_one_of_three(
    made: Served, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begin the delivery for which there is a slot; the list has room for one more."""
    monkeypatch.setattr(module, "LISTED", 2)
    started.deliveries.slots.total = 1
    await waiting(made, 3)
    await read(started, made)
    started.deliveries.begin()
    await started.begun(1)


def next_read(started: Started) -> datetime | None:
    return started.deliveries.next_read


def is_full(started: Started) -> bool:
    return started.deliveries.slots.is_full


async def test_deliveries_begin_by_the_list_and_those_of_busy_jobs_do_not(
    made: Served, started: Started
) -> None:
    first, second = await waiting(made, 2)
    assert not started.deliveries.begin()  # nothing was read
    assert {job.id for job in await read(started, made)} == {first.id, second.id}
    started.busy = {first.id}
    assert started.deliveries.begin()
    assert [*started.tasks] == [second.id]
    assert not started.deliveries.begin()
    started.busy = {second.id}
    assert started.deliveries.begin()

    assert [*started.tasks] == [second.id, first.id]


async def test_after_a_stop_nothing_begins(made: Served, started: Started) -> None:
    await waiting(made, 1)
    await read(started, made)
    started.deliveries.stop()

    assert not started.deliveries.begin()
    assert started.tasks == {}


async def test_nothing_begins_in_a_channel_with_a_rate_limit(
    made: Served, started: Started
) -> None:
    limited, free = await waiting(made, 2)
    await read(started, made)
    started.discord.limited = {limited.route.channel_id: 3.0}
    assert started.deliveries.begin()
    assert [*started.tasks] == [free.id]
    await started.begun(1)

    listed = {job.id for job in await read(started, made)}
    assert limited.id not in listed  # the list of the rows leaves it out too
    started.discord.limited = {}
    assert limited.id in {job.id for job in await read(started, made)}


@pytest.mark.parametrize(("channels", "user_id", "at_once"), [(0, 1, 16), (20, 0, 2), (0, 0, 32)])
async def test_a_member_has_half_of_the_slots_and_a_channel_two(
    made: Served, started: Started, channels: int, user_id: int, at_once: int
) -> None:
    await waiting(made, CONCURRENT_DELIVERIES + 1, channels=channels, user_id=user_id)
    for _ in range(3):
        await read(started, made)
        started.deliveries.begin()

    assert len(started.tasks) == at_once


@pytest.mark.parametrize(("user_id", "most"), [(0, 128), (1, 64)])
async def test_the_deliveries_that_wait_for_rate_limits_are_bounded(
    made: Served, started: Started, user_id: int, most: int
) -> None:
    found = await waiting(made, most + 1, user_id=user_id)
    slots, begun = started.deliveries.slots, list[Job]()
    while chosen := slots.choose(found):
        begun += chosen
        for job in chosen:
            slots.wait(job)

    assert len(begun) == most


async def test_while_all_slots_are_taken_nothing_is_read(
    made: Served, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED", CONCURRENT_DELIVERIES + 1)
    found = await waiting(made, CONCURRENT_DELIVERIES + 2)
    listed = await read(started, made)
    assert next_read(started) == NOW + REREAD
    assert started.deliveries.begin()
    assert next_read(started) is None
    made.clock.now += REREAD
    assert await read(started, made) is listed
    assert len(listed) == 1

    started.discord.open.set()
    await started.ended()
    assert next_read(started) == NOW + REREAD
    later = await read(started, made)
    assert {job.id for job in later} == {each.id for each in found} - {*started.tasks}


async def test_a_cut_list_serves_for_a_quarter_of_a_second(
    made: Served, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED", 2)
    await waiting(made, 3)
    listed = await read(started, made)
    assert len(listed) == 2
    made.clock.now += REREAD - MOMENT
    assert started.deliveries.serve(made.clock.now)
    assert await read(started, made) is listed
    made.clock.now += MOMENT
    assert not started.deliveries.serve(made.clock.now)
    assert await read(started, made) is not listed
    listed.clear()
    (await read(started, made)).clear()

    assert not started.deliveries.serve(made.clock.now)  # an empty list serves for nothing


async def test_a_cut_list_begins_with_the_members_served_longest_ago(
    made: Served, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED", 2)
    started.deliveries.slots.total = 1
    ada, ben = [await waiting(made, 2, user_id=member) for member in (1, 2)]
    members = []
    for _ in range(2):
        (listed, *_) = await read(started, made)
        members.append(listed.user_id)
        started.deliveries.slots.choose([listed])
        started.deliveries.slots.end(listed)
        made.clock.now += REREAD

    assert members == [ada[0].user_id, ben[0].user_id]


async def test_a_list_that_has_all_is_read_again_at_once(made: Served, started: Started) -> None:
    await waiting(made, 2)
    await read(started, made)

    assert next_read(started) is None
    assert not started.deliveries.serve(made.clock.now)


@pytest.mark.parametrize("error", [None, KeyError("token"), NotDelivered("busy")])
async def test_the_end_of_a_delivery_lets_the_next_of_a_cut_list_begin(
    made: Served,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
) -> None:
    await begin_one_of_three(made, started, monkeypatch)
    started.discord.shown = error or Shown(50, 20)
    started.discord.open.set()
    await started.begun(2)
    await started.ended()

    assert len(started.tasks) == 2
    assert started.woken == 1  # when the list was empty


async def test_the_end_of_a_delivery_after_the_time_of_the_list_lets_it_be_read(
    made: Served, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin_one_of_three(made, started, monkeypatch)
    made.clock.now += REREAD
    started.discord.open.set()
    await started.ended()

    assert (len(started.tasks), started.woken) == (1, 1)


async def test_a_canceled_delivery_gives_its_slot_back(made: Served, started: Started) -> None:
    await waiting(made, 1)
    await read(started, made)
    started.deliveries.slots.total = 1
    started.deliveries.begin()
    await started.begun(1)
    assert is_full(started)
    for task in started.tasks.values():
        task.cancel()
    await started.ended()

    assert not is_full(started)
    assert started.woken == 1


async def test_a_delivery_that_waits_for_a_rate_limit_leaves_its_slot_to_another(
    made: Served, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin_one_of_three(made, started, monkeypatch)
    started.discord.attempts[0].waits()
    await started.begun(2)

    assert (len(started.tasks), started.woken) == (2, 0)
    started.discord.attempts[1].waits()
    assert (len(started.tasks), started.woken) == (2, 1)
