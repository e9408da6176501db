"""The requests for a deletion of a member's data, and the members who have data at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    String,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import ACTIVE
from bot.pseudonyms import MENTIONED_ID
from bot.rights import Subject
from bot.store.dialects import insert, keep_row
from bot.store.tables import (
    Utc,
    changes,
    erasures,
    favourites,
    job_pictures,
    jobs,
    ledger,
    preferences,
    rights,
)

USER: BindParameter[int] = bindparam("user")
UNTIL: BindParameter[datetime] = bindparam("until", type_=Utc)
# Columns that name members, each with the condition that a row is as old as the request.
MEMBERS: Mapping[Column[Any], ColumnElement[bool]] = {
    jobs.c.user_id: jobs.c.created_at <= UNTIL,
    jobs.c.canceled_by: jobs.c.created_at <= UNTIL,
    ledger.c.user_id: ledger.c.created_at <= UNTIL,
    favourites.c.user_id: favourites.c.created_at <= UNTIL,
    changes.c.user_id: changes.c.created_at <= UNTIL,
    preferences.c.user_id: or_(
        preferences.c.changed_at.is_(None), preferences.c.changed_at <= UNTIL
    ),
}
JOBS_OF_MEMBER = and_(jobs.c.user_id == USER, MEMBERS[jobs.c.user_id])
LEFT = select(func.count()).select_from(jobs).where(JOBS_OF_MEMBER)
# Pictures in messages of the member, in jobs of others.
TAKEN = and_(
    job_pictures.c.author_id == USER,
    exists().where(jobs.c.id == job_pictures.c.job_id, jobs.c.created_at <= UNTIL),
)
IS_TAKEN = select(job_pictures.c.sha256).where(TAKEN).limit(1)
# The same before the pictures are stored, or where they never were.
UNSTORED = and_(
    jobs.c.inputs_stored.is_(False),
    jobs.c.created_at <= UNTIL,
    cast(jobs.c.inputs, Text).contains(bindparam("author", type_=String)),
)
IS_AWAITED = select(jobs.c.id).where(UNSTORED, jobs.c.status.in_(ACTIVE)).limit(1)
NEWEST = select(func.max(jobs.c.created_at)).where(jobs.c.user_id == USER)
DATA = tuple(select(each).where(each == USER, is_old).limit(1) for each, is_old in MEMBERS.items())
TEXTS = (changes.c.subject, changes.c.before, changes.c.after)  # which may mention members
MENTION: BindParameter[str] = bindparam("mention", type_=String)
MENTIONED = and_(changes.c.created_at <= UNTIL, or_(*(each.contains(MENTION) for each in TEXTS)))
MENTIONING = select(changes.c.id).where(MENTIONED).limit(1)
NAMED = (
    select(rights.c.server_id)
    .where(rights.c.subject == Subject.MEMBER, rights.c.name == bindparam("name"))
    .limit(1)
)
ANYBODY = union(*(select(each).where(each > 0) for each in (*MEMBERS, job_pictures.c.author_id)))
MENTIONS = union(*(select(each).where(each.contains("<@")) for each in TEXTS))
PENDING = select(erasures).order_by(erasures.c.requested_at)
OF_MEMBER = select(erasures).where(erasures.c.user_id == USER)
ADD = keep_row(insert(erasures))
EXTEND = (
    update(erasures)
    .where(erasures.c.user_id == USER)
    .values(
        requested_at=bindparam("now", type_=Utc),
        with_results=bindparam("results"),
        total=bindparam("number"),
    )
)


@dataclass(frozen=True, slots=True)
class Erasure:
    """A deletion that has been requested and has not ended.

    `total` is the number of jobs at the request, `erased` that of the jobs by now.
    """

    user_id: int
    requested_at: datetime
    with_results: bool
    total: int = 0
    erased: int = 0

    @property
    def values(self) -> dict[str, object]:
        """The values of the parameters USER, UNTIL and of UNSTORED."""
        author = f'"author_id": {self.user_id}'
        return {"user": self.user_id, "until": self.requested_at, "author": author}


async def request(
    tx: AsyncConnection, user_id: int, now: datetime, *, with_results: bool
) -> Erasure:
    """Store a request, or extend the one that has not ended to everything that is stored now."""
    total = await jobs_left(tx, user_id, now)
    row = {"user_id": user_id, "requested_at": now, "with_results": with_results}
    while True:
        if found := await of_member(tx, user_id):
            until = max(now, found.requested_at)
            results, number = with_results or found.with_results, found.erased + total
            values = {"user": user_id, "now": until, "results": results, "number": number}
            await tx.execute(EXTEND, values)
            return Erasure(user_id, until, results, number, found.erased)
        added = await tx.execute(ADD, {**row, "total": total, "erased": 0})
        if added.rowcount:  # else another process has just stored one
            return Erasure(user_id, now, with_results, total)


async def of_member(connection: AsyncConnection, user_id: int) -> Erasure | None:
    """Return the member's deletion that has not ended."""
    row = (await connection.execute(OF_MEMBER, {"user": user_id})).one_or_none()
    return Erasure(*row) if row else None


async def pending(connection: AsyncConnection) -> list[Erasure]:
    """Return all deletions that have not ended, oldest first."""
    return [Erasure(*row) for row in await connection.execute(PENDING)]


async def jobs_left(connection: AsyncConnection, user_id: int, until: datetime) -> int:
    """Return the number of the member's jobs that are as old as `until`."""
    values = {"user": user_id, "until": until}
    return int((await connection.execute(LEFT, values)).scalar_one())


async def is_left(connection: AsyncConnection, erasure: Erasure) -> bool:
    """Return whether jobs of the member are left, or pictures in jobs of others."""
    if await jobs_left(connection, erasure.user_id, erasure.requested_at):
        return True
    for statement in (IS_TAKEN, IS_AWAITED):
        if (await connection.execute(statement, erasure.values)).first():
            return True
    return False


async def newest_job(connection: AsyncConnection, user_id: int) -> datetime | None:
    """Return the time of the member's newest request."""
    newest: datetime | None = (await connection.execute(NEWEST, {"user": user_id})).scalar_one()
    return newest


async def has_data(connection: AsyncConnection, user_id: int, until: datetime) -> bool:
    """Return whether a row as old as `until` has the member's id."""
    values = {"user": user_id, "until": until, "mention": mention_of(user_id)}
    found = [
        (await connection.execute(each, values)).first() for each in (*DATA, IS_TAKEN, MENTIONING)
    ]
    return any(found)


async def is_named(connection: AsyncConnection, user_id: int) -> bool:
    """Return whether managers have set something for the member alone."""
    return (await connection.execute(NAMED, {"name": str(user_id)})).first() is not None


async def members(connection: AsyncConnection) -> set[int]:
    """Return the ids of all members who have data, without pseudonyms."""
    texts = (await connection.execute(MENTIONS)).scalars()
    mentioned = {int(each) for text in texts for each in MENTIONED_ID.findall(text)}
    return mentioned.union((await connection.execute(ANYBODY)).scalars())


def mention_of(user_id: int) -> str:
    """Return how a stored change names a member."""
    return f"<@{user_id}>"
