"""Lists of jobs in which members take turns: the parts of the queries in bot.store.queue.

Every list has a limit. First comes one job of each member, then the second of each, so that the
many jobs of one member hide nobody else's. Where slots limit the work, the members who were served
longest ago come first, so that many members hide nobody else either. Where jobs stay in the list
although they were read, chance decides who comes first.
"""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    bindparam,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Job
from bot.store.dialects import elements
from bot.store.job_rows import job_of
from bot.store.tables import jobs

_others = jobs.alias()
_last_submit = (
    select(func.max(_others.c.submitted_at))
    .where(_others.c.user_id == jobs.c.user_id)
    .scalar_subquery()
)
# Members whose last submit was longest ago come first, also after a restart.
LAST_SUBMIT = (_last_submit.is_not(None), _last_submit)


def none_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Exclude the values that the parameter `name` lists, in the form of `listed`."""
    value = String if column is jobs.c.id else BigInteger
    each = elements(name).table_valued("value")
    return column.not_in(select(each.c.value.cast(value)))


def some_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Include just the ids of jobs that the parameter `name` lists, in the form of `listed`."""
    each = elements(name).table_valued("value")
    return column.in_(select(each.c.value.cast(String)))


def listed(values: Collection[object]) -> str:
    """Return values as one parameter, however many there are."""
    return json.dumps([*values])


def turns(
    *conditions: ColumnElement[bool], order: ColumnElement[Any] = jobs.c.created_at
) -> Subquery:
    """Select ids of jobs, each with its number among the member's jobs in this order."""
    turn = func.row_number().over(partition_by=jobs.c.user_id, order_by=order)
    return select(jobs.c.id, turn.label("turn")).where(*conditions).subquery()


def in_turn(found: Subquery, *order: ColumnElement[Any]) -> Select[Any]:
    """Select the jobs of `turns`; `order` is that of the members."""
    joined = select(jobs).join(found, found.c.id == jobs.c.id)
    return joined.order_by(found.c.turn, *order, jobs.c.created_at).limit(bindparam("limit"))


def by_turns(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Select jobs so that members take turns, each with the oldest job first."""
    return in_turn(turns(*conditions))


def by_random_turns(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Select jobs so that members take turns, in a random order of the members and of their jobs.

    For jobs that stay in the list after the worker has read them: the next time, others come first.
    """
    return in_turn(turns(*conditions, order=func.random()), func.random())


def by_last_turns(found: Subquery, *order: ColumnElement[Any]) -> Select[Any]:
    """Select the jobs of `turns`; the parameter `served` lists the members by their last turns.

    `order` is that of members who are not in the list.
    """
    each = elements("served").table_valued("key", "value")
    served = select(each.c.key.cast(Integer), each.c.value.cast(BigInteger)).cte("served")
    # Materialized, because SQLite indexes a table for a join, but parses JSON again for each row.
    served = served.prefix_with("MATERIALIZED")
    place = func.coalesce(served.c.key, -1)
    return in_turn(found, place, *order).outerjoin(served, served.c.value == jobs.c.user_id)


async def list_jobs(
    connection: AsyncConnection, statement: Select[Any], **values: object
) -> list[Job]:
    return [job_of(row) for row in await connection.execute(statement, values)]


async def list_in_turn(
    connection: AsyncConnection,
    statement: Select[Any],
    served: Collection[int],
    limit: int,
    *,
    cut: bool = False,
    **values: object,
) -> list[Job]:
    """Query with the members' last turns only if the list is cut: else they change its order alone.

    The caller chooses by these turns among the jobs of the list. `cut` says that the list was cut
    the last time, which makes one query of two.
    """
    if not cut or not served:
        found = await list_jobs(connection, statement, served="[]", limit=limit, **values)
        if len(found) < limit or not served:
            return found
    return await list_jobs(connection, statement, served=listed(served), limit=limit, **values)
