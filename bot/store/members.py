"""The jobs of one member, as the studio lists and counts them. Statements are built once."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import ACTIVE, SETTLED, Job
from bot.store.identities import ids_of, of_member
from bot.store.job_rows import job_of
from bot.store.tables import Utc, jobs

OF_MEMBER = select(jobs).where(jobs.c.user_id == bindparam("user"))
ACTIVE_OF = (
    OF_MEMBER.where(jobs.c.status.in_(ACTIVE)).order_by(jobs.c.created_at).limit(bindparam("limit"))
)
INPUTS_SINCE = select(
    func.coalesce(func.sum(jobs.c.input_bytes), 0).label("total"),
    func.min(jobs.c.created_at).label("first"),
).where(
    of_member(jobs.c.user_id),
    jobs.c.created_at > bindparam("since", type_=Utc),
    jobs.c.input_bytes > 0,  # also of erased jobs, whose inputs are blank
)
RECENT_OF = OF_MEMBER.order_by(jobs.c.created_at.desc()).limit(bindparam("limit"))
ENDED_OF = RECENT_OF.where(jobs.c.status.in_(SETTLED))


class InputBytes(NamedTuple):
    """The size of input pictures, and the time of the oldest request with some of known size."""

    total: int
    first: datetime | None


async def active_of(connection: AsyncConnection, user_id: int, limit: int) -> list[Job]:
    """Return a member's jobs that are not settled, oldest first."""
    rows = await connection.execute(ACTIVE_OF, {"user": user_id, "limit": limit})
    return [job_of(row) for row in rows]


async def recent_of(connection: AsyncConnection, user_id: int, limit: int) -> list[Job]:
    """Return a member's newest jobs, newest first."""
    rows = await connection.execute(RECENT_OF, {"user": user_id, "limit": limit})
    return [job_of(row) for row in rows]


async def ended_of(connection: AsyncConnection, user_id: int, limit: int) -> list[Job]:
    """Return a member's newest settled jobs, newest first."""
    rows = await connection.execute(ENDED_OF, {"user": user_id, "limit": limit})
    return [job_of(row) for row in rows]


async def input_bytes_since(
    connection: AsyncConnection, user_id: int, since: datetime
) -> InputBytes:
    """Return the size of a member's input pictures, of jobs with any end.

    A picture whose size Discord did not report counts as soon as it is stored.
    """
    values = {**ids_of(connection, user_id), "since": since}
    row = (await connection.execute(INPUTS_SINCE, values)).one()
    return InputBytes(int(row.total), row.first)
