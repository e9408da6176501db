"""The queries by which the worker finds work: which jobs are due, by their columns alone.

Every list has a limit, and members take turns in it (bot.store.turns). Jobs that stay in a list
although the worker knows them already are left out by their ids, or would hide others for ever.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import (
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import Reason
from bot.jobs import ACTIVE, SETTLED, Job, JobStatus
from bot.store.leases import FREE
from bot.store.tables import Utc, generations, jobs
from bot.store.turns import (
    LAST_SUBMIT,
    by_last_turns,
    by_random_turns,
    by_turns,
    list_in_turn,
    list_jobs,
    listed,
    none_of,
    turns,
)

# Statements are built once, as in bot.store.jobs.
QUEUED, SUBMITTING, RUNNING = (
    jobs.c.status == status
    for status in (JobStatus.QUEUED, JobStatus.SUBMITTING, JobStatus.RUNNING)
)
NOW = bindparam("now", type_=Utc)
CONFIRMED = jobs.c.status_message_id.is_not(None)
DELIVERY_DUE = or_(jobs.c.deliver_after.is_(None), jobs.c.deliver_after <= NOW)
SUBMIT_DUE = or_(jobs.c.submit_after.is_(None), jobs.c.submit_after <= NOW)
UNDELIVERED = and_(jobs.c.status.in_(SETTLED), jobs.c.delivered_at.is_(None))
# A delivery comes after the settlement: the index on status and delivery finds the latter too.
RECENTLY_SETTLED = and_(
    jobs.c.settled_at > bindparam("settled_after", type_=Utc),
    or_(
        jobs.c.delivered_at.is_(None),
        jobs.c.delivered_at > bindparam("settled_after", type_=Utc),
    ),
)
# The result becomes a message of a channel; else it replaces the reply.
OF_MESSAGE = and_(jobs.c.reply_to_id.is_not(None), jobs.c.token_expires_at <= jobs.c.created_at)
SEEN_BY_OTHERS = or_(~jobs.c.private, OF_MESSAGE)
POSTED = and_(jobs.c.postable, SEEN_BY_OTHERS, jobs.c.status != JobStatus.CANCELED)
IN_CHANNEL = 2  # deliveries at once in one channel, or by replies to one member
BATCH = 25  # jobs of a list that the worker reads every two seconds

AT_PROVIDER = jobs.c.provider == bindparam("at_provider")
WITHOUT_INPUTS = by_last_turns(
    turns(QUEUED, CONFIRMED, SUBMIT_DUE, FREE, ~jobs.c.inputs_stored), *LAST_SUBMIT
)
EXPIRING_STATUSES = by_turns(
    # A cancel has no result that could come by another way.
    or_(jobs.c.status.in_(ACTIVE), and_(UNDELIVERED, jobs.c.status != JobStatus.CANCELED)),
    CONFIRMED,
    or_(jobs.c.private, ~jobs.c.postable),
    ~jobs.c.final_status_sent,
    jobs.c.token_expires_at <= bindparam("expires_before", type_=Utc),
    jobs.c.token_expires_at > NOW,
)
CANCEL_REQUESTS = by_turns(
    RUNNING,
    jobs.c.cancel_requested_at.is_not(None),
    or_(FREE, jobs.c.owner == bindparam("process", type_=String)),
    none_of(jobs.c.id, "known"),
)
_deliverable = (
    select(
        jobs.c.id,
        jobs.c.user_id,
        jobs.c.created_at,
        FREE.label("free"),
        func.row_number()
        .over(
            partition_by=(jobs.c.user_id, case((POSTED, jobs.c.channel_id), else_=0)),
            # Those that other processes deliver count first.
            order_by=(case((FREE, 1), else_=0), jobs.c.created_at),
        )
        .label("in_channel"),
    )
    .where(
        UNDELIVERED,
        DELIVERY_DUE,
        or_(~POSTED, none_of(jobs.c.channel_id, "closed")),
    )
    .subquery()
)
_turn_of_member = func.row_number().over(
    partition_by=_deliverable.c.user_id, order_by=_deliverable.c.created_at
)
DELIVERABLE = by_last_turns(
    select(_deliverable.c.id, _turn_of_member.label("turn"))
    .where(_deliverable.c.in_channel <= IN_CHANNEL, _deliverable.c.free)
    .subquery()
)
WAITING = by_turns(QUEUED, CONFIRMED, AT_PROVIDER, none_of(jobs.c.id, "known"))
STILL_WAITING = select(jobs).where(
    QUEUED, CONFIRMED, jobs.c.id.in_(bindparam("ids", expanding=True))
)
TRANSFERABLE = by_turns(
    QUEUED,
    CONFIRMED,
    AT_PROVIDER,
    jobs.c.model_auto,
    jobs.c.cancel_requested_at.is_(None),
    none_of(jobs.c.id, "known"),
)
WITH_OPEN_GENERATIONS = (
    select(jobs)
    .where(
        jobs.c.id > bindparam("after"),
        jobs.c.status.in_(SETTLED),
        RECENTLY_SETTLED,
        exists().where(generations.c.job_id == jobs.c.id, generations.c.state.is_(None)),
    )
    .order_by(jobs.c.id)
    .limit(bindparam("limit"))
)
UNKNOWN_OUTCOMES = by_random_turns(
    jobs.c.status == JobStatus.FAILED,
    RECENTLY_SETTLED,
    jobs.c.reason == Reason.DOUBTFUL,
    ~exists().where(generations.c.job_id == jobs.c.id),
)
RIVALS = select(jobs).where(
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
CREATED_BEFORE = jobs.c.created_at <= bindparam("created_before", type_=Utc)
UNCONFIRMED = by_random_turns(QUEUED, ~CONFIRMED, CREATED_BEFORE)
EXPIRED = by_turns(QUEUED, CONFIRMED, CREATED_BEFORE)
UNLEASED = by_turns(
    SUBMITTING,
    FREE,
    jobs.c.provider.in_(bindparam("providers", expanding=True)),
)
ORPHANED = by_turns(
    jobs.c.status.in_((JobStatus.SUBMITTING, JobStatus.RUNNING)),
    jobs.c.provider.not_in(bindparam("providers", expanding=True)),
    func.coalesce(jobs.c.running_at, jobs.c.submitted_at, jobs.c.created_at)
    <= bindparam("begun_before", type_=Utc),
)
ESTIMATED = by_random_turns(
    jobs.c.status == JobStatus.SUCCEEDED,
    jobs.c.estimated,
    RECENTLY_SETTLED,
    jobs.c.provider.in_(bindparam("providers", expanding=True)),
)


async def without_inputs(
    connection: AsyncConnection, now: datetime, *, limit: int, served: Collection[int] = ()
) -> list[Job]:
    """Return queued jobs whose input pictures are to be stored first.

    `served` are the members in the order of their last turns.
    """
    return await list_in_turn(connection, WITHOUT_INPUTS, served, limit, now=now)


async def expiring_statuses(
    connection: AsyncConnection, now: datetime, *, expires_before: datetime
) -> list[Job]:
    """Return undelivered jobs whose status message can be edited only until the token expires."""
    return await list_jobs(
        connection, EXPIRING_STATUSES, now=now, expires_before=expires_before, limit=BATCH
    )


async def waiting(
    connection: AsyncConnection, provider: str, *, known: Collection[str]
) -> list[Job]:
    """Return jobs queued for a provider that have a status message, but those of `known`."""
    return await list_jobs(
        connection, WAITING, at_provider=provider, known=listed(known), limit=BATCH
    )


async def still_waiting(connection: AsyncConnection, ids: Collection[str]) -> list[Job]:
    """Return those of a few jobs that are still queued."""
    return await list_jobs(connection, STILL_WAITING, ids=[*ids])


async def transferable(
    connection: AsyncConnection, provider: str, *, known: Collection[str]
) -> list[Job]:
    """Return jobs queued for a provider whose model Easel chose, but those of `known`."""
    return await list_jobs(
        connection, TRANSFERABLE, at_provider=provider, known=listed(known), limit=BATCH
    )


async def with_open_generations(
    connection: AsyncConnection, settled_after: datetime, *, after: str = ""
) -> list[Job]:
    """Return settled jobs with a generation whose end is not known, in the order of their ids.

    A list no longer than BATCH begins behind the id `after`: the next one begins behind its last.
    """
    return await list_jobs(
        connection, WITH_OPEN_GENERATIONS, settled_after=settled_after, after=after, limit=BATCH
    )


async def unknown_outcomes(connection: AsyncConnection, settled_after: datetime) -> list[Job]:
    """Return failed jobs whose request may have been executed; their generations are unknown."""
    return await list_jobs(connection, UNKNOWN_OUTCOMES, settled_after=settled_after, limit=BATCH)


async def cancel_requests(
    connection: AsyncConnection, process: str, now: datetime, *, known: Collection[str]
) -> list[Job]:
    """Return running jobs that their members want stopped, but those of `known`.

    Not those that another process polls.
    """
    values = {"process": process, "now": now, "known": listed(known)}
    return await list_jobs(connection, CANCEL_REQUESTS, **values, limit=BATCH)


async def rivals(connection: AsyncConnection, job: Job, window: timedelta) -> list[Job]:
    """Return other jobs that may have made the generations that this job is reconciled with.

    Their requests have an unknown outcome too, within `window` of this one's. Equal prompts
    suffice: the service decides which options and inputs it treats as equal.
    """
    return await list_jobs(
        connection,
        RIVALS,
        job_id=job.id,
        of_model=job.request.model,
        of_prompt=job.request.prompt,
        first=job.sent_at - window,
        last=job.sent_at + window,
    )


async def unconfirmed(connection: AsyncConnection, created_before: datetime) -> list[Job]:
    """Return queued jobs whose reply Discord neither confirmed nor refused."""
    return await list_jobs(connection, UNCONFIRMED, created_before=created_before, limit=BATCH)


async def expired(connection: AsyncConnection, created_before: datetime) -> list[Job]:
    """Return jobs that could not be submitted in time."""
    return await list_jobs(connection, EXPIRED, created_before=created_before, limit=BATCH)


async def unleased(
    connection: AsyncConnection, now: datetime, *, providers: Collection[str]
) -> list[Job]:
    """Return submitting jobs that no task works on: the outcome of their request is unknown."""
    return await list_jobs(connection, UNLEASED, now=now, providers=[*providers], limit=BATCH)


async def orphaned(
    connection: AsyncConnection, begun_before: datetime, *, providers: Collection[str]
) -> list[Job]:
    """Return jobs at a provider without a key, which nobody can poll."""
    return await list_jobs(
        connection,
        ORPHANED,
        begun_before=begun_before,
        providers=[*providers],
        limit=BATCH,
    )


async def estimated(
    connection: AsyncConnection, settled_after: datetime, *, providers: Collection[str]
) -> list[Job]:
    """Return jobs with an estimated cost that their provider may report by now."""
    return await list_jobs(
        connection,
        ESTIMATED,
        settled_after=settled_after,
        providers=[*providers],
        limit=BATCH,
    )


async def deliverable(
    connection: AsyncConnection,
    now: datetime,
    *,
    limit: int,
    served: Collection[int] = (),
    closed: Collection[int] = (),
    cut: bool = False,
) -> list[Job]:
    """Return settled jobs whose next delivery attempt is due, but none in the channels of `closed`.

    `served` are the members in the order of their last turns, `cut` is that of `list_in_turn`. Of
    one member's jobs in one channel, only as many as may be delivered at once.
    """
    return await list_in_turn(
        connection, DELIVERABLE, served, limit, cut=cut, now=now, closed=listed(closed)
    )


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
