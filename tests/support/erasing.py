"""Deletions of members' data, turn by turn."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.errors import Reason
from bot.jobs import Job
from bot.store import erasure_requests, jobs, settlement
from bot.worker.erasing import Eraser
from tests.support.parts import Served
from tests.support.pseudonyms import KEY
from tests.support.rows import NOW, add, new_job

ADA, BEN = 1, 2
MICROSECOND = timedelta(microseconds=1)


async def failed(
    made: Served, number: int, *, of: int = ADA, at: datetime = NOW, prompt: str = "a fox"
) -> list[Job]:
    """Store jobs that have failed and were delivered."""
    found = []
    async with made.database.transaction() as tx:
        for each in range(number):
            job = await add(tx, new_job(of, at=at + each * MICROSECOND, prompt=prompt))
            await settlement.fail(tx, job.id, at, reason=Reason.REJECTED)
            await jobs.mark_delivered(tx, job.id, at, message_id=1, channel_id=20, error=None)
            found.append(job)
    return found


async def request(
    made: Served, *, of: int = ADA, at: datetime | None = None, with_results: bool = False
) -> None:
    async with made.database.transaction() as tx:
        await erasure_requests.request(tx, of, at or made.clock.now, with_results=with_results)


async def turns(eraser: Eraser, number: int) -> list[float]:
    """Return the seconds that the task would sleep after each turn."""
    return [await eraser._turn(KEY) for _ in range(number)]


async def left(made: Served, found: Sequence[Job]) -> list[str]:
    """Return the jobs that are not erased."""
    stored = [await made.job(job) for job in found]
    return [each.id for each in stored if each.user_id > 0]


async def pending(made: Served) -> list[int]:
    async with made.database.reading() as view:
        return [each.user_id for each in await erasure_requests.pending(view)]
