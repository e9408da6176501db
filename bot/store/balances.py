"""The balances that quotas are compared with: one statement for all levels of a request.

The sums of budgets are few rows (bot.store.tables.sums); a member's own entries are few as well.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    func,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import ACTIVE, SETTLED
from bot.ledger import EntryKind
from bot.periods import Period
from bot.store.identities import of_member
from bot.store.ledger import RESERVED_FOR
from bot.store.tables import LOSS, Utc, generations, jobs, ledger, sums


class Level(StrEnum):
    """The levels of quotas. GRANTS is the rest of a member's grants, in no period."""

    MEMBER = "member"  # in a server, by the allowance
    GRANTS = "grants"
    MONTH = "month"  # of a member, over all servers
    SERVER = "server"
    PROVIDER = "provider"
    BOT = "bot"


OWN_MEMBER = of_member(ledger.c.user_id)
OWN_SERVER = ledger.c.server_id == bindparam("server")
# The sums keep SQLite from the entries of the whole server, and from all jobs of the member.
OWN_ENTRIES = and_(OWN_MEMBER, ledger.c.server_id + 0 == bindparam("server"))
OWN_JOBS = jobs.c.account_server_id + 0 == bindparam("server")
_open = select(generations.c.job_id).where(generations.c.state.is_(None)).distinct()
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
        ledger.c.created_at > bindparam("losses_since", type_=Utc),
        # The sum keeps SQLite from the member's jobs, which may be many: losses are few.
        of_member(jobs.c.user_id + 0),
        _lost < 0,  # of a generation that was found later, the loss was reversed
    )
    .order_by(ledger.c.created_at)
)
_active = (of_member(jobs.c.user_id), jobs.c.status.in_(ACTIVE))


def _newest(user: str) -> Select[tuple[datetime]]:
    """Select the time of the newest other request under one id."""
    newest = func.max(jobs.c.created_at).label("at")
    return select(newest).where(
        jobs.c.user_id == bindparam(user), OWN_JOBS, jobs.c.id != bindparam("job")
    )


# One id after the other: each is the end of a range of the index, and for both together the
# databases would read all jobs of the member.
_last = union_all(_newest("user"), _newest("pseudonym")).subquery()
COUNTS: Mapping[str, ScalarSelect[Any]] = {
    "active": select(func.count()).where(*_active).scalar_subquery(),
    "losses": select(func.count()).select_from(LOSSES.order_by(None).subquery()).scalar_subquery(),
    "active_here": select(func.count()).where(*_active, OWN_JOBS).scalar_subquery(),
    "last_at": select(func.max(_last.c.at)).scalar_subquery(),
}


def in_period(column: ColumnElement[datetime], level: Level) -> list[ColumnElement[bool]]:
    """Return the conditions that a time is in the period of a level."""
    return [
        column >= bindparam(f"{level}_begin", type_=Utc),
        column < bindparam(f"{level}_end", type_=Utc),
    ]


def _given_up() -> CTE:
    """Return what is reserved for each job that was given up and may still be charged.

    Each open generation counts for its share of the job's price, for RESERVED_FOR at most. A
    CTE is read once for all levels: thousands of jobs in progress have open generations, too.
    """
    rows = (
        select(
            *(jobs.c.user_id, jobs.c.account_server_id, jobs.c.provider, jobs.c.created_at),
            *(jobs.c.price, jobs.c.granted, func.coalesce(jobs.c.cost, 0).label("cost")),
            func.count(case((generations.c.state.is_(None), 1))).label("open"),
            func.count().label("all"),
        )
        .join(generations, generations.c.job_id == jobs.c.id)
        .where(
            jobs.c.id.in_(_open),
            jobs.c.status.in_(SETTLED),
            jobs.c.settled_at > bindparam("reserved_since", type_=Utc),
        )
        .group_by(jobs.c.id)
        .subquery()
    ).c
    whole = rows.price * rows.open // rows["all"]

    def share(cost: ColumnElement[int]) -> ColumnElement[int]:  # bot.ledger.share_of_cost
        allowance = rows.price - rows.granted
        return case(
            (cost <= allowance, 0), (cost >= rows.price, rows.granted), else_=cost - allowance
        )

    grants = share(rows.cost + whole) - share(rows.cost)
    return select(
        *(rows.user_id, rows.account_server_id, rows.provider, rows.created_at),
        *(whole.label("whole"), grants.label("grants")),
    ).cte("given_up")


_reservations = _given_up().c
_of_member = of_member(_reservations.user_id)
_in_server = _reservations.account_server_id == bindparam("server")


def _reserved(amount: ColumnElement[int], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(func.coalesce(func.sum(amount), 0)).where(*conditions).scalar_subquery()


def _total(amount: ColumnElement[int], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(func.coalesce(func.sum(amount), 0)).where(*conditions).scalar_subquery()


def balance(level: Level) -> ColumnElement[int]:
    """Return the sum of a level's entries in its period, less the amount that is reserved.

    In one expression: between two, another process may move a price from one to the other.
    """
    created = in_period(_reservations.created_at, level)
    match level:
        case Level.MEMBER:
            counted = in_period(ledger.c.counted_at, level)
            paid = _total(ledger.c.amount - ledger.c.granted, OWN_ENTRIES, *counted)
            return paid - _reserved(
                _reservations.whole - _reservations.grants, _of_member, _in_server, *created
            )
        case Level.GRANTS:
            granted = _total(ledger.c.granted, OWN_MEMBER, OWN_SERVER, ledger.c.granted != 0)
            return granted - _reserved(_reservations.grants, _of_member, _in_server)
        case Level.MONTH:
            counted = in_period(ledger.c.counted_at, level)
            used = _total(ledger.c.amount, OWN_MEMBER, ledger.c.kind != EntryKind.GRANT, *counted)
            return used - _reserved(_reservations.whole, _of_member, *created)
        case Level.SERVER:
            conditions = (_in_server, *created)
        case Level.PROVIDER:
            conditions = (_reservations.provider == bindparam("provider"), *created)
        case Level.BOT:
            conditions = tuple(created)
    spent = _total(
        sums.c.amount,
        sums.c.scope == bindparam(f"{level}_scope"),
        *in_period(sums.c.begins_at, level),
    )
    return spent - _reserved(_reservations.whole, *conditions)


@cache
def figures(levels: frozenset[Level], counts: frozenset[str]) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [
        *(balance(each).label(each) for each in sorted(levels)),
        *(COUNTS[each].label(each) for each in sorted(counts)),
    ]
    return select(*columns)


async def used_in_server(
    connection: AsyncConnection, server_id: int, period: Period, now: datetime
) -> int:
    """Return the part of a server's budget that a period has used, with what is reserved."""
    values = {
        "server": server_id,
        "server_begin": period.begin,
        "server_end": period.end,
        "server_scope": f"server:{server_id}",
        "reserved_since": now - RESERVED_FOR,
    }
    statement = figures(frozenset({Level.SERVER}), frozenset())
    return -int((await connection.execute(statement, values)).scalar_one())
