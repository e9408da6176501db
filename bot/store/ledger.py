"""Every query on the ledger, which is append-only: triggers refuse an update or a delete.

Holds are written here; releases, captures and adjustments in bot.store.settlement.
"""

from datetime import datetime

from sqlalchemy import and_, case, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Job
from bot.ledger import Account, Cost, EntryKind, LedgerEntry, Usage, month_of, next_month
from bot.quotas import Quotas
from bot.store.pictures import Role
from bot.store.tables import job_pictures, ledger

APPEND = insert(ledger)  # built once, as in bot.store.jobs
OF_REQUEST = and_(ledger.c.kind == EntryKind.HOLD, ledger.c.reason == "")  # one per job


async def append(tx: AsyncConnection, *entries: LedgerEntry) -> None:
    await tx.execute(
        APPEND,
        [
            {
                "job_id": entry.job_id,
                "user_id": entry.account.user_id,
                "server_id": entry.account.server_id,
                "kind": entry.kind,
                "amount": entry.amount,
                "month": entry.month,
                "reason": entry.reason,
                "details": dict(entry.details),
                "created_at": entry.created_at,
            }
            for entry in entries
        ],
    )


async def hold(tx: AsyncConnection, job: Job, quotas: Quotas) -> None:
    """Hold a job's whole price.

    BudgetExhausted or NotEnoughCredits if a quota has less left. In one transaction, so that two
    requests cannot both take the last credit.
    """
    await _check_quotas(tx, job, job.price, quotas)
    await append(tx, entry_of(job, EntryKind.HOLD, -job.price, job.created_at))


async def hold_difference(
    tx: AsyncConnection, job: Job, before: int, now: datetime, quotas: Quotas
) -> None:
    """Hold the difference to the price `before`: the job was handed over to another model.

    A higher price is checked as in `hold`.
    """
    if job.price > before:
        await _check_quotas(tx, job, job.price - before, quotas)
    if job.price != before:
        reason = moved_reason(job.request.model, now)
        await append(tx, entry_of(job, EntryKind.HOLD, before - job.price, now, reason=reason))


def moved_reason(model: str, now: datetime) -> str:
    """Return the reason of a hold for another model, different for each change of the model."""
    return f"moved to {model} at {now:%Y-%m-%d %H:%M:%S} UTC"


async def sum_of_month(
    connection: AsyncConnection, month: str, *, user_id: int | None = None
) -> int:
    """Return the sum of a month's entries in all accounts of a member.

    Without `user_id`, of everybody's accounts and without grants: a grant gives a member more to
    use, and the whole bot no more to spend.
    """
    total = select(func.coalesce(func.sum(ledger.c.amount), 0)).where(ledger.c.month == month)
    if user_id is not None:
        total = total.where(ledger.c.user_id == user_id)
    else:
        total = total.where(ledger.c.kind != EntryKind.GRANT)
    return int((await connection.execute(total)).scalar_one())


async def usage_of(
    connection: AsyncConnection, user_id: int, now: datetime, allowance: int | None
) -> Usage:
    """Return the usage of a member's month, over all of their accounts."""
    mine = (ledger.c.user_id == user_id, ledger.c.month == month_of(now))
    held = ledger.c.kind.in_((EntryKind.HOLD, EntryKind.RELEASE))
    used = ledger.c.kind.in_((EntryKind.CAPTURE, EntryKind.ADJUSTMENT))
    sums = (
        await connection.execute(
            select(
                func.coalesce(func.sum(case((held, ledger.c.amount))), 0).label("held"),
                func.coalesce(func.sum(case((used, ledger.c.amount))), 0).label("used"),
                func.coalesce(func.sum(ledger.c.amount), 0).label("balance"),
                func.count(case((OF_REQUEST, 1))).label("jobs"),
            ).where(*mine)
        )
    ).one()
    pictures = (
        select(func.count())
        .select_from(ledger)
        .join(job_pictures, job_pictures.c.job_id == ledger.c.job_id)
        .where(*mine, OF_REQUEST, job_pictures.c.role == Role.OUTPUT)
    )
    return Usage(
        used=-int(sums.used),
        held=-int(sums.held),
        left=None if allowance is None else allowance + int(sums.balance),
        jobs=sums.jobs,
        pictures=int((await connection.execute(pictures)).scalar_one()),
        resets_at=next_month(now),
    )


async def entries_of(connection: AsyncConnection, job_id: str) -> list[LedgerEntry]:
    statement = select(ledger).where(ledger.c.job_id == job_id).order_by(ledger.c.id)
    return [
        LedgerEntry(
            account=Account(row.user_id, row.server_id),
            kind=EntryKind(row.kind),
            amount=row.amount,
            month=row.month,
            created_at=row.created_at,
            job_id=row.job_id,
            reason=row.reason,
            details=row.details,
        )
        for row in await connection.execute(statement)
    ]


async def _check_quotas(tx: AsyncConnection, job: Job, price: int, quotas: Quotas) -> None:
    month = month_of(job.created_at)
    if quotas.budget is not None:
        quotas.check_budget(price, await sum_of_month(tx, month), job.created_at)
    if quotas.allowance is not None:
        used = await sum_of_month(tx, month, user_id=job.user_id)
        quotas.check_allowance(price, used, job.created_at)


def entry_of(
    job: Job,
    kind: EntryKind,
    amount: int,
    now: datetime,
    *,
    reason: str = "",
    details: Cost | None = None,
) -> LedgerEntry:
    """Return an entry in the job's account, counted in the month of its hold."""
    return LedgerEntry(
        account=Account(job.user_id, job.route.account_server_id),
        kind=kind,
        amount=amount,
        month=month_of(job.created_at),
        created_at=now,
        job_id=job.id,
        reason=reason,
        details=details.details if details else {},
    )
