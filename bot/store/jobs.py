"""Jobs as rows: stored, read, moved. Functions that write take a transaction.

What the worker looks for among them is in bot.store.queue.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import Reason
from bot.jobs import (
    ACTIVE,
    SETTLED,
    Attachment,
    GenerationRequest,
    Job,
    JobStatus,
    NewJob,
    Route,
    sources,
)
from bot.store.tables import Utc, jobs

# Statements are built once: to build one takes longer than to execute it, and members wait.
ADD = insert(jobs).returning(*jobs.c)
GET = select(jobs).where(jobs.c.id == bindparam("job_id"))
NOTE = update(jobs).where(jobs.c.id == bindparam("job_id")).returning(*jobs.c)
CONFIRM = NOTE.where(jobs.c.status_message_id.is_(None))
INPUTS_STORED = NOTE.where(~jobs.c.inputs_stored).values(inputs_stored=True, submit_after=None)
HAND_OVER = NOTE.where(
    jobs.c.status == JobStatus.QUEUED,
    jobs.c.cancel_requested_at.is_(None),
    jobs.c.model_auto,
    jobs.c.model == bindparam("from_model"),
).values(submit_after=None, reason=None)
TRY_DELIVERY = NOTE.where(jobs.c.status.in_(SETTLED), jobs.c.delivered_at.is_(None)).values(
    delivery_attempts=jobs.c.delivery_attempts + 1,
    delivery_started_at=func.coalesce(jobs.c.delivery_started_at, bindparam("now", type_=Utc)),
)
MOVES = {target: NOTE.where(jobs.c.status.in_(sources(target))) for target in JobStatus}
OF_MEMBER = select(jobs).where(jobs.c.user_id == bindparam("user"))
ACTIVE_OF = OF_MEMBER.where(jobs.c.status.in_(ACTIVE)).order_by(jobs.c.created_at)
RECENT_OF = OF_MEMBER.order_by(jobs.c.created_at.desc()).limit(bindparam("limit"))
ENDED_OF = RECENT_OF.where(jobs.c.status.in_(SETTLED))


class MoveRefused(Exception):
    """The job was not in a status from which the move is legal: somebody else moved it first."""


async def add(tx: AsyncConnection, new: NewJob) -> Job:
    values = {
        "id": new.id,
        "status": JobStatus.QUEUED,
        "user_id": new.user_id,
        "account_server_id": new.route.account_server_id,
        "channel_id": new.route.channel_id,
        "application_id": new.route.application_id,
        "interaction_token": new.route.interaction_token,
        "token_expires_at": new.route.token_expires_at,
        "postable": new.route.postable,
        "private": new.route.private,
        "guild_id": new.route.guild_id,
        "parent_id": new.route.parent_id,
        "inputs": rows_of(new.inputs),
        "inputs_stored": not new.inputs,
        "model": new.request.model,
        "provider": new.provider,
        "model_auto": new.model_auto,
        "prompt": new.request.prompt,
        "options": dict(new.request.options),
        "price": new.price,
        "created_at": new.created_at,
    }
    return job_of((await tx.execute(ADD, values)).one())


async def get(connection: AsyncConnection, job_id: str) -> Job | None:
    row = (await connection.execute(GET, {"job_id": job_id})).one_or_none()
    return job_of(row) if row else None


async def move(tx: AsyncConnection, job_id: str, target: JobStatus, **values: object) -> Job:
    """Move a job along a legal move, with `values` for its other columns; else MoveRefused."""
    if target.settled:
        values.setdefault("lease_until", None)
    moved = await tx.execute(MOVES[target], {**values, "status": target, "job_id": job_id})
    row = moved.one_or_none()
    if row is None:
        raise MoveRefused(f"{job_id} cannot become {target}")
    return job_of(row)


async def note(tx: AsyncConnection, job_id: str, **values: object) -> Job | None:
    """Set columns that are no part of the status; None where the job does not exist."""
    row = (await tx.execute(NOTE, {**values, "job_id": job_id})).one_or_none()
    return job_of(row) if row else None


async def confirm(tx: AsyncConnection, job_id: str, message_id: int) -> Job | None:
    """Remember the answer's message: only then may the job be claimed."""
    confirmed = await tx.execute(CONFIRM, {"job_id": job_id, "status_message_id": message_id})
    row = confirmed.one_or_none()
    return job_of(row) if row else None


async def inputs_stored(tx: AsyncConnection, job_id: str) -> bool:
    """Let the job be claimed; False where somebody kept its inputs first."""
    return (await tx.execute(INPUTS_STORED, {"job_id": job_id})).one_or_none() is not None


async def hand_over(tx: AsyncConnection, job: Job, model: str, price: int) -> Job | None:
    """Let a queued job wait for another model; None where it is not as it was."""
    values = {"job_id": job.id, "from_model": job.request.model, "model": model, "price": price}
    row = (await tx.execute(HAND_OVER, values)).one_or_none()
    return job_of(row) if row else None


async def try_delivery(tx: AsyncConnection, job_id: str, now: datetime) -> Job | None:
    """Count a try, before it is made: after a crash in it, the next one knows to look first.

    None where there is nothing to deliver (any more).
    """
    row = (await tx.execute(TRY_DELIVERY, {"job_id": job_id, "now": now})).one_or_none()
    return job_of(row) if row else None


async def active_of(connection: AsyncConnection, user_id: int) -> list[Job]:
    """A member's jobs that are not settled, oldest first."""
    rows = await connection.execute(ACTIVE_OF, {"user": user_id})
    return [job_of(row) for row in rows]


async def recent_of(connection: AsyncConnection, user_id: int, limit: int) -> list[Job]:
    """A member's newest jobs, newest first."""
    rows = await connection.execute(RECENT_OF, {"user": user_id, "limit": limit})
    return [job_of(row) for row in rows]


async def ended_of(connection: AsyncConnection, user_id: int, limit: int) -> list[Job]:
    """A member's newest jobs that have ended, newest first."""
    rows = await connection.execute(ENDED_OF, {"user": user_id, "limit": limit})
    return [job_of(row) for row in rows]


def rows_of(inputs: Iterable[Attachment]) -> list[dict[str, object]]:
    """Attachments as the column `inputs` keeps them."""
    return [asdict(each) for each in inputs]


def job_of(row: Row[Any]) -> Job:
    inputs = tuple(Attachment(**each) for each in row.inputs)
    return Job(
        id=row.id,
        status=JobStatus(row.status),
        user_id=row.user_id,
        route=Route(
            channel_id=row.channel_id,
            account_server_id=row.account_server_id,
            application_id=row.application_id,
            interaction_token=row.interaction_token,
            token_expires_at=row.token_expires_at,
            status_message_id=row.status_message_id,
            postable=row.postable,
            private=row.private,
            guild_id=row.guild_id,
            parent_id=row.parent_id,
        ),
        request=GenerationRequest(
            model=row.model,
            prompt=row.prompt,
            options=row.options,
            inputs=tuple(each.url for each in inputs),
        ),
        provider=row.provider,
        price=row.price,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        running_at=row.running_at,
        settled_at=row.settled_at,
        delivered_at=row.delivered_at,
        result_message_id=row.result_message_id,
        cancel_requested_at=row.cancel_requested_at,
        submit_after=row.submit_after,
        reason=Reason(row.reason) if row.reason else None,
        cost=row.cost,
        estimated=row.estimated,
        deliver_after=row.deliver_after,
        delivery_attempts=row.delivery_attempts,
        delivery_started_at=row.delivery_started_at,
        delivery_error=row.delivery_error,
        inputs=inputs,
        model_auto=row.model_auto,
        remark=row.remark,
        overdue_at=row.overdue_at,
        final_status_sent=row.final_status_sent,
    )
