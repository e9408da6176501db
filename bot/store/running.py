"""The queries by which the worker watches running jobs: after a start, all of them at once."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Generation, Job
from bot.store.generations import generation_of
from bot.store.leases import FREE
from bot.store.queue import RUNNING
from bot.store.tables import generations, jobs
from bot.store.turns import list_jobs, listed, none_of, some_of

# Of a page: the event loop turns its rows into values for about 10 ms. No turns of the members: the
# next page follows at once.
PAGE = 200

UNWATCHED = select(jobs).where(RUNNING, FREE, none_of(jobs.c.id, "known")).limit(bindparam("limit"))
STILL_RUNNING = select(jobs).where(RUNNING, some_of(jobs.c.id, "ids"))
GENERATIONS = (
    select(generations).where(some_of(generations.c.job_id, "ids")).order_by(generations.c.id)
)


async def unwatched(
    connection: AsyncConnection, now: datetime, *, known: Collection[str]
) -> list[Job]:
    """Return a page of running jobs without a lease, but those of `known`."""
    return await list_jobs(connection, UNWATCHED, now=now, known=listed(known), limit=PAGE)


async def still_running(
    connection: AsyncConnection, ids: Sequence[str]
) -> list[tuple[Job, list[Generation]]]:
    """Return those of a few jobs that are running, each with its generations."""
    values = {"ids": listed(ids)}
    found = {
        job.id: (job, list[Generation]())
        for job in await list_jobs(connection, STILL_RUNNING, **values)
    }
    for row in await connection.execute(GENERATIONS, values):
        if row.job_id in found:
            found[row.job_id][1].append(generation_of(row))
    return [*found.values()]
