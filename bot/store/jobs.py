"""Every query on jobs and their generations. Functions that write take a transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import Reason
from bot.jobs import (
    ACTIVE,
    Generation,
    GenerationRequest,
    Job,
    JobStatus,
    NewJob,
    Route,
    sources,
)
from bot.store.tables import generations, jobs


class MoveRefused(Exception):
    """The job was not in a status from which the move is legal: somebody else moved it first."""


async def add(tx: AsyncConnection, new: NewJob) -> Job:
    values = {
        "id": new.id,
        "status": JobStatus.QUEUED,
        "user_id": new.user_id,
        "server_id": new.route.server_id,
        "channel_id": new.route.channel_id,
        "application_id": new.route.application_id,
        "interaction_token": new.route.interaction_token,
        "token_expires_at": new.route.token_expires_at,
        "postable": new.route.postable,
        "model": new.request.model,
        "prompt": new.request.prompt,
        "options": dict(new.request.options),
        "price": new.price,
        "created_at": new.created_at,
    }
    row = (await tx.execute(insert(jobs).values(values).returning(*jobs.c))).one()
    return _job(row)


async def get(connection: AsyncConnection, job_id: str) -> Job | None:
    row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).one_or_none()
    return _job(row) if row else None


async def move(tx: AsyncConnection, job_id: str, target: JobStatus, **values: object) -> Job:
    """Move a job along a legal move, with `values` for its other columns; else MoveRefused."""
    if target.settled:
        values.setdefault("lease_until", None)
    statement = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.status.in_(sources(target)))
        .values(status=target, **values)
    )
    job = await _updated(tx, statement)
    if job is None:
        raise MoveRefused(f"{job_id} cannot become {target}")
    return job


async def note(tx: AsyncConnection, job_id: str, **values: object) -> Job | None:
    """Set columns that are no part of the status; None where the job does not exist."""
    return await _updated(tx, update(jobs).where(jobs.c.id == job_id).values(**values))


async def confirm(tx: AsyncConnection, job_id: str, message_id: int) -> Job | None:
    """Remember the answer's message: only then may the job be claimed."""
    statement = update(jobs).where(jobs.c.id == job_id, jobs.c.message_id.is_(None))
    return await _updated(tx, statement.values(message_id=message_id))


async def claim(
    tx: AsyncConnection, model: str, *, now: datetime, lease_until: datetime
) -> Job | None:
    """Take the next job for this model: of the member who was served longest ago, the oldest."""
    others = jobs.alias()
    last_served = (
        select(func.max(others.c.submitted_at))
        .where(others.c.user_id == jobs.c.user_id)
        .scalar_subquery()
    )
    candidate = (
        select(jobs.c.id)
        .where(jobs.c.model == model, *_claimable(now))
        .order_by(last_served.is_not(None), last_served, jobs.c.created_at)
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        update(jobs)
        .where(jobs.c.id == candidate)
        .values(status=JobStatus.SUBMITTING, submitted_at=now, lease_until=lease_until)
    )
    return await _updated(tx, statement)


async def models_with_work(connection: AsyncConnection, now: datetime) -> list[str]:
    """Models for which a job could be claimed: a cheap look before a transaction is begun."""
    statement = select(jobs.c.model).distinct().where(*_claimable(now))
    return list((await connection.execute(statement)).scalars())


async def clear_leases(tx: AsyncConnection) -> None:
    """After a start: whoever held a lease is gone."""
    await tx.execute(
        update(jobs).where(jobs.c.status == JobStatus.SUBMITTING).values(lease_until=None)
    )


async def cancel_wishes(connection: AsyncConnection) -> list[Job]:
    """Running jobs whose member wants them stopped."""
    return await _list(
        connection, jobs.c.status == JobStatus.RUNNING, jobs.c.cancel_requested_at.is_not(None)
    )


async def twins_in_doubt(connection: AsyncConnection, job: Job) -> list[Job]:
    """Other jobs that may have made the very generation that this one looks for."""
    submitting = await _list(connection, jobs.c.status == JobStatus.SUBMITTING)
    return [other for other in submitting if other.id != job.id and other.request == job.request]


async def neglected(
    connection: AsyncConnection,
    *,
    asked_before: datetime,
    queued_before: datetime,
    now: datetime,
    settled_after: datetime,
) -> list[Job]:
    """Jobs that nobody will ask to look at, for four reasons that their columns tell apart.

    Queued without a message: asked for before `asked_before`, and whether Discord took the answer
    is not known. Queued since before `queued_before`: to be given up. Submitting beyond its lease:
    what became of the request is in doubt. Estimated and settled after `settled_after`: the
    provider may tell the cost by now.
    """
    queued, answered = jobs.c.status == JobStatus.QUEUED, jobs.c.message_id.is_not(None)
    expired = or_(jobs.c.lease_until.is_(None), jobs.c.lease_until <= now)
    return await _list(
        connection,
        or_(
            and_(queued, ~answered, jobs.c.created_at <= asked_before),
            and_(queued, answered, jobs.c.created_at <= queued_before),
            and_(jobs.c.status == JobStatus.SUBMITTING, expired),
            and_(
                jobs.c.status == JobStatus.SUCCEEDED,
                jobs.c.estimated,
                jobs.c.settled_at > settled_after,
            ),
        ),
    )


async def running(connection: AsyncConnection) -> list[Job]:
    return await _list(connection, jobs.c.status == JobStatus.RUNNING)


async def deliverable(connection: AsyncConnection, now: datetime, limit: int) -> list[Job]:
    """Settled jobs that Discord has not said yes to, and whose next try is due."""
    due = or_(jobs.c.deliver_after.is_(None), jobs.c.deliver_after <= now)
    return await _list(connection, _undelivered(), due, limit=limit)


async def next_wake(connection: AsyncConnection, now: datetime) -> datetime | None:
    """The nearest time at which a queued or settled job comes due by itself."""
    submits = select(func.min(jobs.c.submit_after)).where(
        jobs.c.status == JobStatus.QUEUED, jobs.c.submit_after > now
    )
    deliveries = select(func.min(jobs.c.deliver_after)).where(
        _undelivered(), jobs.c.deliver_after > now
    )
    rows = (await connection.execute(submits.union_all(deliveries))).scalars()
    return min((moment for moment in rows if moment is not None), default=None)


async def active_of(connection: AsyncConnection, user_id: int) -> list[Job]:
    return await _list(connection, jobs.c.user_id == user_id, jobs.c.status.in_(ACTIVE))


async def recent_of(connection: AsyncConnection, user_id: int, limit: int) -> list[Job]:
    """A member's newest jobs, newest first."""
    statement = select(jobs).where(jobs.c.user_id == user_id).order_by(jobs.c.created_at.desc())
    return [_job(row) for row in await connection.execute(statement.limit(limit))]


async def ended_of(connection: AsyncConnection, user_id: int, limit: int) -> list[Job]:
    """A member's newest jobs that have ended, newest first."""
    settled = [status for status in JobStatus if status.settled]
    statement = (
        select(jobs)
        .where(jobs.c.user_id == user_id, jobs.c.status.in_(settled))
        .order_by(jobs.c.created_at.desc())
    )
    return [_job(row) for row in await connection.execute(statement.limit(limit))]


async def erase_tokens(tx: AsyncConnection, now: datetime) -> None:
    await tx.execute(
        update(jobs)
        .where(jobs.c.interaction_token.is_not(None), jobs.c.token_expires_at <= now)
        .values(interaction_token=None)
    )


async def add_generations(
    tx: AsyncConnection, job_id: str, provider: str, remote_ids: Iterable[str]
) -> list[Generation]:
    rows = [
        {"job_id": job_id, "provider": provider, "remote_id": remote_id} for remote_id in remote_ids
    ]
    statement = insert(generations).returning(*generations.c, sort_by_parameter_order=True)
    return [_generation(row) for row in await tx.execute(statement, rows)]


async def generations_of(connection: AsyncConnection, job_id: str) -> list[Generation]:
    statement = select(generations).where(generations.c.job_id == job_id).order_by(generations.c.id)
    return [_generation(row) for row in await connection.execute(statement)]


async def end_generation(tx: AsyncConnection, generation_id: int, state: JobStatus) -> None:
    await tx.execute(
        update(generations).where(generations.c.id == generation_id).values(state=state)
    )


async def owned(
    connection: AsyncConnection, provider: str, remote_ids: Sequence[str]
) -> frozenset[str]:
    """Which of these remote ids belong to a job already."""
    statement = select(generations.c.remote_id).where(
        generations.c.provider == provider, generations.c.remote_id.in_(remote_ids)
    )
    return frozenset((await connection.execute(statement)).scalars())


def _claimable(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        jobs.c.status == JobStatus.QUEUED,
        jobs.c.message_id.is_not(None),
        jobs.c.cancel_requested_at.is_(None),
        or_(jobs.c.submit_after.is_(None), jobs.c.submit_after <= now),
    )


def _undelivered() -> ColumnElement[bool]:
    settled = [status for status in JobStatus if status.settled]
    return and_(jobs.c.status.in_(settled), jobs.c.delivered_at.is_(None))


async def _updated(tx: AsyncConnection, statement: Update) -> Job | None:
    row = (await tx.execute(statement.returning(*jobs.c))).one_or_none()
    return _job(row) if row else None


async def _list(
    connection: AsyncConnection, *conditions: ColumnElement[bool], limit: int | None = None
) -> list[Job]:
    statement = select(jobs).where(*conditions).order_by(jobs.c.created_at).limit(limit)
    return [_job(row) for row in await connection.execute(statement)]


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        status=JobStatus(row.status),
        user_id=row.user_id,
        route=Route(
            channel_id=row.channel_id,
            server_id=row.server_id,
            application_id=row.application_id,
            interaction_token=row.interaction_token,
            token_expires_at=row.token_expires_at,
            message_id=row.message_id,
            postable=row.postable,
        ),
        request=GenerationRequest(model=row.model, prompt=row.prompt, options=row.options),
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
        deliveries=row.deliveries,
    )


def _generation(row: Row[Any]) -> Generation:
    return Generation(
        id=row.id,
        job_id=row.job_id,
        remote_id=row.remote_id,
        state=JobStatus(row.state) if row.state else None,
    )
