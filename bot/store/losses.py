"""Jobs whose charges without a picture may be reported late."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import SETTLED, Job, JobStatus
from bot.store.queue import BATCH
from bot.store.tables import LOSS, Utc, generations, jobs, ledger
from bot.store.turns import by_turns, list_jobs, listed, none_of

WITHOUT_PICTURE = (JobStatus.FAILED, JobStatus.CANCELED)
_IS_LOSS = ledger.c.kind == LOSS
RECORDED = select(ledger.c.reason).where(ledger.c.job_id == bindparam("job_id"), _IS_LOSS)
UNREPORTED = by_turns(
    jobs.c.status.in_(SETTLED),
    jobs.c.settled_at.between(
        bindparam("settled_after", type_=Utc), bindparam("settled_before", type_=Utc)
    ),
    exists().where(
        generations.c.job_id == jobs.c.id,
        generations.c.state.in_(WITHOUT_PICTURE),
        ~exists().where(
            ledger.c.job_id == jobs.c.id, _IS_LOSS, ledger.c.reason == generations.c.remote_id
        ),
    ),
    none_of(jobs.c.id, "known"),
)


async def unreported(
    connection: AsyncConnection,
    settled_after: datetime,
    settled_before: datetime,
    *,
    known: Collection[str],
) -> list[Job]:
    """Return settled jobs with a generation that has neither a picture nor a loss.

    Without the jobs of `known`.
    """
    return await list_jobs(
        connection,
        UNREPORTED,
        settled_after=settled_after,
        settled_before=settled_before,
        known=listed(known),
        limit=BATCH,
    )


async def recorded(connection: AsyncConnection, job_id: str) -> set[str]:
    """Return the reasons of a job's losses: the remote ids of the generations that were charged."""
    return set((await connection.execute(RECORDED, {"job_id": job_id})).scalars())
