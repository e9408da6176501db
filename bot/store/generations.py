"""Every query on generations: the pieces of work at providers, and the jobs they belong to."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Generation, Job, JobStatus
from bot.store.tables import generations, jobs
from bot.store.turns import list_jobs, listed, some_of

ADD = insert(generations).returning(*generations.c, sort_by_parameter_order=True)

# Without the status, for which SQLite would read all running jobs.
JOBS = select(jobs).where(some_of(jobs.c.id, "ids"))
OF_JOBS = select(generations).where(some_of(generations.c.job_id, "ids")).order_by(generations.c.id)


async def add(
    tx: AsyncConnection, job_id: str, provider: str, remote_ids: Iterable[str]
) -> list[Generation]:
    rows = [
        {"job_id": job_id, "provider": provider, "remote_id": remote_id} for remote_id in remote_ids
    ]
    return [_generation(row) for row in await tx.execute(ADD, rows)]


async def of_job(connection: AsyncConnection, job_id: str) -> list[Generation]:
    statement = select(generations).where(generations.c.job_id == job_id).order_by(generations.c.id)
    return [_generation(row) for row in await connection.execute(statement)]


async def of_running(
    connection: AsyncConnection, ids: Sequence[str]
) -> list[tuple[Job, list[Generation]]]:
    """Return those of a few jobs that are running, each with its generations."""
    values = {"ids": listed(ids)}
    found = {
        job.id: (job, list[Generation]())
        for job in await list_jobs(connection, JOBS, **values)
        if job.status is JobStatus.RUNNING
    }
    for row in await connection.execute(OF_JOBS, values):
        if row.job_id in found:
            found[row.job_id][1].append(_generation(row))
    return [*found.values()]


async def end(tx: AsyncConnection, generation_id: int, state: JobStatus) -> None:
    await tx.execute(
        update(generations).where(generations.c.id == generation_id).values(state=state)
    )


async def owned(
    connection: AsyncConnection, provider: str, remote_ids: Sequence[str]
) -> frozenset[str]:
    """Return those of the remote ids that belong to a job already."""
    statement = select(generations.c.remote_id).where(
        generations.c.provider == provider, generations.c.remote_id.in_(remote_ids)
    )
    return frozenset((await connection.execute(statement)).scalars())


def _generation(row: Row[Any]) -> Generation:
    return Generation(
        id=row.id,
        job_id=row.job_id,
        remote_id=row.remote_id,
        state=JobStatus(row.state) if row.state else None,
    )
