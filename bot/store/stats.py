"""Figures over many rows: for the operator's metrics, and for the prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import SETTLED, JobStatus
from bot.ledger import EntryKind
from bot.periods import month_of
from bot.store.ledger import OF_PERIOD
from bot.store.pictures import Role
from bot.store.queue import QUEUED, UNDELIVERED
from bot.store.tables import Utc, job_pictures, jobs, ledger


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

_pictures = (
    select(func.count())
    .where(job_pictures.c.job_id == jobs.c.id, job_pictures.c.role == Role.OUTPUT)
    .scalar_subquery()
)
REPORTED_COSTS = (
    select(jobs.c.cost, _pictures.label("pictures"))
    .where(
        jobs.c.model == bindparam("of_model"),
        jobs.c.settled_at > bindparam("since", type_=Utc),
        jobs.c.status == JobStatus.SUCCEEDED,
        ~jobs.c.estimated,
    )
    .order_by(jobs.c.settled_at.desc())
    .limit(bindparam("limit"))
)


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


async def dearest_picture(
    connection: AsyncConnection, model: str, since: datetime, *, limit: int
) -> int:
    """Return the highest reported cost of one picture, rounded up, in thousandths of a credit.

    Of the newest `limit` jobs of the model; 0 if none has a reported cost since then.
    """
    values = {"of_model": model, "since": since, "limit": limit}
    rows = await connection.execute(REPORTED_COSTS, values)
    return max((-(-row.cost // max(row.pictures, 1)) for row in rows), default=0)
