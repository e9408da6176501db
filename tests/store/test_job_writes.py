"""The small named writes of jobs: what each changes, and what each returns."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from bot.errors import Reason
from bot.jobs import Attachment, Job, JobStatus
from bot.store import jobs, queue
from bot.store.database import Database, Transaction
from bot.store.jobs import OriginTaken
from bot.store.tables import jobs as table
from tests.support.rows import NOW, add, new_job, one

LATER = NOW + timedelta(minutes=1)
NOBODY = "f" * 16
PICTURE = Attachment("1.png", "https://cdn.discordapp.com/1.png", 5, 6, 7)


async def read(tx: Transaction, job: Job) -> Job:
    found = await jobs.get(tx, job.id)
    assert found is not None
    return found


WRITES: dict[str, tuple[Callable[[Transaction, str], Awaitable[Job | None]], dict[str, object]]] = {
    "cancel": (
        lambda tx, id: jobs.request_cancel(tx, id, LATER),
        {"cancel_requested_at": LATER},
    ),
    "cancel by a moderator": (
        lambda tx, id: jobs.request_cancel(tx, id, LATER, moderator_id=9),
        {"cancel_requested_at": LATER, "canceled_by": 9},
    ),
    "inputs": (lambda tx, id: jobs.store_inputs(tx, id, [PICTURE]), {"inputs": (PICTURE,)}),
    "final status": (jobs.mark_final_status, {"final_status_sent": True}),
    "hide": (lambda tx, id: jobs.hide(tx, id, LATER), {"hidden_at": LATER}),
    "spoiler": (lambda tx, id: jobs.set_spoiler(tx, id, True), {"spoiler": True}),
    "no spoiler": (lambda tx, id: jobs.set_spoiler(tx, id, False), {"spoiler": False}),
    "change": (lambda tx, id: jobs.change(tx, id, remark="why"), {"remark": "why"}),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_changes_its_columns_of_one_job_and_returns_the_row(
    database: Database, name: str
) -> None:
    write, changes = WRITES[name]
    async with database.transaction() as tx:
        job, other = await add(tx, new_job()), await add(tx, new_job())
        written = await write(tx, job.id)

        assert written == await read(tx, job)
        assert written is not None
        assert {each: getattr(written, each) for each in changes} == changes
        assert await read(tx, other) == other
        assert await write(tx, NOBODY) is None


async def test_a_job_with_the_id_of_another_is_an_error_and_no_repetition(
    database: Database,
) -> None:
    job = await one(database, replace(new_job(), origin_id=7))
    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await jobs.add(tx, replace(new_job(), id=job.id, origin_id=8))
    with pytest.raises(OriginTaken):
        async with database.transaction() as tx:
            await jobs.add(tx, replace(new_job(), origin_id=7))


async def test_a_row_that_does_not_exist_is_neither_read_nor_locked(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        assert await jobs.lock(tx, job.id) == await jobs.get(tx, job.id) == job
        assert await jobs.lock(tx, NOBODY) is await jobs.get(tx, NOBODY) is None
        assert await jobs.of_result_message(tx, 7) is None


async def test_the_job_of_a_message_is_the_oldest_that_the_message_shows(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        newer = await add(tx, new_job(at=LATER))
        older = await add(tx, new_job())
        for job, message in ((newer, 7), (older, 7), (await add(tx, new_job()), 8)):
            await jobs.change(tx, job.id, result_message_id=message)

        assert await jobs.of_result_message(tx, 7) == await read(tx, older)


async def test_a_reply_is_confirmed_once(database: Database) -> None:
    job = await one(database, message_id=None)
    async with database.transaction() as tx:
        confirmed = await jobs.confirm_reply(tx, job.id, 41)
        assert await jobs.confirm_reply(tx, job.id, 42) is None
        assert confirmed == await read(tx, job)
    assert confirmed is not None
    assert confirmed.route.status_message_id == 41


async def test_a_result_that_is_hidden_again_keeps_the_first_time(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await jobs.hide(tx, job.id, NOW)
        assert await jobs.hide(tx, job.id, LATER) is None
        assert (await read(tx, job)).hidden_at == NOW


@pytest.mark.parametrize(
    "changes",
    [{}, {"status": JobStatus.QUEUED}, {"cancel_requested_at": NOW}, {"slow_shown": True}],
    ids=str,
)
async def test_only_a_running_job_is_marked_as_slow_and_once(
    database: Database, changes: dict[str, object]
) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await tx.execute(table.update().values({"status": JobStatus.RUNNING, **changes}))
        marked = await jobs.mark_slow(tx, job.id)
        assert (marked is None) is bool(changes)
        if marked is not None:
            assert marked.slow_shown
            assert await jobs.mark_slow(tx, job.id) is None


async def test_a_job_with_inputs_is_released_to_the_queue_once(database: Database) -> None:
    new = replace(new_job(), inputs=(PICTURE,))
    async with database.transaction() as tx:
        job, without = await add(tx, new), await add(tx, new_job())
        await jobs.postpone_submit(tx, job.id, LATER, Reason.AWAY)
        await tx.execute(table.update().values(lease_until=LATER))

        assert await jobs.mark_inputs_stored(tx, job.id, size=900)
        row = (await tx.execute(table.select().where(table.c.id == job.id))).one()
        assert (row.inputs_stored, row.input_bytes) == (True, 900)
        assert (row.submit_after, row.lease_until) == (None, None)
        assert not await jobs.mark_inputs_stored(tx, job.id, size=1)
        assert not await jobs.mark_inputs_stored(tx, without.id, size=1)
        assert not await jobs.mark_inputs_stored(tx, NOBODY, size=1)


async def test_the_submit_of_a_job_is_postponed_with_the_reason(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await tx.execute(table.update().values(lease_until=LATER))
        await jobs.postpone_submit(tx, job.id, LATER, Reason.UNAVAILABLE)
        postponed = await read(tx, job)

        assert (postponed.submit_after, postponed.reason) == (LATER, Reason.UNAVAILABLE)
        assert (await tx.execute(table.select())).one().lease_until is None
        assert await queue.next_wake(tx, NOW) == LATER
        assert await queue.next_wake(tx, LATER) is None


async def test_a_requeued_job_has_the_reason_and_no_lease(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        await tx.execute(table.update().values(lease_until=LATER))
        back = await jobs.requeue(tx, job.id, submit_after=LATER, reason=Reason.UNAVAILABLE)

        assert back == await read(tx, job)
        assert (back.status, back.submit_after) == (JobStatus.QUEUED, LATER)
        assert back.reason is Reason.UNAVAILABLE
        assert (await tx.execute(table.select())).one().lease_until is None


async def test_a_delivery_that_is_postponed_keeps_the_message_that_it_has(
    database: Database,
) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await tx.execute(table.update().values(lease_until=LATER))
        await jobs.postpone_delivery(tx, job.id, LATER, "busy", message_id=7, channel_id=8)
        first = await read(tx, job)
        await jobs.postpone_delivery(tx, job.id, LATER + timedelta(minutes=1), "away")
        second = await read(tx, job)
        assert (await tx.execute(table.select())).one().lease_until is None

    assert (first.deliver_after, first.delivery_error) == (LATER, "busy")
    assert (first.result_message_id, first.result_channel_id) == (7, 8)
    assert second == replace(
        first, deliver_after=LATER + timedelta(minutes=1), delivery_error="away"
    )


async def test_the_end_of_a_delivery_is_stored_with_its_message(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await tx.execute(table.update().values(lease_until=LATER))
        await jobs.mark_delivered(tx, job.id, LATER, message_id=7, channel_id=8, error="late")
        done = await read(tx, job)
        assert (await tx.execute(table.select())).one().lease_until is None

    assert (done.delivered_at, done.delivery_error) == (LATER, "late")
    assert (done.result_message_id, done.result_channel_id) == (7, 8)
    assert done.status is JobStatus.QUEUED


async def test_a_job_is_handed_over_with_its_price_and_waits_no_longer(
    database: Database,
) -> None:
    job = await one(database, replace(new_job(), model_auto=True))
    async with database.transaction() as tx:
        await jobs.postpone_submit(tx, job.id, LATER, Reason.UNAVAILABLE)
        moved = await jobs.hand_over(tx, job, model="skills", provider="other", price=20_000)

        assert moved == await read(tx, job)
    assert moved is not None
    assert (moved.request.model, moved.provider, moved.price) == ("skills", "other", 20_000)
    assert (moved.submit_after, moved.reason) == (None, None)
