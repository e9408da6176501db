"""The query by which a queued job is taken for its submit; members take turns."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from bot.jobs import Job, JobStatus
from bot.store.jobs import job_of
from bot.store.queue import AT_PROVIDER, CONFIRMED, QUEUED, SUBMIT_DUE
from bot.store.tables import Utc, jobs
from bot.store.turns import LAST_SUBMIT, listed, none_of

CLAIMABLE = and_(
    QUEUED,
    CONFIRMED,
    jobs.c.cancel_requested_at.is_(None),
    SUBMIT_DUE,
    jobs.c.inputs_stored,
    jobs.c.created_at > bindparam("created_after", type_=Utc),
)


def _claim(*conditions: ColumnElement[bool]) -> ReturningUpdate[Any]:
    candidate = (
        select(jobs.c.id)
        .where(AT_PROVIDER, CLAIMABLE, none_of(jobs.c.user_id, "without"), *conditions)
        .order_by(*LAST_SUBMIT, jobs.c.created_at)
        .limit(1)
        .scalar_subquery()
    )
    return update(jobs).where(jobs.c.id == candidate).returning(*jobs.c)


CLAIM = _claim()
CLAIM_NAMED = _claim(~jobs.c.model_auto, jobs.c.created_at >= bindparam("named_since", type_=Utc))
PROVIDERS_WITH_WORK = select(jobs.c.provider).distinct().where(CLAIMABLE)


async def claim(
    tx: AsyncConnection,
    provider: str,
    *,
    now: datetime,
    created_after: datetime,
    lease_until: datetime,
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
        "status": JobStatus.SUBMITTING,
        "submitted_at": now,
        "lease_until": lease_until,
        "at_provider": provider,
        "now": now,
        "created_after": created_after,
        "without": listed(without),
    }
    if named_since is None:
        claimed = await tx.execute(CLAIM, values)
    else:
        claimed = await tx.execute(CLAIM_NAMED, {**values, "named_since": named_since})
    row = claimed.one_or_none()
    return job_of(row) if row else None


async def providers_with_work(
    connection: AsyncConnection, now: datetime, created_after: datetime
) -> list[str]:
    """Return the providers for which a job can be claimed: cheaper than a transaction."""
    values = {"now": now, "created_after": created_after}
    return list((await connection.execute(PROVIDERS_WITH_WORK, values)).scalars())
