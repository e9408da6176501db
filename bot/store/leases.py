"""Leases of jobs: the process that works on a job, the end of its lease, and the lease's number.

Several processes share one PostgreSQL database. A process takes a job before any work on
the job, and renews the lease meanwhile. The number of a lease is the epoch, which rises by one with
each lease, so that a process that was stopped beyond the end of a lease cannot write (fencing).

The clock of PostgreSQL decides when a lease ends. A SQLite file belongs to one process, whose own
clock is used; only the lease of a claim ends there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    String,
    and_,
    bindparam,
    case,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from bot.jobs import Job, JobStatus
from bot.store.job_rows import job_of
from bot.store.tables import Utc, jobs

LEASE = timedelta(seconds=30)  # of a process that shares the database


class LeaseClock(FunctionElement[datetime]):
    """The time that decides about leases: PostgreSQL's own, else that of the parameter."""

    inherit_cache = True
    type = Utc()


class LeaseEnd(FunctionElement[datetime]):
    """The end of a lease that begins now: by PostgreSQL's clock, else that of the parameter."""

    inherit_cache = True
    type = Utc()


@compiles(LeaseClock)
@compiles(LeaseEnd)
def _by_parameter(element: FunctionElement[datetime], compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401  # SQLAlchemy's own
    return compiler.process(element.clauses, **kw)


@compiles(LeaseClock, "postgresql")
def _clock(_: LeaseClock, __: SQLCompiler, **___: object) -> str:
    return "clock_timestamp()"


@compiles(LeaseEnd, "postgresql")
def _end(_: LeaseEnd, __: SQLCompiler, **___: object) -> str:
    return f"clock_timestamp() + interval '{LEASE.total_seconds()} seconds'"


_NOW = LeaseClock(bindparam("now", type_=Utc))
_OWNED = and_(jobs.c.owner == bindparam("process", type_=String), jobs.c.lease_until > _NOW)
FREE = or_(jobs.c.lease_until.is_(None), jobs.c.lease_until <= _NOW)
# The values of a lease that begins with a statement, whose parameters are those of `terms`.
NEW_LEASE: dict[Column[Any], ColumnElement[Any]] = {
    jobs.c.owner: bindparam("process", type_=String),
    jobs.c.lease_until: LeaseEnd(bindparam("until", type_=Utc)),
    jobs.c.epoch: jobs.c.epoch + 1,
}
_HELD = and_(
    jobs.c.id == bindparam("job_id"),
    jobs.c.owner == bindparam("process", type_=String),
    jobs.c.epoch == bindparam("held_epoch", type_=Integer),
)
# What was read before the statement: nobody has taken or moved the job since.
_UNCHANGED = tuple_(jobs.c.id, jobs.c.epoch, jobs.c.status).in_(bindparam("listed", expanding=True))
TAKE = (
    update(jobs)
    .where(
        jobs.c.id.in_(
            select(jobs.c.id).where(_UNCHANGED, or_(FREE, _OWNED)).with_for_update(skip_locked=True)
        ),
        _UNCHANGED,
    )
    .values({**NEW_LEASE, jobs.c.epoch: case((_OWNED, jobs.c.epoch), else_=jobs.c.epoch + 1)})
    .returning(*jobs.c)
)
RENEW = (
    update(jobs)
    .where(
        tuple_(jobs.c.id, jobs.c.epoch).in_(bindparam("held", expanding=True)),
        jobs.c.owner == bindparam("process", type_=String),
        jobs.c.lease_until.is_not(None),
    )
    .values({jobs.c.lease_until: LeaseEnd(bindparam("until", type_=Utc))})
    .returning(jobs.c.id)
)
RELEASE = update(jobs).where(_HELD).values({jobs.c.lease_until: None})
LOCK = select(jobs.c.id).where(_HELD).with_for_update()
EXTEND = (
    update(jobs)
    .where(jobs.c.id == bindparam("taken"))
    .values({jobs.c.lease_until: LeaseEnd(bindparam("until", type_=Utc))})
)


class Terms(NamedTuple):
    """The process that takes a job, and the time.

    `until` is the end of the lease on a SQLite file; None for no end.
    """

    process: str
    now: datetime
    until: datetime | None


async def take(tx: AsyncConnection, listed: Sequence[Job], terms: Terms) -> list[Job]:
    """Take jobs that were read before; those are left out that anybody has taken or moved since.

    A job that the process has already keeps its epoch.
    """
    if not listed:
        return []
    unchanged = [(job.id, job.epoch, job.status) for job in listed]
    rows = await tx.execute(TAKE, {**terms._asdict(), "listed": unchanged})
    return [job_of(row) for row in rows]


async def renew(tx: AsyncConnection, held: Mapping[str, int], terms: Terms) -> set[str]:
    """Renew leases, given as epochs by job, and return the jobs that the process still has."""
    rows = await tx.execute(RENEW, {**terms._asdict(), "held": [*held.items()]})
    return set(rows.scalars())


async def release(tx: AsyncConnection, process: str, job_id: str, epoch: int) -> None:
    """End a lease, so that any process may take the job."""
    await tx.execute(RELEASE, {"process": process, "job_id": job_id, "held_epoch": epoch})


async def extend(tx: AsyncConnection, job_id: str, until: datetime) -> None:
    """Let nobody take a job before the end of a lease that begins now."""
    await tx.execute(EXTEND, {"taken": job_id, "until": until})


async def release_running(tx: AsyncConnection, process: str) -> None:
    """End the leases of a process whose jobs need only be polled."""
    mine = and_(jobs.c.owner == process, jobs.c.status == JobStatus.RUNNING)
    await tx.execute(
        update(jobs).where(mine, jobs.c.lease_until.is_not(None)).values(lease_until=None)
    )


async def lock(tx: AsyncConnection, process: str, job_id: str, epoch: int) -> bool:
    """Lock the row until the end of the transaction; return False if the lease was lost."""
    values = {"process": process, "job_id": job_id, "held_epoch": epoch}
    return (await tx.execute(LOCK, values)).one_or_none() is not None


async def clear(tx: AsyncConnection) -> None:
    """End every lease: a SQLite file that has just been opened has no task that holds one."""
    await tx.execute(update(jobs).where(jobs.c.lease_until.is_not(None)).values(lease_until=None))
