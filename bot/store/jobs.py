"""Jobs as rows: inserted, read, and changed by small named writes.

Functions that write take a transaction. The writes that settle a job are in bot.store.settlement,
the queries by which the worker finds jobs in bot.store.queue, those of lists in bot.store.members.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypedDict, Unpack

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from bot.errors import Reason
from bot.jobs import (
    Attachment,
    Job,
    JobStatus,
    NewJob,
    sources,
)
from bot.store.dialects import violates
from bot.store.job_rows import job_of, row_of, rows_of, stored_job
from bot.store.tables import jobs


class Columns(TypedDict, total=False):
    """Columns of jobs that change after the insert: mypy refuses any other name."""

    cancel_requested_at: datetime
    canceled_by: int | None
    cost: int
    deliver_after: datetime | None
    delivered_at: datetime | None
    delivery_attempts: int
    delivery_error: str | None
    delivery_started_at: datetime | None
    estimated: bool
    expanded_prompt: str | None
    final_status_sent: bool
    generation_ms: int | None
    granted: int
    hidden_at: datetime | None
    input_bytes: int
    inputs: list[dict[str, object]]
    lease_until: datetime | None
    model: str
    overdue_at: datetime
    price: int
    provider: str
    reason: Reason | None
    remark: str | None
    result_channel_id: int | None
    result_message_id: int | None
    running_at: datetime
    settled_at: datetime
    slow_shown: bool
    spoiler: bool
    status_message_id: int
    submit_after: datetime | None
    submitted_at: datetime


# Built once: to build a statement takes longer than to execute it, and members wait meanwhile.
INSERT = insert(jobs)
GET = select(jobs).where(jobs.c.id == bindparam("job_id"))
LOCK = GET.with_for_update()  # without effect in SQLite, where a transaction is alone
OF_RESULT = (
    select(jobs)
    .where(jobs.c.result_message_id == bindparam("message_id"))
    .order_by(jobs.c.created_at)
    .limit(1)
)
ORIGIN = next(each for each in jobs.indexes if each.name == "ix_jobs_origin_id")
UPDATE = update(jobs).where(jobs.c.id == bindparam("job_id")).returning(*jobs.c)
CONFIRM_REPLY = UPDATE.where(jobs.c.status_message_id.is_(None))
HIDE = UPDATE.where(jobs.c.hidden_at.is_(None))
RELEASE_TO_QUEUE = UPDATE.where(~jobs.c.inputs_stored, jobs.c.status == JobStatus.QUEUED).values(
    {jobs.c.inputs_stored: True, jobs.c.submit_after: None, jobs.c.lease_until: None}
)
HAND_OVER = UPDATE.where(
    jobs.c.status == JobStatus.QUEUED,
    jobs.c.cancel_requested_at.is_(None),
    jobs.c.model_auto,
    jobs.c.model == bindparam("from_model"),
).values({jobs.c.submit_after: None, jobs.c.reason: None})
MARK_SLOW = UPDATE.where(
    jobs.c.status == JobStatus.RUNNING, jobs.c.cancel_requested_at.is_(None), ~jobs.c.slow_shown
).values({jobs.c.slow_shown: True})
MOVES = {target: UPDATE.where(jobs.c.status.in_(sources(target))) for target in JobStatus}


class OriginTaken(Exception):
    """A job was made from the same interaction already."""


class MoveRefused(Exception):
    """The job is in no status from which the move is legal: another task moved it first."""


async def add(tx: AsyncConnection, new: NewJob) -> Job:
    """Insert a job as `queued`; its hold belongs into the same transaction. OriginTaken."""
    try:
        await tx.execute(INSERT, row_of(new))
    except IntegrityError as error:
        if violates(error, ORIGIN):
            raise OriginTaken from None
        raise
    # Not read back: 54 columns take longer than the insert, and the member waits.
    return stored_job(new)


async def get(connection: AsyncConnection, job_id: str) -> Job | None:
    row = (await connection.execute(GET, {"job_id": job_id})).one_or_none()
    return job_of(row) if row else None


async def of_result_message(connection: AsyncConnection, message_id: int) -> Job | None:
    """Return the job whose result a message shows."""
    row = (await connection.execute(OF_RESULT, {"message_id": message_id})).first()
    return job_of(row) if row else None


async def lock(tx: AsyncConnection, job_id: str) -> Job | None:
    """Return a job that no other transaction changes before this one ends."""
    row = (await tx.execute(LOCK, {"job_id": job_id})).one_or_none()
    return job_of(row) if row else None


async def move(
    tx: AsyncConnection, job_id: str, target: JobStatus, **values: Unpack[Columns]
) -> Job:
    """Move a job along a legal transition, with `values` for other columns; else MoveRefused.

    For this package alone: everybody else calls the write that is named for the outcome.
    """
    moved = await tx.execute(MOVES[target], {**values, "status": target, "job_id": job_id})
    row = moved.one_or_none()
    if row is None:
        raise MoveRefused(f"job {job_id} cannot become {target}")
    return job_of(row)


async def change(tx: AsyncConnection, job_id: str, **values: Unpack[Columns]) -> Job | None:
    """Set columns besides the status; None if the job does not exist. For this package alone."""
    return await _one(tx, UPDATE, job_id, values)


async def requeue(
    tx: AsyncConnection, job_id: str, *, submit_after: datetime, reason: Reason | None
) -> Job:
    """Return a claimed job to the queue: the provider has surely not taken it."""
    return await move(
        tx,
        job_id,
        JobStatus.QUEUED,
        submit_after=submit_after,
        lease_until=None,
        reason=reason,
    )


async def start_running(tx: AsyncConnection, job_id: str, now: datetime) -> Job:
    """Record that the provider has taken the job; its remote ids belong into the transaction.

    The lease goes on: the process that has submitted the job polls too.
    """
    return await move(tx, job_id, JobStatus.RUNNING, running_at=now)


async def request_cancel(
    tx: AsyncConnection, job_id: str, now: datetime, *, moderator_id: int | None = None
) -> Job | None:
    """Record that the job is to be stopped; the worker acts at the next safe moment.

    `moderator_id` is None for the wish of the requester.
    """
    return await change(tx, job_id, cancel_requested_at=now, canceled_by=moderator_id)


async def confirm_reply(tx: AsyncConnection, job_id: str, message_id: int) -> Job | None:
    """Store the id of the reply's message: only then may the job be claimed."""
    return await _one(tx, CONFIRM_REPLY, job_id, {"status_message_id": message_id})


async def mark_inputs_stored(tx: AsyncConnection, job_id: str, *, size: int) -> bool:
    """Let a queued job with inputs be claimed; return False if its row has changed meanwhile.

    `size` is that of the stored pictures together, in bytes.
    """
    return await _one(tx, RELEASE_TO_QUEUE, job_id, {"input_bytes": size}) is not None


async def store_inputs(
    tx: AsyncConnection, job_id: str, inputs: Iterable[Attachment]
) -> Job | None:
    """Replace the addresses of a job's inputs."""
    return await change(tx, job_id, inputs=rows_of(inputs))


async def postpone_submit(
    tx: AsyncConnection, job_id: str, until: datetime, reason: Reason
) -> None:
    """Let nobody claim a queued job before `until`; `reason` is reported if it expires."""
    await change(tx, job_id, submit_after=until, reason=reason, lease_until=None)


async def hand_over(
    tx: AsyncConnection, job: Job, *, model: str, provider: str, price: int
) -> Job | None:
    """Move a queued job to another model; None if the row has changed meanwhile."""
    values: Columns = {"model": model, "provider": provider, "price": price}
    return await _one(tx, HAND_OVER, job.id, values, from_model=job.request.model)


async def mark_final_status(tx: AsyncConnection, job_id: str) -> Job | None:
    """Record that the status message was edited for the last time."""
    return await change(tx, job_id, final_status_sent=True)


async def mark_slow(tx: AsyncConnection, job_id: str) -> Job | None:
    """Record that the status message says that a running job is slow; None if that is stored."""
    return await _one(tx, MARK_SLOW, job_id)


async def postpone_delivery(
    tx: AsyncConnection,
    job_id: str,
    until: datetime,
    error: str,
    *,
    message_id: int | None = None,
    channel_id: int | None = None,
) -> None:
    """Store when the next attempt is due.

    `message_id` is the message that has the result already, in the channel `channel_id`.
    """
    values: Columns = {"deliver_after": until, "delivery_error": error, "lease_until": None}
    if message_id is not None:
        values["result_message_id"] = message_id
        values["result_channel_id"] = channel_id
    await change(tx, job_id, **values)


async def mark_delivered(
    tx: AsyncConnection,
    job_id: str,
    now: datetime,
    *,
    message_id: int | None,
    channel_id: int | None,
    error: str | None,
) -> None:
    """Record the end of a delivery: the message that shows the result, or why there is none.

    `channel_id` is that of the message; 0 if only the requester sees the message.
    """
    await change(
        tx,
        job_id,
        delivered_at=now,
        result_message_id=message_id,
        result_channel_id=channel_id,
        delivery_error=error,
        lease_until=None,
    )


async def set_granted(tx: AsyncConnection, job_id: str, granted: int) -> None:
    """Store the part of the price that grants pay."""
    await change(tx, job_id, granted=granted)


async def hide(tx: AsyncConnection, job_id: str, now: datetime) -> Job | None:
    """Record that the result was deleted: the first time stays."""
    return await _one(tx, HIDE, job_id, {"hidden_at": now})


async def set_spoiler(tx: AsyncConnection, job_id: str, spoiler: bool) -> Job | None:
    """Record whether the pictures of the result are hidden until a member clicks on them."""
    return await change(tx, job_id, spoiler=spoiler)


async def _one(
    tx: AsyncConnection,
    statement: ReturningUpdate[Any],
    job_id: str,
    values: Columns | None = None,
    **conditions: object,
) -> Job | None:
    """Set columns of one job; `conditions` are the statement's other parameters."""
    parameters = {**(values or {}), **conditions, "job_id": job_id}
    row = (await tx.execute(statement, parameters)).one_or_none()
    return job_of(row) if row else None
