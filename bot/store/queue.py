"""What there is to do: the jobs that the worker looks for, by their columns alone."""

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
CLAIMABLE = and_(
    QUEUED,
    jobs.c.status_message_id.is_not(None),
    jobs.c.cancel_requested_at.is_(None),
    or_(jobs.c.submit_after.is_(None), jobs.c.submit_after <= NOW),
    jobs.c.inputs_stored,
    jobs.c.created_at > bindparam("asked_after", type_=Utc),
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
    .where(jobs.c.model == bindparam("of_model"), CLAIMABLE)
    .order_by(_last_served.is_not(None), _last_served, jobs.c.created_at)
    .limit(1)
    .scalar_subquery()
)
CLAIM = update(jobs).where(jobs.c.id == _candidate).returning(*jobs.c)
MODELS_WITH_WORK = select(jobs.c.model).distinct().where(CLAIMABLE)
WITHOUT_INPUTS = BY_AGE.where(
    QUEUED,
    jobs.c.status_message_id.is_not(None),
    or_(jobs.c.submit_after.is_(None), jobs.c.submit_after <= NOW),
    ~jobs.c.inputs_stored,
)
# Their answers will soon be out of reach.
LATE = BY_AGE.where(
    jobs.c.status.in_(ACTIVE),
    jobs.c.status_message_id.is_not(None),
    or_(jobs.c.private, ~jobs.c.postable),
    ~jobs.c.final_status_sent,
    jobs.c.token_expires_at <= bindparam("expires_before", type_=Utc),
    jobs.c.token_expires_at > NOW,
)
WISHES = BY_AGE.where(RUNNING, jobs.c.cancel_requested_at.is_not(None))
DELIVERABLE = BY_AGE.where(
    UNDELIVERED, or_(jobs.c.deliver_after.is_(None), jobs.c.deliver_after <= NOW)
).limit(bindparam("limit"))
QUEUED_FOR = BY_AGE.where(
    QUEUED, jobs.c.status_message_id.is_not(None), jobs.c.model == bindparam("of_model")
)
WAITING = BY_AGE.where(or_(QUEUED, SUBMITTING))
MOVABLE = QUEUED_FOR.where(jobs.c.model_auto, jobs.c.cancel_requested_at.is_(None))
GIVEN_UP = BY_AGE.where(
    jobs.c.status.in_(SETTLED),
    jobs.c.settled_at > bindparam("settled_after", type_=Utc),
    exists().where(generations.c.job_id == jobs.c.id, generations.c.state.is_(None)),
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
NEGLECTED = BY_AGE.where(
    or_(
        and_(
            QUEUED,
            jobs.c.status_message_id.is_(None),
            jobs.c.created_at <= bindparam("asked_before", type_=Utc),
        ),
        and_(
            QUEUED,
            jobs.c.status_message_id.is_not(None),
            jobs.c.created_at <= bindparam("queued_before", type_=Utc),
        ),
        and_(SUBMITTING, or_(jobs.c.lease_until.is_(None), jobs.c.lease_until <= NOW)),
        and_(
            jobs.c.status == JobStatus.SUCCEEDED,
            jobs.c.estimated,
            jobs.c.settled_at > bindparam("settled_after", type_=Utc),
        ),
    )
)


async def claim(
    tx: AsyncConnection, model: str, *, now: datetime, asked_after: datetime, lease_until: datetime
) -> Job | None:
    """Take the next job for this model: of the member who was served longest ago, the oldest.

    None that was asked for before `asked_after`: it is given up, also where nobody has said so
    yet, as in a backup that was brought back.
    """
    values = {"status": JobStatus.SUBMITTING, "submitted_at": now, "lease_until": lease_until}
    claimed = await tx.execute(
        CLAIM, {**values, "of_model": model, "now": now, "asked_after": asked_after}
    )
    row = claimed.one_or_none()
    return job_of(row) if row else None


async def models_with_work(
    connection: AsyncConnection, now: datetime, asked_after: datetime
) -> list[str]:
    """Models for which a job could be claimed: a cheap look before a transaction is begun."""
    return list(
        (
            await connection.execute(MODELS_WITH_WORK, {"now": now, "asked_after": asked_after})
        ).scalars()
    )


async def without_inputs(connection: AsyncConnection, now: datetime) -> list[Job]:
    """Queued jobs whose input pictures are to be fetched first."""
    return await _list(connection, WITHOUT_INPUTS, now=now)


async def late(
    connection: AsyncConnection, now: datetime, *, expires_before: datetime
) -> list[Job]:
    """Jobs under way whose answer can be changed only until the token expires, which is soon."""
    return await _list(connection, LATE, now=now, expires_before=expires_before)


async def waiting(connection: AsyncConnection) -> list[Job]:
    """Jobs that no service has begun, oldest first."""
    return await _list(connection, WAITING)


async def movable(connection: AsyncConnection, model: str) -> list[Job]:
    """Jobs that are queued for a model which their members did not ask for by name."""
    return await _list(connection, MOVABLE, of_model=model)


async def given_up(connection: AsyncConnection, settled_after: datetime) -> list[Job]:
    """Settled jobs of which a generation was given up before anybody knew its end."""
    return await _list(connection, GIVEN_UP, settled_after=settled_after)


async def clear_leases(tx: AsyncConnection) -> None:
    """After a start: whoever held a lease is gone."""
    await tx.execute(update(jobs).where(SUBMITTING).values(lease_until=None))


async def cancel_wishes(connection: AsyncConnection) -> list[Job]:
    """Running jobs whose member wants them stopped."""
    return await _list(connection, WISHES)


async def rivals(connection: AsyncConnection, job: Job, window: timedelta) -> list[Job]:
    """Other jobs that may have made the very generations that this one looks for.

    Their requests are on their way or were lost, within `window` of this one's. Equal prompts are
    enough: which options and inputs a service takes for equal is its own affair.
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
    is not known. Queued since before `queued_before`: to be given up. Submitter beyond its lease:
    what became of the request is in doubt. Estimated and settled after `settled_after`: the
    provider may tell the cost by now.
    """
    return await _list(
        connection,
        NEGLECTED,
        asked_before=asked_before,
        queued_before=queued_before,
        now=now,
        settled_after=settled_after,
    )


async def running_ids(connection: AsyncConnection) -> list[str]:
    return list((await connection.execute(RUNNING_IDS)).scalars())


async def deliverable(connection: AsyncConnection, now: datetime, limit: int) -> list[Job]:
    """Settled jobs that Discord has not said yes to, and whose next try is due."""
    return await _list(connection, DELIVERABLE, now=now, limit=limit)


async def next_wake(connection: AsyncConnection, now: datetime) -> datetime | None:
    """The nearest time at which a queued or settled job comes due by itself."""
    rows = (await connection.execute(NEXT_WAKE, {"now": now})).scalars()
    return min((moment for moment in rows if moment is not None), default=None)


async def erase_tokens(tx: AsyncConnection, now: datetime) -> None:
    await tx.execute(
        update(jobs)
        .where(jobs.c.interaction_token.is_not(None), jobs.c.token_expires_at <= now)
        .values(interaction_token=None)
    )


async def _list(
    connection: AsyncConnection, statement: Select[tuple[Job]], **values: object
) -> list[Job]:
    return [job_of(row) for row in await connection.execute(statement, values)]
