"""Jobs of members, for tests of what a deletion erases."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from bot.jobs import Attachment, Job, JobStatus, Picture
from bot.store import (
    erasure_requests,
    generations,
    jobs,
    pictures,
    settlement,
)
from bot.store.database import Database
from bot.store.erasure_requests import Erasure
from bot.store.pictures import Role
from tests.support.books import picture
from tests.support.rows import NOW, add, new_job

ADA, BEN, HIDDEN = 1, 2, -5
MINUTE = timedelta(minutes=1)
UNTIL = NOW + 60 * MINUTE
LATER = UNTIL + MINUTE
LONG_AFTER = NOW + timedelta(days=3)
A_DAY = timedelta(hours=25)  # for which open generations, and unknown outcomes, are looked for


async def asked(database: Database, user_id: int = ADA) -> Erasure:
    async with database.transaction() as tx:
        return await erasure_requests.request(tx, user_id, UNTIL, with_results=False)


async def drawn(
    database: Database,
    user_id: int = ADA,
    *,
    at: datetime = NOW,
    outputs: Sequence[Picture] = (),
    inputs: Sequence[Picture] = (),
    authors: Sequence[int | None] = (),
    is_running: bool = False,
    is_delivered: bool = True,
    end: JobStatus | None = JobStatus.SUCCEEDED,
    **columns: Any,  # noqa: ANN401  # of a new job
) -> Job:
    """Store a job of one generation, that was settled when it was requested."""
    outputs = outputs or [picture(int(at.timestamp()) + 100 * user_id)]
    attached = tuple(
        Attachment(f"{each.size}.png", "https://cdn.example/a.png", 9, 1, 1, sha256=each.sha256)
        for each in inputs
    )
    async with database.transaction() as tx:
        job = await add(tx, replace(new_job(user_id, at=at), inputs=attached, **columns))
        if inputs:
            await pictures.attach(tx, job.id, Role.INPUT, inputs, at, authors=authors)
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=at)
        running = await jobs.start_running(tx, job.id, at)
        (made,) = await generations.add(tx, job.id, "oxen", [f"remote-{job.id}"])
        if is_running:
            return running
        ends = {made.id: end} if end else {}
        job = await settlement.succeed(tx, running, at, cost=None, pictures=outputs, ends=ends)
        if is_delivered:
            await jobs.mark_delivered(tx, job.id, at, message_id=made.id, channel_id=20, error=None)
        return await jobs.get(tx, job.id) or job


async def values(database: Database, *columns: Any) -> set[Any]:  # noqa: ANN401
    """Return the different values of a column, or of several as tuples."""
    async with database.reading() as view:
        rows = (await view.execute(select(*columns))).all()
    return {row[0] if len(columns) == 1 else tuple(row) for row in rows}
