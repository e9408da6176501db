"""Queries about waits: the first jobs of a queue, and the times that jobs of a model took."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Job, JobStatus
from bot.store.queue import AT_PROVIDER, BATCH, CONFIRMED, QUEUED, SUBMIT_DUE
from bot.store.tables import Utc, jobs
from bot.store.turns import LAST_SUBMIT, by_random_turns, list_jobs, listed, none_of

# Those that wait for a retry, or for their inputs, come after those that can be claimed now.
_due = case((and_(SUBMIT_DUE, jobs.c.inputs_stored), 0), else_=1)
_line = (
    select(
        jobs.c.id,
        _due.label("due"),
        func.row_number()
        .over(partition_by=jobs.c.user_id, order_by=(_due, jobs.c.created_at, jobs.c.id))
        .label("turn"),
        func.min(jobs.c.created_at).over(partition_by=jobs.c.user_id).label("first"),
    )
    .where(
        QUEUED,
        CONFIRMED,
        AT_PROVIDER,
        jobs.c.cancel_requested_at.is_(None),
        jobs.c.created_at > bindparam("created_after", type_=Utc),
    )
    .subquery()
)
MIXED = 4  # times as many rows are read as are wanted of one number of pictures
# After a claim, a member is the one who was served last: so all turns have the order of the first.
FIRST_IN_LINE = (
    select(jobs)
    .join(_line, _line.c.id == jobs.c.id)
    .where(_line.c.turn <= bindparam("limit"))
    .order_by(_line.c.due, _line.c.turn, *LAST_SUBMIT, _line.c.first, jobs.c.created_at, jobs.c.id)
    .limit(bindparam("limit"))
)
WAITING_BEHIND = by_random_turns(
    QUEUED, CONFIRMED, AT_PROVIDER, ~jobs.c.final_status_sent, none_of(jobs.c.id, "known")
)
TIMES = (
    select(jobs.c.running_at, jobs.c.settled_at, jobs.c.options)
    .where(
        jobs.c.model == bindparam("of_model"),
        jobs.c.settled_at > bindparam("since", type_=Utc),
        jobs.c.status == JobStatus.SUCCEEDED,
        jobs.c.running_at.is_not(None),
        jobs.c.overdue_at.is_(None),
    )
    .order_by(jobs.c.settled_at.desc())
    .limit(bindparam("limit"))
)


# Of all numbers of pictures: few models are asked for several at once.
DURATIONS = (
    select(jobs.c.generation_ms, jobs.c.options)
    .where(jobs.c.model == bindparam("of_model"), jobs.c.generation_ms.is_not(None))
    .order_by(jobs.c.settled_at.desc())
    .limit(bindparam("limit"))
)


class Drawn(NamedTuple):
    """The time of a job from `running` to its settlement, and the number of its pictures."""

    time: timedelta
    pictures: int


async def first_in_line(
    connection: AsyncConnection,
    provider: str,
    now: datetime,
    *,
    created_after: datetime,
    limit: int,
) -> list[Job]:
    """Return the first jobs queued for a provider, in the order in which they will be claimed.

    Jobs created before `created_after` have expired.
    """
    values = {"at_provider": provider, "now": now, "created_after": created_after}
    return await list_jobs(connection, FIRST_IN_LINE, **values, limit=limit)


async def waiting_behind(
    connection: AsyncConnection, provider: str, *, known: set[str]
) -> list[Job]:
    """Return a batch of the jobs queued for a provider, but those of `known`."""
    return await list_jobs(
        connection, WAITING_BEHIND, at_provider=provider, known=listed(known), limit=BATCH
    )


async def recent_times(
    connection: AsyncConnection, model: str, since: datetime, *, limit: int
) -> list[Drawn]:
    """Return the times of a model's newest successes, without overdue ones."""
    rows = await connection.execute(TIMES, {"of_model": model, "since": since, "limit": limit})
    return [
        Drawn(row.settled_at - row.running_at, int(row.options.get("count", 1))) for row in rows
    ]


async def durations(
    connection: AsyncConnection, model: str, pictures: int, *, limit: int
) -> list[float]:
    """Return the seconds that a model's newest generations of so many pictures took."""
    values = {"of_model": model, "limit": MIXED * limit}
    rows = await connection.execute(DURATIONS, values)
    found = [row for row in rows if int(row.options.get("count", 1)) == pictures]
    return [row.generation_ms / 1000 for row in found[:limit]]
