"""The queries by which the worker watches running jobs: after a start, all of them at once."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Job
from bot.store.leases import FREE
from bot.store.queue import RUNNING
from bot.store.tables import jobs
from bot.store.turns import list_jobs, listed, none_of

# Of a page: the event loop turns its rows into values for about 10 ms. No turns of the members: the
# next page follows at once.
PAGE = 200

COUNT = select(func.count()).select_from(jobs).where(RUNNING)
UNWATCHED = select(jobs).where(RUNNING, FREE, none_of(jobs.c.id, "known")).limit(bindparam("limit"))


async def count(connection: AsyncConnection) -> int:
    """Return the number of running jobs."""
    return int((await connection.execute(COUNT)).scalar_one())


async def unwatched(
    connection: AsyncConnection, now: datetime, *, known: Collection[str]
) -> list[Job]:
    """Return a page of running jobs without a lease, but those of `known`."""
    return await list_jobs(connection, UNWATCHED, now=now, known=listed(known), limit=PAGE)
