"""The statements that take a job and begin the work: a submit, in turns, or a delivery."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from bot.jobs import Job, JobStatus
from bot.store.job_rows import job_of
from bot.store.leases import FREE, NEW_LEASE, Terms
from bot.store.queue import (
    AT_PROVIDER,
    CONFIRMED,
    DELIVERY_DUE,
    QUEUED,
    SUBMIT_DUE,
    UNDELIVERED,
)
from bot.store.tables import Utc, jobs
from bot.store.turns import LAST_SUBMIT, in_turn, list_jobs, listed, none_of, turns

CLAIMABLE = and_(
    QUEUED,
    CONFIRMED,
    jobs.c.cancel_requested_at.is_(None),
    SUBMIT_DUE,
    jobs.c.inputs_stored,
    FREE,
    jobs.c.created_at > bindparam("created_after", type_=Utc),
)


def _take(candidate: Select[Any]) -> ReturningUpdate[Any]:
    """Take the candidate, unless another process is about to take it."""
    found = candidate.with_for_update(skip_locked=True, of=jobs).scalar_subquery()
    return update(jobs).where(jobs.c.id == found, CLAIMABLE).values(NEW_LEASE).returning(*jobs.c)


def _claim(*conditions: ColumnElement[bool]) -> ReturningUpdate[Any]:
    candidates = select(jobs.c.id).where(
        AT_PROVIDER, CLAIMABLE, none_of(jobs.c.user_id, "without"), *conditions
    )
    return _take(candidates.order_by(*LAST_SUBMIT, jobs.c.created_at).limit(1))


CLAIM = _claim()
CLAIM_NAMED = _claim(~jobs.c.model_auto, jobs.c.created_at >= bindparam("named_since", type_=Utc))
CLAIM_LISTED = _take(select(jobs.c.id).where(jobs.c.id == bindparam("job_id"), CLAIMABLE))
IN_TURN = in_turn(turns(AT_PROVIDER, CLAIMABLE), *LAST_SUBMIT)
WORK = (
    select(jobs.c.provider, func.count().label("number")).where(CLAIMABLE).group_by(jobs.c.provider)
)
BEGIN_DELIVERY = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("job_id"),
        UNDELIVERED,
        DELIVERY_DUE,  # the list may be older than the end of the attempt before
        FREE,
        jobs.c.epoch == bindparam("listed_epoch", type_=Integer),
    )
    .values(
        {
            **NEW_LEASE,
            jobs.c.delivery_attempts: jobs.c.delivery_attempts + 1,
            jobs.c.delivery_started_at: func.coalesce(
                jobs.c.delivery_started_at, bindparam("now", type_=Utc)
            ),
        }
    )
    .returning(*jobs.c)
)


async def claim(
    tx: AsyncConnection,
    provider: str,
    terms: Terms,
    *,
    created_after: datetime,
    without: Collection[int] = (),
    named_since: datetime | None = None,
) -> Job | None:
    """Take the next job of a provider: the oldest of the member who was served longest ago.

    The members in `without` are left out. With `named_since`, only a job created since then, whose
    member named the model.

    Jobs created before `created_after` are left out: they have expired, also if no task has
    failed them yet, as in a backup that was restored.
    """
    values = {
        **_claimed(terms, created_after),
        "at_provider": provider,
        "without": listed(without),
    }
    if named_since is None:
        claimed = await tx.execute(CLAIM, values)
    else:
        claimed = await tx.execute(CLAIM_NAMED, {**values, "named_since": named_since})
    row = claimed.one_or_none()
    return job_of(row) if row else None


async def claim_listed(
    tx: AsyncConnection, job_id: str, terms: Terms, *, created_after: datetime
) -> Job | None:
    """Take a job that `in_turns` has returned; None if it cannot be claimed any more."""
    values = {**_claimed(terms, created_after), "job_id": job_id}
    row = (await tx.execute(CLAIM_LISTED, values)).one_or_none()
    return job_of(row) if row else None


def _claimed(terms: Terms, created_after: datetime) -> dict[str, object]:
    return {
        "status": JobStatus.SUBMITTING,
        "submitted_at": terms.now,
        **terms._asdict(),
        "created_after": created_after,
    }


async def in_turns(
    connection: AsyncConnection, provider: str, now: datetime, created_after: datetime, limit: int
) -> list[Job]:
    """Return the next jobs of a provider that can be claimed, in the order of `claim`."""
    values = {"at_provider": provider, "now": now, "created_after": created_after}
    return await list_jobs(connection, IN_TURN, limit=limit, **values)


async def providers_with_work(
    connection: AsyncConnection, now: datetime, created_after: datetime
) -> dict[str, int]:
    """Return the number of jobs that can be claimed, for each provider that has any."""
    values = {"now": now, "created_after": created_after}
    return {row.provider: row.number for row in await connection.execute(WORK, values)}


async def begin_delivery(tx: AsyncConnection, job: Job, terms: Terms) -> Job | None:
    """Take a settled job, and count an attempt: the next one, after a crash, searches first.

    None if there is nothing (left) to deliver, if the delivery was postponed meanwhile, or if
    another process has taken the job.
    """
    values = {**terms._asdict(), "job_id": job.id, "listed_epoch": job.epoch}
    row = (await tx.execute(BEGIN_DELIVERY, values)).one_or_none()
    return job_of(row) if row else None
