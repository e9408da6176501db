"""The lists that the worker reads: each has a limit, and no member hides another in it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.store import generations, jobs, queue
from bot.store.database import Connection, Database
from bot.store.tables import jobs as table
from bot.worker.turns import Slots
from tests.support.rows import NOW, add, new_job

PROVIDERS = ["oxen"]
SOON = NOW + timedelta(minutes=16)
LATER = NOW + timedelta(minutes=1)

List = Callable[[Connection], Awaitable[list[Job]]]
LISTS: dict[str, tuple[List, dict[str, Any]]] = {
    "without_inputs": (
        lambda view: queue.without_inputs(view, LATER, limit=16),
        {"inputs_stored": False},
    ),
    "expiring_statuses": (
        lambda view: queue.expiring_statuses(view, LATER, expires_before=SOON),
        {"private": True},
    ),
    "waiting": (lambda view: queue.waiting(view, "oxen", known=[]), {}),
    "transferable": (lambda view: queue.transferable(view, "oxen", known=[]), {"model_auto": True}),
    "cancel_requests": (
        lambda view: queue.cancel_requests(view, "me", NOW, known=[]),
        {"status": JobStatus.RUNNING, "cancel_requested_at": NOW},
    ),
    "unconfirmed": (lambda view: queue.unconfirmed(view, LATER), {"status_message_id": None}),
    "expired": (lambda view: queue.expired(view, LATER), {}),
    "unleased": (
        lambda view: queue.unleased(view, NOW, providers=PROVIDERS),
        {"status": JobStatus.SUBMITTING},
    ),
    "estimated": (
        lambda view: queue.estimated(view, NOW, providers=PROVIDERS),
        {"status": JobStatus.SUCCEEDED, "estimated": True, "settled_at": LATER},
    ),
    "deliverable": (
        lambda view: queue.deliverable(view, LATER, limit=32),
        {"status": JobStatus.FAILED, "settled_at": NOW},
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", LISTS)
async def test_the_many_jobs_of_one_member_hide_no_other(database: Database, name: str) -> None:
    read, changes = LISTS[name]
    async with database.transaction() as tx:
        for _ in range(120):
            await add(tx, new_job(1))
        other = await add(tx, new_job(2, at=NOW + timedelta(seconds=1)))
        await tx.execute(table.update().values(lease_until=None, **changes))

        found = await read(tx)

    assert other.id in [job.id for job in found]
    assert 2 <= len(found) <= 100


@pytest.mark.parametrize("name", ["unconfirmed", "expired"])
async def test_a_job_is_due_at_its_very_time(database: Database, name: str) -> None:
    read = {"unconfirmed": queue.unconfirmed, "expired": queue.expired}[name]
    async with database.transaction() as tx:
        job = await add(tx, new_job(1))
        await tx.execute(table.update().values(lease_until=None, **LISTS[name][1]))

        assert [each.id for each in await read(tx, NOW)] == [job.id]
        assert await read(tx, NOW - timedelta(microseconds=1)) == []


@pytest.mark.parametrize("name", ["waiting", "transferable", "cancel_requests"])
async def test_jobs_that_the_worker_knows_make_room_for_others(
    database: Database, name: str
) -> None:
    lists: dict[str, Callable[..., Awaitable[list[Job]]]] = {
        "waiting": lambda view, known: queue.waiting(view, "oxen", known=known),
        "transferable": lambda view, known: queue.transferable(view, "oxen", known=known),
        "cancel_requests": lambda view, known: queue.cancel_requests(view, "me", NOW, known=known),
    }
    known: set[str] = set()
    async with database.transaction() as tx:
        added = {(await add(tx, new_job(1))).id for _ in range(120)}
        await tx.execute(table.update().values(lease_until=None, **LISTS[name][1]))
        while found := await lists[name](tx, known):
            assert known.isdisjoint(job.id for job in found)
            known |= {job.id for job in found}

    assert known == added


STAYING: dict[str, tuple[List, dict[str, Any]]] = {
    "unconfirmed": LISTS["unconfirmed"],
    "estimated": LISTS["estimated"],
    "unknown_outcomes": (
        lambda view: queue.unknown_outcomes(view, NOW),
        {"status": JobStatus.FAILED, "reason": Reason.DOUBTFUL, "settled_at": LATER},
    ),
}


@pytest.mark.parametrize("name", STAYING)
async def test_jobs_that_stay_in_a_list_hide_no_other_members(
    database: Database, name: str
) -> None:
    """Chance decides: one of 40 is missed in all rounds once in 10^16 runs."""
    read, changes = STAYING[name]
    async with database.transaction() as tx:
        added = {(await add(tx, new_job(user_id))).id for user_id in range(1, 41)}
        await tx.execute(table.update().values(lease_until=None, **changes))
        found: set[str] = set()
        for _ in range(40):
            batch = await read(tx)
            assert len(batch) == queue.BATCH
            found |= {job.id for job in batch}

    assert found == added


SLOTS_LISTS = {
    "without_inputs": queue.without_inputs,
    "deliverable": queue.deliverable,
}
DONE: dict[str, dict[str, Any]] = {
    "without_inputs": {"inputs_stored": True},
    "deliverable": {"delivered_at": NOW},
}


@pytest.mark.parametrize("name", SLOTS_LISTS)
async def test_many_members_delay_another_by_one_turn_each(database: Database, name: str) -> None:
    """The list holds fewer members than wait, and the other member was served just before."""
    slots = Slots(2, of_member=1)
    served: list[int] = []
    async with database.transaction() as tx:
        for number in range(60):
            await add(tx, new_job(1 + number % 20))
        await add(tx, new_job(99, at=NOW - timedelta(seconds=1)))
        for turn in range(20):
            if turn == 4:
                await add(tx, new_job(99, at=NOW + timedelta(seconds=1)))
            await tx.execute(table.update().values(lease_until=None, **LISTS[name][1]))
            await tx.execute(
                table.update().where(table.c.remark == "done").values(**DONE[name]),
            )
            due = await SLOTS_LISTS[name](tx, LATER, limit=4, served=slots.served)
            for job in slots.choose(due):
                served.append(job.user_id)
                slots.end(job)
                done = table.update().where(table.c.id == job.id)
                await tx.execute(done.values(remark="done", **DONE[name]))

    assert served[0] == 99
    assert sorted(served[1:22]) == [*range(1, 21), 99]


@pytest.mark.parametrize(
    ("served", "limit", "cut", "members", "statements"),
    [
        ([], 9, False, {1, 2, 3}, 1),
        ([], 3, True, {1, 2, 3}, 1),
        ([1, 2], 4, False, {1, 2, 3}, 1),
        ([1, 2], 3, False, {1, 2, 3}, 2),  # perhaps there are more
        ([1, 2], 2, False, {1, 3}, 2),
        ([2, 1], 2, True, {2, 3}, 1),
        ([2, 1], 9, True, {1, 2, 3}, 1),
    ],
)
async def test_the_turns_of_members_are_read_only_if_the_list_is_cut(
    database: Database,
    served: list[int],
    limit: int,
    cut: bool,
    members: set[int],
    statements: int,
) -> None:
    """A worker reads the list every moment, and the turns of many members make that slow."""
    executed: list[object] = []
    async with database.transaction() as tx:
        await _settle(tx, [await add(tx, new_job(user)) for user in (1, 2, 3)])
        event.listen(
            *(tx.sync_connection, "before_cursor_execute"),
            lambda *given: executed.append(given[2]),
        )
        found = await queue.deliverable(tx, LATER, limit=limit, served=served, cut=cut)

    assert {job.user_id for job in found} == members
    assert len(executed) == statements


async def test_after_a_restart_the_last_submits_give_the_turns_of_inputs(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            table.update()
            .where(table.c.id == (await add(tx, new_job(2))).id)
            .values(submitted_at=NOW - timedelta(minutes=1), inputs_stored=True)
        )
        await tx.execute(
            table.update()
            .where(table.c.id == (await add(tx, new_job(1))).id)
            .values(submitted_at=NOW, inputs_stored=True)
        )
        for user_id, seconds in ((1, 1), (2, 2), (3, 3)):
            job = await add(tx, new_job(user_id, at=NOW + timedelta(seconds=seconds)))
            waits = table.update().where(table.c.id == job.id)
            await tx.execute(waits.values(inputs_stored=False))

        found = await queue.without_inputs(tx, LATER, limit=16)

    assert [job.user_id for job in found] == [3, 2, 1]


async def test_only_what_may_be_delivered_at_once_is_read_of_a_channel(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        await _settle(tx, [await add(tx, new_job(1)) for _ in range(9)], channel_id=20)
        private = [await add(tx, new_job(1)) for _ in range(9)]
        await _settle(tx, private, channel_id=20, private=True)
        elsewhere = [await add(tx, new_job(1)) for _ in range(2)]
        await _settle(tx, elsewhere, channel_id=21)

        found = await queue.deliverable(tx, LATER, limit=32)
        assert len(found) == 3 * queue.IN_CHANNEL
        assert {job.id for job in elsewhere} <= {job.id for job in found}

        found = await queue.deliverable(tx, LATER, limit=32, closed=[20])
        assert {job.id for job in elsewhere} <= {job.id for job in found}
        assert {job.posts_to for job in found} == {None, 21}


async def test_a_channel_that_is_closed_holds_no_canceled_job_back(database: Database) -> None:
    """Its reply shows the cancel: no message is posted."""
    async with database.transaction() as tx:
        job = await add(tx, new_job(1))
        await jobs.move(tx, job.id, JobStatus.CANCELED, settled_at=NOW)

        (found,) = await queue.deliverable(tx, LATER, limit=9, closed=[job.route.channel_id])

    assert found.posts_to is None


async def test_all_open_generations_are_read_in_turns(database: Database) -> None:
    async with database.transaction() as tx:
        added = [await add(tx, new_job(1)) for _ in range(60)]
        for number, job in enumerate(added):
            made = await generations.add(tx, job.id, "oxen", [f"r{number}"])
            if number < 5:
                await generations.end(tx, made[0].id, JobStatus.FAILED)
        await _settle(tx, added)
        await _settle(tx, added[50:], delivered_at=LATER)
        await _settle(tx, added[55:], delivered_at=NOW, settled_at=NOW)

        found: list[str] = []
        while batch := await queue.with_open_generations(tx, NOW, after=found[-1] if found else ""):
            found += [job.id for job in batch]

    assert sorted(found) == sorted(job.id for job in added[5:55])


async def _settle(tx: Connection, settled: list[Job], **changes: object) -> None:
    ids = [job.id for job in settled]
    values = {"status": JobStatus.FAILED, "settled_at": LATER, **changes}
    await tx.execute(table.update().where(table.c.id.in_(ids)).values(**values))
