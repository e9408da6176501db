"""Jobs whose charges without a picture may be reported late."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, exists
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Job, JobStatus
from bot.ledger import EntryKind
from bot.store.queue import BATCH
from bot.store.tables import Utc, generations, jobs, ledger
from bot.store.turns import by_turns, list_jobs, listed, none_of

WITHOUT_PICTURE = (JobStatus.FAILED, JobStatus.CANCELED)
UNREPORTED = by_turns(
    jobs.c.status.in_(WITHOUT_PICTURE),
    jobs.c.settled_at.between(
        bindparam("settled_after", type_=Utc), bindparam("settled_before", type_=Utc)
    ),
    exists().where(generations.c.job_id == jobs.c.id, generations.c.state.in_(WITHOUT_PICTURE)),
    ~exists().where(ledger.c.job_id == jobs.c.id, ledger.c.kind == EntryKind.LOSS),
    none_of(jobs.c.id, "known"),
)


async def unreported(
    connection: AsyncConnection,
    settled_after: datetime,
    settled_before: datetime,
    *,
    known: Collection[str],
) -> list[Job]:
    """Return jobs that ended without a picture and without a loss, but those of `known`."""
    return await list_jobs(
        connection,
        UNREPORTED,
        settled_after=settled_after,
        settled_before=settled_before,
        known=listed(known),
        limit=BATCH,
    )
