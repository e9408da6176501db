"""The lineage of a job: the jobs that it was made from, and those that were made from it.

`jobs.source_job_id` names the parent. Statements are built once.
"""

from sqlalchemy import bindparam, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Job
from bot.store.job_rows import job_of
from bot.store.tables import jobs

MAX_ANCESTORS = 20

_first = select(jobs.c.source_job_id.label("id"), literal(1).label("distance")).where(
    jobs.c.id == bindparam("job")
)
_chain = _first.cte("chain", recursive=True)
# The bound ends the recursion, too, if rows that were edited by hand name each other.
_chain = _chain.union_all(
    select(jobs.c.source_job_id, _chain.c.distance + 1)
    .join(_chain, jobs.c.id == _chain.c.id)
    .where(_chain.c.distance < MAX_ANCESTORS)
)
ANCESTORS = (
    select(jobs)
    .join(_chain, jobs.c.id == _chain.c.id)
    .order_by(_chain.c.distance)
    .limit(MAX_ANCESTORS)
)
CHILDREN = (
    select(jobs)
    .where(jobs.c.source_job_id == bindparam("job"))
    .order_by(jobs.c.created_at.desc(), jobs.c.id)
    .limit(bindparam("limit"))
)


async def ancestors(connection: AsyncConnection, job_id: str) -> list[Job]:
    """Return the jobs that a job was made from, nearest first; at most MAX_ANCESTORS."""
    return [job_of(row) for row in await connection.execute(ANCESTORS, {"job": job_id})]


async def children(connection: AsyncConnection, job_id: str, limit: int) -> list[Job]:
    """Return the newest jobs that were made from a job, newest first."""
    rows = await connection.execute(CHILDREN, {"job": job_id, "limit": limit})
    return [job_of(row) for row in rows]
