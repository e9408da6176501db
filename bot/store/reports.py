"""Reports for a server's managers: sums by member, model and day, and jobs with their costs.

A report reads the server's entries of its period by an index. The holds of settled jobs are left
out, because each adds up to nothing with its release: what is held is the price of active jobs.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import ACTIVE, Job
from bot.ledger import EntryKind
from bot.periods import Period
from bot.store.job_rows import job_of
from bot.store.ledger import OF_PERIOD, OF_REQUEST
from bot.store.tables import Utc, jobs, ledger

PAGE = 500  # lines that are read at once
REFUND = "refund"  # the reason of a grant with the id of a job
CHARGES = (EntryKind.CAPTURE, EntryKind.ADJUSTMENT)
MOVES = (*CHARGES, EntryKind.LOSS, EntryKind.GRANT)

# Statements are built once, as in bot.store.jobs.
_here = ledger.c.server_id == bindparam("server")


def _sum(*kinds: EntryKind) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((ledger.c.kind.in_(kinds), ledger.c.amount))), 0)


_sums = (
    _sum(*CHARGES).label("used"),
    _sum(EntryKind.LOSS).label("lost"),
    _sum(EntryKind.GRANT).label("granted"),
)
BY_MEMBER = (
    select(ledger.c.user_id, *_sums)
    .where(_here, OF_PERIOD, ledger.c.kind.in_(MOVES))
    .group_by(ledger.c.user_id)
)
BY_MODEL = (
    select(jobs.c.model, *_sums)
    .select_from(ledger.outerjoin(jobs, jobs.c.id == ledger.c.job_id))
    .where(_here, OF_PERIOD, ledger.c.kind.in_(MOVES))
    .group_by(jobs.c.model)
)
HELD = select(jobs.c.user_id, jobs.c.model, jobs.c.price, jobs.c.created_at).where(
    jobs.c.status.in_(ACTIVE),
    jobs.c.account_server_id == bindparam("server"),
    jobs.c.created_at >= bindparam("begin", type_=Utc),
    jobs.c.created_at < bindparam("end", type_=Utc),
)
_of_job = ledger.alias()
_lost = (
    select(func.coalesce(func.sum(_of_job.c.amount), 0))
    .where(_of_job.c.job_id == ledger.c.job_id, _of_job.c.kind == EntryKind.LOSS)
    .scalar_subquery()
)
LINES = (
    select(
        *(ledger.c.id, ledger.c.kind, ledger.c.user_id, ledger.c.job_id, ledger.c.amount),
        ledger.c.reason,
        *(ledger.c.counted_at, jobs.c.model, jobs.c.status, jobs.c.private, jobs.c.hidden_at),
        *(jobs.c.price, jobs.c.cost, _lost.label("lost")),
    )
    .select_from(ledger.outerjoin(jobs, jobs.c.id == ledger.c.job_id))
    .where(
        _here,
        ledger.c.counted_at >= bindparam("begin", type_=Utc),
        ledger.c.counted_at <= bindparam("last_at", type_=Utc),
        # After the last line of the page before.
        or_(
            ledger.c.counted_at < bindparam("last_at", type_=Utc),
            ledger.c.id < bindparam("last_id"),
        ),
        or_(ledger.c.kind == EntryKind.GRANT, OF_REQUEST),
    )
    .order_by(ledger.c.counted_at.desc(), ledger.c.id.desc())
    .limit(bindparam("limit"))
)
_refunds = ledger.alias()
REFUNDED = exists().where(
    _refunds.c.job_id == jobs.c.id,
    _refunds.c.kind == EntryKind.GRANT,
    _refunds.c.reason == REFUND,
)
IS_REFUNDED = select(REFUNDED).select_from(jobs).where(jobs.c.id == bindparam("job"))
CHARGED = (
    select(jobs)
    .join(ledger, and_(ledger.c.job_id == jobs.c.id, ledger.c.kind.in_(CHARGES)))
    .where(_here, jobs.c.cost > 0, ~REFUNDED)
    .order_by(ledger.c.counted_at.desc())
    .limit(bindparam("limit"))
)
OF_MEMBER = (
    select(jobs)
    .where(jobs.c.user_id == bindparam("user"), jobs.c.account_server_id == bindparam("server"))
    .order_by(jobs.c.created_at.desc())
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True)
class Sums:
    """Amounts in thousandths of a credit. `lost` are charges that no member owes."""

    used: int = 0
    held: int = 0
    lost: int = 0
    granted: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.used + other.used,
            self.held + other.held,
            self.lost + other.lost,
            self.granted + other.granted,
        )


@dataclass(frozen=True, slots=True)
class HeldPrice:
    """The price of an active job."""

    user_id: int
    model: str
    amount: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A job, or a grant, of which `job_id` is that of a refund. Model and status are the job's."""

    user_id: int
    at: datetime
    sums: Sums
    job_id: str | None = None
    model: str | None = None
    status: str | None = None
    private: bool = False  # or hidden: only the requester sees the job
    reason: str = ""


async def by_member(
    connection: AsyncConnection, server_id: int, period: Period
) -> list[tuple[int, Sums]]:
    """Return the sums of each account of a server; user 0 has the losses."""
    values = {"server": server_id, **period._asdict()}
    rows = await connection.execute(BY_MEMBER, values)
    return [(user_id, _sums_of(*row)) for user_id, *row in rows]


async def by_model(
    connection: AsyncConnection, server_id: int, period: Period
) -> list[tuple[str | None, Sums]]:
    """Return the sums of each model in a server; None has the grants without a job."""
    values = {"server": server_id, **period._asdict()}
    rows = await connection.execute(BY_MODEL, values)
    return [(model, _sums_of(*row)) for model, *row in rows]


async def held(connection: AsyncConnection, server_id: int, period: Period) -> list[HeldPrice]:
    """Return the prices of a server's active jobs that were requested in a period."""
    values = {"server": server_id, **period._asdict()}
    return [HeldPrice(*row) for row in await connection.execute(HELD, values)]


async def lines(
    connection: AsyncConnection, server_id: int, period: Period, limit: int
) -> AsyncIterator[Line]:
    """Yield a server's jobs and grants of a period, newest first, at most `limit`.

    They are read in pages, so that other work of the event loop goes on between.
    """
    last_at, last_id = period.end, 0
    while limit > 0:
        values = {
            "server": server_id,
            "begin": period.begin,
            "last_at": last_at,
            "last_id": last_id,
            "limit": min(limit, PAGE),
        }
        rows = (await connection.execute(LINES, values)).all()
        for row in rows:
            yield _line_of(row)
        if len(rows) < min(limit, PAGE):
            return
        limit -= len(rows)
        last_at, last_id = rows[-1].counted_at, rows[-1].id


def _line_of(row: Any) -> Line:  # noqa: ANN401  # a row of LINES
    is_grant = row.kind == EntryKind.GRANT
    if is_grant:
        sums = Sums(granted=row.amount)
    else:
        held = row.price if row.status in ACTIVE else 0
        sums = Sums(row.cost or 0, held, -int(row.lost))
    return Line(
        row.user_id,
        row.counted_at,
        sums,
        job_id=row.job_id,
        model=None if is_grant else row.model,
        status=None if is_grant else row.status,
        private=bool(row.private or row.hidden_at),
        reason=row.reason,
    )


async def is_refunded(connection: AsyncConnection, job_id: str) -> bool:
    return bool((await connection.execute(IS_REFUNDED, {"job": job_id})).scalar())


async def charged(connection: AsyncConnection, server_id: int, limit: int) -> list[Job]:
    """Return the newest jobs of a server that were charged and not refunded, newest first."""
    rows = await connection.execute(CHARGED, {"server": server_id, "limit": limit})
    return list({row.id: job_of(row) for row in rows}.values())


async def jobs_of(
    connection: AsyncConnection, server_id: int, user_id: int, limit: int
) -> Sequence[Job]:
    """Return a member's newest jobs in a server, newest first."""
    values = {"server": server_id, "user": user_id, "limit": limit}
    return [job_of(row) for row in await connection.execute(OF_MEMBER, values)]


def _sums_of(used: int, lost: int, granted: int) -> Sums:
    return Sums(used=-int(used), lost=-int(lost), granted=int(granted))
