"""What a member has used, by the models and by the days, and what is left after a job."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Job
from bot.ledger import Account, EntryKind
from bot.periods import Period, PeriodKind, period_in, zone_info
from bot.quotas import Quotas
from bot.store import ledger as entries
from bot.store import servers
from bot.store.identities import ids_of
from bot.store.ledger import OF_PERIOD, OF_REQUEST, OF_USER
from bot.store.pictures import Role
from bot.store.tables import Utc, job_pictures, jobs, ledger

USED = ledger.c.kind.in_((EntryKind.CAPTURE, EntryKind.ADJUSTMENT))
OF_SERVER = ledger.c.server_id == bindparam("server")


class ModelUse(NamedTuple):
    """The use of one model: requests with any end, and thousandths of a credit that were used."""

    model: str
    jobs: int
    pictures: int
    used: int


class Day(NamedTuple):
    """A day of a time zone; most have 24 hours."""

    date: date
    period: Period


def last_days(count: int, zone: str, now: datetime) -> list[Day]:
    """Return the last days of a time zone, today's at the end."""
    found, moment = list[Day](), now
    for _ in range(count):
        period = period_in(PeriodKind.DAY, zone, moment)
        found.append(Day(period.begin.astimezone(zone_info(zone)).date(), period))
        moment = period.begin - timedelta(seconds=1)
    return found[::-1]


async def by_model(
    connection: AsyncConnection, user_id: int, server_id: int | None, period: Period
) -> list[ModelUse]:
    """Return the models of a member's jobs in a period, the dearest first.

    In one server, or in all accounts for None.
    """
    where, values = _of(connection, user_id, server_id, period)
    used = (
        select(
            jobs.c.model,
            func.count(case((OF_REQUEST, 1))).label("jobs"),
            func.coalesce(func.sum(case((USED, -ledger.c.amount))), 0).label("used"),
        )
        .join(jobs, jobs.c.id == ledger.c.job_id)
        .where(*where)
        .group_by(jobs.c.model)
    )
    made = (
        select(jobs.c.model, func.count().label("pictures"))
        .select_from(ledger)
        .join(jobs, jobs.c.id == ledger.c.job_id)
        .join(job_pictures, job_pictures.c.job_id == ledger.c.job_id)
        .where(*where, OF_REQUEST, job_pictures.c.role == Role.OUTPUT)
        .group_by(jobs.c.model)
    )
    pictures = {row.model: row.pictures for row in await connection.execute(made, values)}
    found = [
        ModelUse(row.model, row.jobs, pictures.get(row.model, 0), int(row.used))
        for row in await connection.execute(used, values)
    ]
    return sorted(found, key=lambda each: (-each.used, -each.jobs, each.model))


async def by_day(
    connection: AsyncConnection, user_id: int, server_id: int | None, days: Sequence[Day]
) -> list[tuple[date, int]]:
    """Return what a member has used on each of some days that follow one another.

    A job counts on the day of its request. Amounts are thousandths of a credit.
    """
    whole = Period(days[0].period.begin, days[-1].period.end)
    where, values = _of(connection, user_id, server_id, whole)
    ends = {f"end_{number}": each.period.end for number, each in enumerate(days)}
    rows = await connection.execute(_by_day(len(days), where), {**values, **ends})
    amounts = {row.day: -int(row.amount) for row in rows}
    return [(each.date, amounts.get(number, 0)) for number, each in enumerate(days)]


def _by_day(days: int, where: Sequence[ColumnElement[bool]]) -> Select[tuple[int, int]]:
    """Return a statement with the number of a day and its amount; no database knows the zones."""
    number = case(
        *((ledger.c.counted_at < bindparam(f"end_{each}", type_=Utc), each) for each in range(days))
    )
    rows = select(number.label("day"), ledger.c.amount).where(*where, USED).subquery()
    return select(rows.c.day, func.sum(rows.c.amount).label("amount")).group_by(rows.c.day)


def _of(
    connection: AsyncConnection, user_id: int, server_id: int | None, period: Period
) -> tuple[list[ColumnElement[bool]], dict[str, object]]:
    """Return the conditions of a member's entries, and their values."""
    where: list[ColumnElement[bool]] = [OF_USER, OF_PERIOD]
    values: dict[str, object] = {**ids_of(connection, user_id), **period._asdict()}
    if server_id is None:
        return where, values
    return [*where, OF_SERVER], {**values, "server": server_id}


async def left_after(
    connection: AsyncConnection, job: Job, quotas: Quotas, now: datetime
) -> int | None:
    """Return the credits that a job's requester can still use where it was requested.

    The smaller of the rests of the allowance and of the month; None without a limit.
    """
    left = []
    if job.allowance is not None and job.allowance.amount is not None:
        server = job.route.account_server_id
        zones = (await servers.settings_of(connection, server)).zones
        account = Account(job.user_id, server)
        usage = await entries.account_usage(connection, account, job.allowance, zones, now)
        left.append(usage.left)
    if quotas.allowance is not None:
        usage = await entries.usage_of(connection, job.user_id, now, quotas.allowance)
        left.append(usage.left)
    return min((each for each in left if each is not None), default=None)
