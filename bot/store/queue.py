"""The queries by which the worker finds work: which jobs are due, by their columns alone."""

from datetime import datetime, timedelta

from sqlalchemy import Select, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import Reason
from bot.jobs import ACTIVE, SETTLED, Job, JobStatus
from bot.store.jobs import job_of
from bot.store.tables import Utc, generations, jobs

# Statements are built once, as in bot.store.jobs.
QUEUED, SUBMITTING, RUNNING = (
    jobs.c.status == status
    for status in (JobStatus.QUEUED, JobStatus.SUBMITTING, JobStatus.RUNNING)
)
NOW = bindparam("now", type_=Utc)
CONFIRMED = jobs.c.status_message_id.is_not(None)
SUBMIT_DUE = or_(jobs.c.submit_after.is_(None), jobs.c.submit_after <= NOW)
CLAIMABLE = and_(
    QUEUED,
    CONFIRMED,
    jobs.c.cancel_requested_at.is_(None),
    SUBMIT_DUE,
    jobs.c.inputs_stored,
    jobs.c.created_at > bindparam("created_after", type_=Utc),
)
UNDELIVERED = and_(jobs.c.status.in_(SETTLED), jobs.c.delivered_at.is_(None))
BY_AGE = select(jobs).order_by(jobs.c.created_at)

_others = jobs.alias()
_last_served = (
    select(func.max(_others.c.submitted_at))
    .where(_others.c.user_id == jobs.c.user_id)
    .scalar_subquery()
)
_candidate = (
    select(jobs.c.id)
    .where(jobs.c.provider == bindparam("at_provider"), CLAIMABLE)
    .order_by(_last_served.is_not(None), _last_served, jobs.c.created_at)
    .limit(1)
    .scalar_subquery()
)
CLAIM = update(jobs).where(jobs.c.id == _candidate).returning(*jobs.c)
PROVIDERS_WITH_WORK = select(jobs.c.provider).distinct().where(CLAIMABLE)
WITHOUT_INPUTS = BY_AGE.where(QUEUED, CONFIRMED, SUBMIT_DUE, ~jobs.c.inputs_stored)
EXPIRING_STATUSES = BY_AGE.where(
    jobs.c.status.in_(ACTIVE),
    CONFIRMED,
    or_(jobs.c.private, ~jobs.c.postable),
    ~jobs.c.final_status_sent,
    jobs.c.token_expires_at <= bindparam("expires_before", type_=Utc),
    jobs.c.token_expires_at > NOW,
)
CANCEL_REQUESTS = BY_AGE.where(RUNNING, jobs.c.cancel_requested_at.is_not(None))
DELIVERABLE = BY_AGE.where(
    UNDELIVERED, or_(jobs.c.deliver_after.is_(None), jobs.c.deliver_after <= NOW)
).limit(bindparam("limit"))
WAITING = BY_AGE.where(QUEUED, CONFIRMED).limit(bindparam("limit"))
TRANSFERABLE = BY_AGE.where(
    QUEUED,
    CONFIRMED,
    jobs.c.provider == bindparam("at_provider"),
    jobs.c.model_auto,
    jobs.c.cancel_requested_at.is_(None),
).limit(bindparam("limit"))
WITH_OPEN_GENERATIONS = BY_AGE.where(
    jobs.c.status.in_(SETTLED),
    jobs.c.settled_at > bindparam("settled_after", type_=Utc),
    exists().where(generations.c.job_id == jobs.c.id, generations.c.state.is_(None)),
)
UNKNOWN_OUTCOMES = BY_AGE.where(
    jobs.c.status == JobStatus.FAILED,
    jobs.c.reason == Reason.DOUBTFUL,
    jobs.c.settled_at > bindparam("settled_after", type_=Utc),
    ~exists().where(generations.c.job_id == jobs.c.id),
)
RUNNING_IDS = select(jobs.c.id).where(RUNNING).order_by(jobs.c.created_at)
RIVALS = BY_AGE.where(
    jobs.c.id != bindparam("job_id"),
    jobs.c.model == bindparam("of_model"),
    jobs.c.prompt == bindparam("of_prompt"),
    jobs.c.submitted_at.between(bindparam("first", type_=Utc), bindparam("last", type_=Utc)),
    or_(
        SUBMITTING,
        and_(jobs.c.status == JobStatus.FAILED, jobs.c.reason == Reason.DOUBTFUL),
    ),
)
NEXT_WAKE = (
    select(func.min(jobs.c.submit_after))
    .where(QUEUED, jobs.c.submit_after > NOW)
    .union_all(
        select(func.min(jobs.c.deliver_after)).where(UNDELIVERED, jobs.c.deliver_after > NOW)
    )
)
UNCONFIRMED = BY_AGE.where(
    QUEUED, ~CONFIRMED, jobs.c.created_at <= bindparam("created_before", type_=Utc)
)
EXPIRED = BY_AGE.where(
    QUEUED, CONFIRMED, jobs.c.created_at <= bindparam("created_before", type_=Utc)
)
UNLEASED = BY_AGE.where(SUBMITTING, or_(jobs.c.lease_until.is_(None), jobs.c.lease_until <= NOW))
ESTIMATED = BY_AGE.where(
    jobs.c.status == JobStatus.SUCCEEDED,
    jobs.c.estimated,
    jobs.c.settled_at > bindparam("settled_after", type_=Utc),
)


async def claim(
    tx: AsyncConnection,
    provider: str,
    *,
    now: datetime,
    created_after: datetime,
    lease_until: datetime,
) -> Job | None:
    """Take the next job of a provider: the oldest of the member who was served longest ago.

    Jobs created before `created_after` are left out: they have expired, also if no task has
    failed them yet, as in a backup that was restored.
    """
    claimed = await tx.execute(
        CLAIM,
        {
            "status": JobStatus.SUBMITTING,
            "submitted_at": now,
            "lease_until": lease_until,
            "at_provider": provider,
            "now": now,
            "created_after": created_after,
        },
    )
    row = claimed.one_or_none()
    return job_of(row) if row else None


async def providers_with_work(
    connection: AsyncConnection, now: datetime, created_after: datetime
) -> list[str]:
    """Return the providers for which a job can be claimed: cheaper than a transaction."""
    values = {"now": now, "created_after": created_after}
    return list((await connection.execute(PROVIDERS_WITH_WORK, values)).scalars())


async def without_inputs(connection: AsyncConnection, now: datetime) -> list[Job]:
    """Return queued jobs whose input pictures are to be stored first."""
    return await _list(connection, WITHOUT_INPUTS, now=now)


async def expiring_statuses(
    connection: AsyncConnection, now: datetime, *, expires_before: datetime
) -> list[Job]:
    """Return active jobs whose status message can be edited only until the token expires."""
    return await _list(connection, EXPIRING_STATUSES, now=now, expires_before=expires_before)


async def waiting(connection: AsyncConnection, limit: int) -> list[Job]:
    """Return queued jobs that have a status message, oldest first."""
    return await _list(connection, WAITING, limit=limit)


async def transferable(connection: AsyncConnection, provider: str, limit: int) -> list[Job]:
    """Return jobs queued for a provider whose model Easel chose, oldest first."""
    return await _list(connection, TRANSFERABLE, at_provider=provider, limit=limit)


async def with_open_generations(connection: AsyncConnection, settled_after: datetime) -> list[Job]:
    """Return settled jobs with a generation whose end is not known."""
    return await _list(connection, WITH_OPEN_GENERATIONS, settled_after=settled_after)


async def unknown_outcomes(connection: AsyncConnection, settled_after: datetime) -> list[Job]:
    """Return failed jobs whose request may have been executed; their generations are unknown."""
    return await _list(connection, UNKNOWN_OUTCOMES, settled_after=settled_after)


async def clear_leases(tx: AsyncConnection) -> None:
    """End every lease: after a start, no task that held one is left."""
    await tx.execute(update(jobs).where(SUBMITTING).values(lease_until=None))


async def cancel_requests(connection: AsyncConnection) -> list[Job]:
    """Return running jobs that their members want stopped."""
    return await _list(connection, CANCEL_REQUESTS)


async def rivals(connection: AsyncConnection, job: Job, window: timedelta) -> list[Job]:
    """Return other jobs that may have made the generations that this job is reconciled with.

    Their requests have an unknown outcome too, within `window` of this one's. Equal prompts
    suffice: the service decides which options and inputs it treats as equal.
    """
    sent = job.submitted_at or job.created_at
    return await _list(
        connection,
        RIVALS,
        job_id=job.id,
        of_model=job.request.model,
        of_prompt=job.request.prompt,
        first=sent - window,
        last=sent + window,
    )


async def unconfirmed(connection: AsyncConnection, created_before: datetime) -> list[Job]:
    """Return queued jobs whose reply Discord neither confirmed nor refused."""
    return await _list(connection, UNCONFIRMED, created_before=created_before)


async def expired(connection: AsyncConnection, created_before: datetime) -> list[Job]:
    """Return jobs that could not be submitted in time."""
    return await _list(connection, EXPIRED, created_before=created_before)


async def unleased(connection: AsyncConnection, now: datetime) -> list[Job]:
    """Return submitting jobs that no task works on: the outcome of their request is unknown."""
    return await _list(connection, UNLEASED, now=now)


async def estimated(connection: AsyncConnection, settled_after: datetime) -> list[Job]:
    """Return jobs with an estimated cost that their provider may report by now."""
    return await _list(connection, ESTIMATED, settled_after=settled_after)


async def running_ids(connection: AsyncConnection) -> list[str]:
    return list((await connection.execute(RUNNING_IDS)).scalars())


async def deliverable(connection: AsyncConnection, now: datetime, limit: int) -> list[Job]:
    """Return settled jobs whose next delivery attempt is due."""
    return await _list(connection, DELIVERABLE, now=now, limit=limit)


async def next_wake(connection: AsyncConnection, now: datetime) -> datetime | None:
    """Return the time at which the next queued or settled job becomes due."""
    rows = (await connection.execute(NEXT_WAKE, {"now": now})).scalars()
    return min((moment for moment in rows if moment is not None), default=None)


async def erase_tokens(tx: AsyncConnection, now: datetime) -> None:
    """Erase the interaction tokens that Discord no longer accepts."""
    await tx.execute(
        update(jobs)
        .where(jobs.c.interaction_token.is_not(None), jobs.c.token_expires_at <= now)
        .values(interaction_token=None)
    )


async def _list(
    connection: AsyncConnection, statement: Select[tuple[Job]], **values: object
) -> list[Job]:
    return [job_of(row) for row in await connection.execute(statement, values)]
