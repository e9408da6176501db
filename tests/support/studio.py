"""Jobs of each status for tests of the use cases, stored without a worker."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.errors import Reason
from bot.jobs import Attachment, Job, JobStatus, NewJob, Picture, PictureKind
from bot.ledger import Cost
from bot.pictures import FileStore
from bot.quotas import Member
from bot.rights import Subject
from bot.services import Services
from bot.store import jobs, settlement
from bot.store.database import Database
from bot.studio.results import Remix
from tests.support.files import picture
from tests.support.rows import add, new_job

MINUTE = timedelta(minutes=1)
ADA, BEN = Member(1, server_id=10), Member(2, server_id=10)
MODERATOR = replace(BEN, may_moderate=True)
MANAGER = Member(9, server_id=10, may_manage=True)
DEFAULT = (Subject.DEFAULT, "")  # the rights of everybody
NOBODY = "a" * 16  # the id of no job
CAT = Attachment("cat.png", "https://cdn.discordapp.com/cat.png", 5, 6, 7, copied=True)
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


async def on_disk(services: Services) -> Picture:
    return await services.pictures.store(picture())


def remove(services: Services, stored: Picture) -> None:
    assert isinstance(services.pictures, FileStore)
    services.pictures.path(stored).unlink()


def remix(**values: Any) -> Remix:  # noqa: ANN401  # the fields of a form
    """Return a form in which nothing was changed, of a job with the usual options."""
    usual: dict[str, Any] = {
        "prompt": "a hare",
        "negative_prompt": None,
        "shape": None,
        "count": 1,
        "new_seed": False,
        "expand": True,
    }
    return Remix(**{**usual, **values})
