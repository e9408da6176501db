"""Every query on the ledger, which is append-only: triggers refuse an update or a delete.

Holds are written here; releases, captures, adjustments and losses in bot.store.settlement.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import ACTIVE, SETTLED, Job
from bot.ledger import Account, Cost, EntryKind, LedgerEntry, Period, Usage, month_of
from bot.quotas import LOSS_WINDOW, MAX_LOSSES, Quotas
from bot.store.dialects import lock_quotas
from bot.store.pictures import Role
from bot.store.tables import LOSS, Utc, generations, job_pictures, jobs, ledger

RESERVED_FOR = timedelta(hours=24)  # after the settlement, as long as a job's end is polled for

# Statements are built once, as in bot.store.jobs.
APPEND = insert(ledger)
OF_REQUEST = and_(ledger.c.kind == EntryKind.HOLD, ledger.c.reason == "")  # one per job
OF_PERIOD = and_(
    ledger.c.counted_at >= bindparam("begin", type_=Utc),
    ledger.c.counted_at < bindparam("end", type_=Utc),
)
OF_USER = ledger.c.user_id == bindparam("user")
SUM = select(func.coalesce(func.sum(ledger.c.amount), 0)).where(OF_PERIOD)
SUM_OF_USER = SUM.where(OF_USER)
# A grant gives a member more to use, and the whole bot no more to spend.
SUM_OF_ALL = SUM.where(ledger.c.kind != EntryKind.GRANT)
ACTIVE_JOBS = select(func.count()).where(
    jobs.c.user_id == bindparam("user"), jobs.c.status.in_(ACTIVE)
)
_of_job = ledger.alias()
_lost = (
    select(func.sum(_of_job.c.amount))
    .where(_of_job.c.job_id == ledger.c.job_id, _of_job.c.kind == LOSS)
    .scalar_subquery()
)
LOSSES = (
    select(ledger.c.job_id, ledger.c.created_at)
    .join(jobs, jobs.c.id == ledger.c.job_id)
    .where(
        ledger.c.kind == LOSS,
        ledger.c.amount < 0,
        ledger.c.created_at > bindparam("since", type_=Utc),
        # The sum keeps SQLite from the member's jobs, which may be many: losses are few.
        jobs.c.user_id + 0 == bindparam("user"),
        _lost < 0,  # of a generation that was found later, the loss was reversed
    )
    .order_by(ledger.c.created_at)
)
_counts = select(
    ACTIVE_JOBS.scalar_subquery().label("active"),
    select(func.count())
    .select_from(LOSSES.order_by(None).subquery())
    .scalar_subquery()
    .label("losses"),
).cte("counts")
# A hold returns both counts: another query takes a fifth of a millisecond, and a member waits.
HOLD = APPEND.returning(
    select(_counts.c.active).scalar_subquery().label("active"),
    select(_counts.c.losses).scalar_subquery().label("losses"),
)
_open = select(generations.c.job_id).where(generations.c.state.is_(None)).distinct()
_given_up = (
    select(
        jobs.c.price,
        jobs.c.settled_at,
        func.count(case((generations.c.state.is_(None), 1))).label("open"),
        func.count().label("all"),
    )
    .join(generations, generations.c.job_id == jobs.c.id)
    .where(
        jobs.c.id.in_(_open),
        jobs.c.status.in_(SETTLED),
        jobs.c.settled_at > bindparam("since", type_=Utc),
        jobs.c.created_at >= bindparam("begin", type_=Utc),
        jobs.c.created_at < bindparam("end", type_=Utc),
    )
    .group_by(jobs.c.id)
)


def _balance(entries: Select[Any], given_up: Select[Any]) -> Select[Any]:
    """Return a query of a sum of entries less the price of the generations that were given up.

    One statement: between two, another process may move a price from one to the other.
    """
    rows = given_up.subquery()
    reserved = select(func.coalesce(func.sum(rows.c.price * rows.c.open // rows.c["all"]), 0))
    return select(entries.scalar_subquery() - reserved.scalar_subquery())


BALANCE_OF_USER = _balance(SUM_OF_USER, _given_up.where(jobs.c.user_id == bindparam("user")))
BALANCE_OF_ALL = _balance(SUM_OF_ALL, _given_up)


@dataclass(frozen=True, slots=True)
class Reserved:
    """The price of the generations that were given up and may still be charged."""

    amount: int = 0
    until: datetime | None = None


async def append(tx: AsyncConnection, *entries: LedgerEntry) -> None:
    await tx.execute(APPEND, [_values_of(entry) for entry in entries])


async def hold(tx: AsyncConnection, job: Job, quotas: Quotas) -> None:
    """Hold the whole price of a job that was inserted in the same transaction.

    TooManyJobs, TooManyLosses, BudgetExhausted or NotEnoughCredits if a quota has less left: the
    caller's transaction must end with the error, and takes the hold back. In one transaction, so
    that two requests cannot both take the last credit.
    """
    await lock_quotas(tx)
    window = {"user": job.user_id, "since": job.created_at - LOSS_WINDOW}
    entry = entry_of(job, EntryKind.HOLD, -job.price, job.created_at)
    counts = (await tx.execute(HOLD, {**_values_of(entry), **window})).one()
    if counts.losses >= MAX_LOSSES:
        by_job = {row.job_id: row.created_at for row in await tx.execute(LOSSES, window)}
        quotas.check_losses(sorted(by_job.values()), job.created_at)
    if quotas.max_jobs is not None and counts.active > quotas.max_jobs:
        usage = await usage_of(tx, job.user_id, job.created_at, None)
        quotas.check_jobs(counts.active, held=usage.held - job.price, used=usage.used)
    await _check_quotas(tx, job, job.price, quotas)


async def hold_difference(
    tx: AsyncConnection, job: Job, before: int, now: datetime, quotas: Quotas
) -> None:
    """Hold the difference to the price `before`: the job was handed over to another model.

    A higher price is checked as in `hold`.
    """
    await lock_quotas(tx)
    if job.price != before:
        reason = moved_reason(job.request.model, now)
        await append(tx, entry_of(job, EntryKind.HOLD, before - job.price, now, reason=reason))
    if job.price > before:
        await _check_quotas(tx, job, job.price - before, quotas)


def moved_reason(model: str, now: datetime) -> str:
    """Return the reason of a hold for another model, different for each change of the model."""
    return f"moved to {model} at {now:%Y-%m-%d %H:%M:%S} UTC"


async def sum_of(connection: AsyncConnection, period: Period, *, user_id: int | None = None) -> int:
    """Return the sum of a period's entries in all accounts of a member.

    Without `user_id`, of everybody's accounts, with the losses and without grants.
    """
    statement = SUM_OF_ALL if user_id is None else SUM_OF_USER
    values = {**period._asdict(), **({} if user_id is None else {"user": user_id})}
    return int((await connection.execute(statement, values)).scalar_one())


async def reserved_of(
    connection: AsyncConnection, period: Period, now: datetime, *, user_id: int | None = None
) -> Reserved:
    """Return the price of a member's generations, or of everybody's, whose end is not known yet.

    Each open generation counts for its part of the job's price, for RESERVED_FOR at most.
    """
    statement = _given_up if user_id is None else _given_up.where(jobs.c.user_id == user_id)
    values = {**period._asdict(), "since": now - RESERVED_FOR}
    rows = (await connection.execute(statement, values)).all()
    if not rows:
        return Reserved()
    amount = sum(row.price * row.open // row.all for row in rows)
    return Reserved(amount, max(row.settled_at for row in rows) + RESERVED_FOR)


async def usage_of(
    connection: AsyncConnection, user_id: int, now: datetime, allowance: int | None
) -> Usage:
    """Return the usage of a member's month, over all of their accounts."""
    month = month_of(now)
    values = {**month._asdict(), "user": user_id}
    held = ledger.c.kind.in_((EntryKind.HOLD, EntryKind.RELEASE))
    used = ledger.c.kind.in_((EntryKind.CAPTURE, EntryKind.ADJUSTMENT))
    sums = (
        await connection.execute(
            select(
                func.coalesce(func.sum(case((held, ledger.c.amount))), 0).label("held"),
                func.coalesce(func.sum(case((used, ledger.c.amount))), 0).label("used"),
                func.coalesce(func.sum(ledger.c.amount), 0).label("balance"),
                func.count(case((OF_REQUEST, 1))).label("jobs"),
            ).where(OF_USER, OF_PERIOD),
            values,
        )
    ).one()
    pictures = (
        select(func.count())
        .select_from(ledger)
        .join(job_pictures, job_pictures.c.job_id == ledger.c.job_id)
        .where(OF_USER, OF_PERIOD, OF_REQUEST, job_pictures.c.role == Role.OUTPUT)
    )
    reserved = await reserved_of(connection, month, now, user_id=user_id)
    left = None if allowance is None else allowance + int(sums.balance) - reserved.amount
    return Usage(
        used=-int(sums.used),
        held=-int(sums.held),
        reserved=reserved.amount,
        reserved_until=reserved.until,
        left=left,
        jobs=sums.jobs,
        pictures=int((await connection.execute(pictures, values)).scalar_one()),
        resets_at=month.end,
    )


async def entries_of(connection: AsyncConnection, job_id: str) -> list[LedgerEntry]:
    statement = select(ledger).where(ledger.c.job_id == job_id).order_by(ledger.c.id)
    return [
        LedgerEntry(
            account=Account(row.user_id, row.server_id),
            kind=EntryKind(row.kind),
            amount=row.amount,
            counted_at=row.counted_at,
            created_at=row.created_at,
            job_id=row.job_id,
            reason=row.reason,
            details=row.details,
        )
        for row in await connection.execute(statement)
    ]


async def _check_quotas(tx: AsyncConnection, job: Job, price: int, quotas: Quotas) -> None:
    """Compare a hold of `price`, which the ledger contains already, with what was left before."""
    month = month_of(job.created_at)
    values = {
        **month._asdict(),
        "since": job.created_at - RESERVED_FOR,
        "user": job.user_id,
    }
    if quotas.budget is not None:
        balance = int((await tx.execute(BALANCE_OF_ALL, values)).scalar_one()) + price
        quotas.check_budget(price, balance, month.end)
    if quotas.allowance is not None:
        balance = int((await tx.execute(BALANCE_OF_USER, values)).scalar_one()) + price
        quotas.check_allowance(price, balance, month.end)


def _values_of(entry: LedgerEntry) -> dict[str, object]:
    return {
        "job_id": entry.job_id,
        "user_id": entry.account.user_id,
        "server_id": entry.account.server_id,
        "kind": entry.kind,
        "amount": entry.amount,
        "counted_at": entry.counted_at,
        "reason": entry.reason,
        "details": dict(entry.details),
        "created_at": entry.created_at,
    }


def entry_of(
    job: Job,
    kind: EntryKind,
    amount: int,
    now: datetime,
    *,
    reason: str = "",
    details: Cost | None = None,
) -> LedgerEntry:
    """Return an entry in the job's account, counted at the time of its hold."""
    return LedgerEntry(
        account=Account(job.user_id, job.route.account_server_id),
        kind=kind,
        amount=amount,
        counted_at=job.created_at,
        created_at=now,
        job_id=job.id,
        reason=reason,
        details=details.details if details else {},
    )
