"""Sums over the rows for the operator's metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import SETTLED, JobStatus
from bot.ledger import EntryKind, month_of
from bot.store.ledger import OF_PERIOD
from bot.store.queue import QUEUED, UNDELIVERED
from bot.store.tables import jobs, ledger


@dataclass(frozen=True, slots=True)
class Figures:
    """Amounts are thousandths of a credit; the times are None if no job is in that state."""

    jobs: Mapping[tuple[JobStatus, str], int]  # by status and model
    oldest_queued: datetime | None  # the time of its request
    oldest_undelivered: datetime | None  # the time of its settlement
    held: int  # of jobs of this month that are not settled
    captured: int  # this month, with corrections
    lost: int  # this month, charged for failed jobs and unknown outcomes
    settled: Mapping[str, int]  # cost of all jobs ever, by model


COUNTS = select(
    jobs.c.status, jobs.c.model, func.count().label("number"), func.sum(jobs.c.cost).label("cost")
).group_by(jobs.c.status, jobs.c.model)
OLDEST = select(
    select(func.min(jobs.c.created_at)).where(QUEUED).scalar_subquery().label("queued"),
    select(func.min(jobs.c.settled_at)).where(UNDELIVERED).scalar_subquery().label("undelivered"),
)
HELD = ledger.c.kind.in_((EntryKind.HOLD, EntryKind.RELEASE))
LOST = ledger.c.kind == EntryKind.LOSS
CAPTURED = ledger.c.kind.in_((EntryKind.CAPTURE, EntryKind.ADJUSTMENT))
SUMS = select(
    func.coalesce(func.sum(case((HELD, ledger.c.amount))), 0).label("held"),
    func.coalesce(func.sum(case((CAPTURED, ledger.c.amount))), 0).label("captured"),
    func.coalesce(func.sum(case((LOST, ledger.c.amount))), 0).label("lost"),
).where(OF_PERIOD)


async def figures_of(connection: AsyncConnection, now: datetime) -> Figures:
    """Return the figures of one moment; `now` decides the month."""
    counts = (await connection.execute(COUNTS)).all()
    oldest = (await connection.execute(OLDEST)).one()
    sums = (await connection.execute(SUMS, month_of(now)._asdict())).one()
    settled: dict[str, int] = {}
    for row in counts:
        if row.status in SETTLED:
            settled[row.model] = settled.get(row.model, 0) + int(row.cost or 0)
    return Figures(
        jobs={(JobStatus(row.status), row.model): row.number for row in counts},
        oldest_queued=oldest.queued,
        oldest_undelivered=oldest.undelivered,
        held=-int(sums.held),
        captured=-int(sums.captured),
        lost=-int(sums.lost),
        settled=settled,
    )
