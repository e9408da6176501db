"""Every query on the ledger, which is append-only: triggers refuse an update or a delete.

Holds are written in bot.store.holds; releases, captures, adjustments and losses in
bot.store.settlement.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, bindparam, case, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import SETTLED, Job
from bot.ledger import Account, Cost, EntryKind, LedgerEntry, Usage, share_of_cost
from bot.periods import Period, PeriodKind, ZoneChange, current_period, month_of
from bot.rights import Allowance
from bot.store.identities import ids_of, of_member
from bot.store.pictures import Role
from bot.store.tables import Utc, generations, job_pictures, jobs, ledger, sums

RESERVED_FOR = timedelta(hours=24)  # after the settlement, as long as a job's end is polled for

# Statements are built once, as in bot.store.jobs.
APPEND = insert(ledger)
OF_REQUEST = and_(ledger.c.kind == EntryKind.HOLD, ledger.c.reason == "")  # one per job
OF_PERIOD = and_(
    ledger.c.counted_at >= bindparam("begin", type_=Utc),
    ledger.c.counted_at < bindparam("end", type_=Utc),
)
OF_USER = of_member(ledger.c.user_id)
_open = select(generations.c.job_id).where(generations.c.state.is_(None)).distinct()
_given_up = (
    select(
        jobs.c.price,
        jobs.c.granted,
        func.coalesce(jobs.c.cost, 0).label("cost"),
        jobs.c.settled_at,
        func.count(case((generations.c.state.is_(None), 1))).label("open"),
        func.count().label("all"),
    )
    .join(generations, generations.c.job_id == jobs.c.id)
    .where(
        jobs.c.id.in_(_open),
        jobs.c.status.in_(SETTLED),
        jobs.c.settled_at > bindparam("since", type_=Utc),
    )
    .group_by(jobs.c.id)
)
OF_SCOPE = select(func.coalesce(func.sum(sums.c.amount), 0)).where(
    sums.c.scope == bindparam("scope"),
    sums.c.begins_at >= bindparam("begin", type_=Utc),
    sums.c.begins_at < bindparam("end", type_=Utc),
)


@dataclass(frozen=True, slots=True)
class Reserved:
    """The price of the generations that were given up and may still be charged.

    `granted` is the part of `amount` that grants would pay.
    """

    amount: int = 0
    until: datetime | None = None
    granted: int = 0


async def append(tx: AsyncConnection, *entries: LedgerEntry) -> None:
    await tx.execute(APPEND, [_values_of(entry) for entry in entries])


def moved_reason(model: str, now: datetime) -> str:
    """Return the reason of a hold for another model, different for each change of the model."""
    return f"moved to {model} at {now:%Y-%m-%d %H:%M:%S} UTC"


def left_reason(model: str, now: datetime) -> str:
    """Return the reason of the entry that takes the hold for the former model back."""
    return f"moved from {model} at {now:%Y-%m-%d %H:%M:%S} UTC"


async def spent(connection: AsyncConnection, scope: str, period: Period) -> int:
    """Return what a period's jobs hold, have cost and have lost, in thousandths.

    `scope` is `bot`, `provider:<key>` or `server:<id>`. Grants are no part of it.
    """
    values = {"scope": scope, **period._asdict()}
    return -int((await connection.execute(OF_SCOPE, values)).scalar_one())


async def grants_left(connection: AsyncConnection, account: Account) -> int:
    """Return the rest of an account's grants, with the part that jobs in doubt may still take."""
    statement = select(func.coalesce(func.sum(ledger.c.granted), 0)).where(
        OF_USER, ledger.c.server_id == account.server_id, ledger.c.granted != 0
    )
    values = ids_of(connection, account.user_id)
    return int((await connection.execute(statement, values)).scalar_one())


async def usage_of(
    connection: AsyncConnection, user_id: int, now: datetime, allowance: int | None
) -> Usage:
    """Return the usage of a member's month (UTC), over all of their accounts."""
    return await _usage(connection, user_id, month_of(now), now, allowance)


async def account_usage(
    connection: AsyncConnection,
    account: Account,
    allowance: Allowance | None,
    zones: Sequence[ZoneChange],
    now: datetime,
) -> Usage:
    """Return the usage of one account in the current period of its allowance, else of its month."""
    kind = PeriodKind.MONTH if allowance is None else allowance.period
    period = current_period(kind, zones, now)
    limit = None if allowance is None else allowance.amount
    granted = await grants_left(connection, account)
    return await _usage(
        connection,
        account.user_id,
        period,
        now,
        limit,
        server_id=account.server_id,
        granted=granted,
    )


async def _usage(
    connection: AsyncConnection,
    user_id: int,
    period: Period,
    now: datetime,
    limit: int | None,
    *,
    server_id: int | None = None,
    granted: int = 0,
) -> Usage:
    """Return the usage in all accounts, or in that of one server, which has grants besides."""
    # The sum keeps SQLite from the entries of the whole server.
    of_account = [] if server_id is None else [ledger.c.server_id + 0 == server_id]
    values = {**period._asdict(), **ids_of(connection, user_id)}
    held = ledger.c.kind.in_((EntryKind.HOLD, EntryKind.RELEASE))
    used = ledger.c.kind.in_((EntryKind.CAPTURE, EntryKind.ADJUSTMENT))
    paid = ledger.c.amount if server_id is None else ledger.c.amount - ledger.c.granted
    totals = (
        await connection.execute(
            select(
                func.coalesce(func.sum(case((held, ledger.c.amount))), 0).label("held"),
                func.coalesce(func.sum(case((used, ledger.c.amount))), 0).label("used"),
                func.coalesce(func.sum(case((ledger.c.kind != EntryKind.GRANT, paid))), 0).label(
                    "balance"
                ),
                func.count(case((OF_REQUEST, 1))).label("jobs"),
            ).where(OF_USER, OF_PERIOD, *of_account),
            values,
        )
    ).one()
    pictures = (
        select(func.count())
        .select_from(ledger)
        .join(job_pictures, job_pictures.c.job_id == ledger.c.job_id)
        .where(OF_USER, OF_PERIOD, OF_REQUEST, job_pictures.c.role == Role.OUTPUT, *of_account)
    )
    reserved = await reserved_of(connection, period, now, user_id=user_id, server_id=server_id)
    left = None
    if limit is not None:
        of_grants = max(granted - reserved.granted, 0)  # a debt of grants: see bot.store.holds
        left = limit + int(totals.balance) - (reserved.amount - reserved.granted) + of_grants
    return Usage(
        used=-int(totals.used),
        held=-int(totals.held),
        reserved=reserved.amount,
        reserved_until=reserved.until,
        left=left,
        jobs=totals.jobs,
        pictures=int((await connection.execute(pictures, values)).scalar_one()),
        resets_at=period.end,
        allowance=limit,
        granted=granted,
    )


async def reserved_of(
    connection: AsyncConnection,
    period: Period,
    now: datetime,
    *,
    user_id: int | None = None,
    server_id: int | None = None,
) -> Reserved:
    """Return the price of a member's generations, or of everybody's, whose end is not known yet.

    Each open generation counts for its part of the job's price, for RESERVED_FOR at most. With
    `server_id`, of one account: what grants pay counts there in any period.
    """
    statement, values = _given_up, dict[str, object](since=now - RESERVED_FOR)
    in_period = and_(jobs.c.created_at >= period.begin, jobs.c.created_at < period.end)
    if user_id is not None:
        statement = statement.where(of_member(jobs.c.user_id + 0))  # few jobs are open
        values |= ids_of(connection, user_id)
    if server_id is None:
        statement = statement.where(in_period)
    else:
        statement = statement.where(jobs.c.account_server_id + 0 == server_id)
    counted = statement.add_columns(case((in_period, 1), else_=0).label("counted"))
    rows = (await connection.execute(counted, values)).all()
    if not rows:
        return Reserved()
    amount = granted = 0
    for row in rows:
        whole = row.price * row.open // row.all
        by_grants = share_of_cost(row.cost + whole, row.price, row.granted)
        by_grants -= share_of_cost(row.cost, row.price, row.granted)
        granted += by_grants
        amount += whole if row.counted else by_grants
    until = max(row.settled_at for row in rows) + RESERVED_FOR
    return Reserved(amount, until, 0 if server_id is None else granted)


async def entries_of(connection: AsyncConnection, job_id: str) -> list[LedgerEntry]:
    statement = select(ledger).where(ledger.c.job_id == job_id).order_by(ledger.c.id)
    return [_entry(row) for row in await connection.execute(statement)]


async def all_entries(
    view: AsyncConnection, *, page: int = 1000
) -> AsyncIterator[tuple[int, LedgerEntry]]:
    """Yield each entry with its id, in order; at most `page` of them are in memory at once."""
    statement = select(ledger).order_by(ledger.c.id).limit(page)
    last = 0
    while rows := (await view.execute(statement.where(ledger.c.id > last))).all():
        for row in rows:
            yield row.id, _entry(row)
        last = rows[-1].id


def _entry(row: Row[Any]) -> LedgerEntry:
    return LedgerEntry(
        account=Account(row.user_id, row.server_id),
        kind=EntryKind(row.kind),
        amount=row.amount,
        counted_at=row.counted_at,
        created_at=row.created_at,
        job_id=row.job_id,
        provider=row.provider,
        granted=row.granted,
        reason=row.reason,
        details=row.details,
    )


def _values_of(entry: LedgerEntry) -> dict[str, object]:
    return {
        "job_id": entry.job_id,
        "user_id": entry.account.user_id,
        "server_id": entry.account.server_id,
        "kind": entry.kind,
        "amount": entry.amount,
        "granted": entry.granted,
        "provider": entry.provider,
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
    granted: int = 0,
) -> LedgerEntry:
    """Return an entry in the job's account, counted at the time of its hold.

    `granted` is the part of the amount that grants give or pay, with the same sign.
    """
    return LedgerEntry(
        account=Account(job.user_id, job.route.account_server_id),
        kind=kind,
        amount=amount,
        counted_at=job.created_at,
        created_at=now,
        job_id=job.id,
        provider=job.provider,
        granted=granted,
        reason=reason,
        details=details.details if details else {},
    )
