"""Reports for a server's managers: sums by member, model and day, and jobs with their costs.

Used credits are the costs of the server's jobs, each the sum of the job's captures and adjustments
(bot.store.audit.money), and the adjustments without a job. Holds and releases are left out: held
credits are the prices of active jobs. Sums are read from indexes alone, because a
server may have a million entries in a month.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import ACTIVE, Job
from bot.ledger import EntryKind
from bot.periods import Period
from bot.store.balances import OWN_JOBS
from bot.store.job_rows import job_of
from bot.store.ledger import OF_PERIOD, OF_REQUEST
from bot.store.tables import BESIDE_COSTS, Utc, jobs, ledger

PAGE = 500  # lines that are read at once
REFUND = "refund"  # the reason of a grant with the id of a job
CHARGES = (EntryKind.CAPTURE, EntryKind.ADJUSTMENT)

# Statements are built once, as in bot.store.jobs.
_here = ledger.c.server_id == bindparam("server")


def _sum(*kinds: EntryKind) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((ledger.c.kind.in_(kinds), ledger.c.amount))), 0)


_own_server = jobs.c.account_server_id == bindparam("server")
_requested = and_(
    jobs.c.created_at >= bindparam("begin", type_=Utc),
    jobs.c.created_at < bindparam("end", type_=Utc),
)
_costs = select(func.sum(jobs.c.cost)).where(_own_server, _requested, jobs.c.cost != 0)
COSTS_BY_MEMBER = _costs.add_columns(jobs.c.user_id).group_by(jobs.c.user_id)
COSTS_BY_MODEL = _costs.add_columns(jobs.c.model).group_by(jobs.c.model)
_beside_costs = select(
    _sum(EntryKind.ADJUSTMENT).label("used"),
    _sum(EntryKind.LOSS).label("lost"),
    _sum(EntryKind.GRANT).label("granted"),
).where(
    _here,
    OF_PERIOD,
    BESIDE_COSTS,
    # The adjustments of a job are in its cost.
    or_(ledger.c.kind != EntryKind.ADJUSTMENT, ledger.c.job_id.is_(None)),
)
BESIDE_BY_MEMBER = _beside_costs.add_columns(ledger.c.user_id).group_by(ledger.c.user_id)
BESIDE_BY_MODEL = (
    _beside_costs.add_columns(jobs.c.model)
    .select_from(ledger.outerjoin(jobs, jobs.c.id == ledger.c.job_id))
    .group_by(jobs.c.model)
)
HELD = select(jobs.c.user_id, jobs.c.model, jobs.c.price, jobs.c.created_at).where(
    jobs.c.status.in_(ACTIVE), OWN_JOBS, _requested
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
    .where(jobs.c.user_id == bindparam("user"), OWN_JOBS)
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
) -> Mapping[int, Sums]:
    """Return the sums of each account of a server; user 0 has the losses."""
    statements = (COSTS_BY_MEMBER, BESIDE_BY_MEMBER)
    return await _sums_of(connection, statements, server_id, period)


async def by_model(
    connection: AsyncConnection, server_id: int, period: Period
) -> Mapping[str | None, Sums]:
    """Return the sums of each model in a server; None has the entries without a job."""
    statements = (COSTS_BY_MODEL, BESIDE_BY_MODEL)
    return await _sums_of(connection, statements, server_id, period)


async def _sums_of(
    connection: AsyncConnection,
    statements: tuple[Select[Any], Select[Any]],
    server_id: int,
    period: Period,
) -> defaultdict[Any, Sums]:
    """Add up costs and the other sums, by the last column of both statements."""
    values = {"server": server_id, **period._asdict()}
    costs, others = statements
    found = defaultdict[Any, Sums](Sums)
    for cost, key in await connection.execute(costs, values):
        found[key] += Sums(used=int(cost))
    for used, lost, granted, key in await connection.execute(others, values):
        found[key] += Sums(used=-int(used), lost=-int(lost), granted=int(granted))
    return found


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
    """Return a member's newest jobs in a server, newest first.

    Jobs under the pseudonym are not listed: their ids would say whose the pseudonym is.
    """
    values = {"server": server_id, "user": user_id, "limit": limit}
    return [job_of(row) for row in await connection.execute(OF_MEMBER, values)]
