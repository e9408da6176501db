"""Jobs of each status for tests of the use cases, stored without a worker."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta

from bot.errors import Reason
from bot.jobs import Job, JobStatus, NewJob, Picture, PictureKind
from bot.ledger import Cost
from bot.store import jobs, settlement
from bot.store.database import Database
from tests.support.rows import add, new_job

MINUTE = timedelta(minutes=1)
CHANNEL = 20  # that of `new_job`
RESULT = 50  # the message of `posted`


def made(*names: str) -> list[Picture]:
    """Return pictures with different bytes, which no store has."""
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    return [Picture(sha256, PictureKind.PNG, 1000, 48, 32) for sha256 in hashes]


async def running(database: Database, new: NewJob | None = None) -> Job:
    new = new or new_job()
    async with database.transaction() as tx:
        job = await add(tx, new)
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=new.created_at)
        return await jobs.start_running(tx, job.id, new.created_at)


async def failed(database: Database, new: NewJob | None = None) -> Job:
    job = await running(database, new)
    async with database.transaction() as tx:
        now = job.created_at + MINUTE
        return await settlement.fail(tx, job.id, now, reason=Reason.REJECTED)


async def succeeded(
    database: Database,
    new: NewJob | None = None,
    *,
    outputs: Iterable[Picture] = (),
    cost: int | None = None,
    expanded_prompt: str | None = None,
) -> Job:
    """Store a job with pictures; without `outputs`, with one of its own."""
    job = await running(database, new)
    pictures: Sequence[Picture] = [*outputs] or made(job.id)
    async with database.transaction() as tx:
        return await settlement.succeed(
            tx,
            job,
            job.created_at + MINUTE,
            cost=None if cost is None else Cost(cost),
            pictures=pictures,
            ends={},
            expanded_prompt=expanded_prompt,
        )


async def posted(
    database: Database,
    new: NewJob | None = None,
    *,
    outputs: Iterable[Picture] = (),
    message_id: int = RESULT,
    expanded_prompt: str | None = None,
) -> Job:
    """Store a job whose result is shown by a message in its channel."""
    job = await succeeded(database, new, outputs=outputs, expanded_prompt=expanded_prompt)
    async with database.transaction() as tx:
        await jobs.mark_delivered(
            *(tx, job.id, job.created_at + 2 * MINUTE),
            message_id=message_id,
            channel_id=job.route.channel_id,
            error=None,
        )
    return await stored(database, job.id)


async def stored(database: Database, job_id: str) -> Job:
    async with database.reading() as view:
        job = await jobs.get(view, job_id)
    assert job is not None
    return job
