"""The deletion of a member's data: requested once, then made in slices of a few jobs.

What is older than the request goes. Rows of jobs and the ledger stay with their amounts, under a
pseudonym; everything that the member has written or chosen is blanked or removed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import Reason
from bot.jobs import ACTIVE, SETTLED, Job
from bot.pseudonyms import DELETED
from bot.rights import Subject
from bot.store.job_rows import job_of
from bot.store.ledger import RESERVED_FOR
from bot.store.pictures import Role
from bot.store.tables import (
    Utc,
    changes,
    erasures,
    favourites,
    generations,
    job_pictures,
    jobs,
    ledger,
    pictures,
    preferences,
    reduced_copies,
    rights,
    warnings,
)

# A little longer than the worker polls, and searches for, what was given up.
ENDED_FOR = RESERVED_FOR + timedelta(hours=1)

USER: BindParameter[int] = bindparam("user")
UNTIL = bindparam("until", type_=Utc)
PSEUDONYM: BindParameter[int] = bindparam("pseudonym")
_JOBS: BindParameter[Any] = bindparam("job_ids", expanding=True)
_HASHES: BindParameter[Any] = bindparam("hashes", expanding=True)
_of_member = and_(jobs.c.user_id == USER, jobs.c.created_at <= UNTIL)
# Jobs under way end first, also those that were given up and may still be charged, and those of
# which the generations are searched for by the prompt.
_ended = and_(
    jobs.c.status.in_(SETTLED),
    jobs.c.delivered_at.is_not(None),
    or_(
        jobs.c.settled_at <= bindparam("reserved_since", type_=Utc),
        and_(
            ~exists().where(generations.c.job_id == jobs.c.id, generations.c.state.is_(None)),
            func.coalesce(jobs.c.reason, "") != Reason.DOUBTFUL,
        ),
    ),
)
_own, _same = job_pictures.alias("own"), job_pictures.alias("same")
_active = jobs.alias("active")
_in_use = (
    exists()
    .where(_own.c.job_id == jobs.c.id)
    .where(_same.c.sha256 == _own.c.sha256)
    .where(_active.c.id == _same.c.job_id, _active.c.status.in_(ACTIVE))
)
# Whoever uses the pictures again and again delays the deletion for a day at most.
_is_erasable = or_(~_in_use, bindparam("reserved_since", type_=Utc) >= UNTIL)
ERASABLE = (
    select(jobs)
    .where(_of_member, _ended, _is_erasable)
    .order_by(jobs.c.created_at)
    .limit(bindparam("limit"))
)
LEFT = select(func.count()).select_from(jobs).where(_of_member)
PENDING = select(erasures).order_by(erasures.c.requested_at)
OF_MEMBER = select(erasures).where(erasures.c.user_id == USER)
# A picture belongs to the member whose job had it first: who made it, or brought it.
_first = (
    select(
        job_pictures.c.sha256,
        jobs.c.user_id,
        func.row_number()
        .over(
            partition_by=job_pictures.c.sha256,
            order_by=(jobs.c.created_at, job_pictures.c.role.desc(), jobs.c.id),
        )
        .label("place"),
    )
    .join(jobs, jobs.c.id == job_pictures.c.job_id)
    .where(job_pictures.c.sha256.in_(_HASHES))
    .subquery()
)
OWNED = select(_first.c.sha256).where(_first.c.place == 1, _first.c.user_id == USER)
HASHES_OF = select(job_pictures.c.sha256).where(job_pictures.c.job_id.in_(_JOBS)).distinct()
USED_ELSEWHERE = (
    select(job_pictures.c.sha256, job_pictures.c.role)
    .where(job_pictures.c.sha256.in_(_HASHES), job_pictures.c.job_id.not_in(_JOBS))
    .distinct()
)
DETACH = delete(job_pictures).where(
    or_(
        job_pictures.c.job_id.in_(_JOBS),
        and_(job_pictures.c.role == Role.INPUT, job_pictures.c.sha256.in_(_HASHES)),
    )
)
FORGET_COPIES = delete(reduced_copies).where(reduced_copies.c.original.in_(_HASHES))
FORGET_PICTURES = delete(pictures).where(
    pictures.c.sha256.in_(_HASHES),
    # Another job may have got the same picture since the slice was read.
    ~exists().where(job_pictures.c.sha256 == pictures.c.sha256),
)
UNFAVOUR = delete(favourites).where(favourites.c.job_id.in_(_JOBS))
RENAME_ENTRIES = (
    update(ledger)
    .where(ledger.c.job_id.in_(_JOBS), ledger.c.user_id == USER)
    .values(user_id=PSEUDONYM)
)
BLANK = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"), jobs.c.user_id == USER)
    .values(
        user_id=PSEUDONYM,
        options=bindparam("left"),
        prompt="",
        inputs=[],
        hidden_at=func.coalesce(jobs.c.hidden_at, bindparam("now", type_=Utc)),
        channel_id=0,
        epoch=jobs.c.epoch + 1,  # a task that has read the job before writes no more
        **dict.fromkeys(
            (
                *("interaction_token", "status_message_id", "result_message_id", "remark"),
                *("expanded_prompt", "delivery_error", "reply_to_id", "result_channel_id"),
                *("guild_id", "parent_id", "origin_id", "locale", "source_job_id", "secret"),
            ),
        ),
    )
)
COUNT = (
    update(erasures)
    .where(erasures.c.user_id == USER, erasures.c.requested_at == UNTIL)
    .values(erased=erasures.c.erased + bindparam("number"))
)
FORGET_FAVOURITES = delete(favourites).where(
    favourites.c.user_id == USER, favourites.c.created_at <= UNTIL
)
FORGET_CHOICES = delete(preferences).where(preferences.c.user_id == USER)
FORGET_WARNINGS = delete(warnings).where(
    or_(
        warnings.c.scope == bindparam("month", type_=String),
        warnings.c.scope.like(bindparam("of_servers", type_=String)),
    )
)
RENAME_MODERATOR = update(jobs).where(jobs.c.canceled_by == USER).values(canceled_by=PSEUDONYM)
RENAME_REST = tuple(
    update(table)
    .where(table.c.user_id == USER, table.c.created_at <= UNTIL)
    .values(user_id=PSEUDONYM)
    for table in (ledger, changes)
)
_texts = (changes.c.subject, changes.c.before, changes.c.after)
_mention = bindparam("mention", type_=String)
UNMENTION = (
    update(changes)
    .where(
        changes.c.created_at <= UNTIL,
        or_(*(each.contains(_mention) for each in _texts)),
    )
    .values({each.name: func.replace(each, _mention, DELETED) for each in _texts})
)
_of_name = and_(rights.c.subject == Subject.MEMBER, rights.c.name == bindparam("own"))
_former = rights.alias("former")
REPLACE_RIGHTS = delete(rights).where(
    rights.c.subject == Subject.MEMBER,
    rights.c.name == bindparam("hidden"),
    rights.c.server_id.in_(
        select(_former.c.server_id).where(
            _former.c.subject == Subject.MEMBER, _former.c.name == bindparam("own")
        )
    ),
)
RENAME_RIGHTS = update(rights).where(_of_name).values(name=bindparam("hidden"))
END = delete(erasures).where(erasures.c.user_id == USER, erasures.c.requested_at == UNTIL)
REPEAT = (
    update(erasures)
    .where(erasures.c.user_id == USER)
    .values(
        requested_at=bindparam("now", type_=Utc),
        with_results=bindparam("results"),
        total=bindparam("number"),
    )
)
_DATED = (  # columns with members, in tables with times
    jobs.c.user_id,
    jobs.c.canceled_by,
    ledger.c.user_id,
    favourites.c.user_id,
    changes.c.user_id,
)
ANYBODY = union(*(select(each).where(each > 0) for each in _DATED))
CHOICES = select(preferences.c.user_id).where(preferences.c.user_id == USER)
OLDER = tuple(
    select(each).where(each == USER, each.table.c.created_at <= UNTIL).limit(1) for each in _DATED
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


@dataclass(frozen=True, slots=True)
class Slice:
    """Jobs to erase together, and what goes with them.

    `owned` are the member's pictures, which go from the inputs of others too; `unused` are pictures
    that no job has afterwards.
    """

    jobs: Sequence[Job]
    owned: Collection[str]
    unused: Collection[str]


async def request(
    tx: AsyncConnection, user_id: int, now: datetime, *, with_results: bool
) -> Erasure:
    """Store the request. One that has not ended is extended to what was stored since."""
    values = {"user": user_id, "until": now}
    total = int((await tx.execute(LEFT, values)).scalar_one())
    if found := await of_member(tx, user_id):
        results, number = with_results or found.with_results, found.erased + total
        values = {"user": user_id, "now": now, "results": results, "number": number}
        await tx.execute(REPEAT, values)
        return Erasure(user_id, now, results, number, found.erased)
    made = Erasure(user_id, now, with_results, total)
    row = {"user_id": user_id, "requested_at": now, "with_results": with_results}
    await tx.execute(insert(erasures), {**row, "total": total, "erased": 0})
    return made


async def of_member(connection: AsyncConnection, user_id: int) -> Erasure | None:
    row = (await connection.execute(OF_MEMBER, {"user": user_id})).one_or_none()
    return Erasure(*row) if row else None


async def pending(connection: AsyncConnection) -> list[Erasure]:
    """Return all deletions that have not ended, oldest first."""
    return [Erasure(*row) for row in await connection.execute(PENDING)]


async def left(connection: AsyncConnection, erasure: Erasure) -> int:
    """Return the number of jobs that are still to be erased."""
    return int((await connection.execute(LEFT, _values(erasure))).scalar_one())


async def has_data(connection: AsyncConnection, user_id: int, until: datetime) -> bool:
    """Return whether any row of this time names the member."""
    values = {"user": user_id, "until": until}
    found = [(await connection.execute(each, values)).first() for each in OLDER]
    return any(found)


async def has_choices(connection: AsyncConnection, user_id: int) -> bool:
    """Return whether the member has chosen anything: such rows have no time."""
    return (await connection.execute(CHOICES, {"user": user_id})).first() is not None


async def members(connection: AsyncConnection) -> list[int]:
    """Return the ids of all members who have rows, without pseudonyms."""
    return [*(await connection.execute(ANYBODY)).scalars()]


async def next_slice(
    connection: AsyncConnection, erasure: Erasure, now: datetime, limit: int
) -> Slice:
    """Return the next jobs that have ended; none if the others are still under way."""
    values = {**_values(erasure), "reserved_since": now - ENDED_FOR, "limit": limit}
    found = [job_of(row) for row in await connection.execute(ERASABLE, values)]
    return await slice_of(connection, erasure, found)


async def slice_of(connection: AsyncConnection, erasure: Erasure, found: Sequence[Job]) -> Slice:
    """Return the slice of these jobs, with the pictures as they are used now."""
    if not found:
        return Slice((), (), ())
    ids = [job.id for job in found]
    hashes = [*(await connection.execute(HASHES_OF, {"job_ids": ids})).scalars()]
    of_hashes = {"hashes": hashes, "user": erasure.user_id, "job_ids": ids}
    owned = {*(await connection.execute(OWNED, of_hashes)).scalars()}
    elsewhere = (await connection.execute(USED_ELSEWHERE, of_hashes)).all()
    used = {
        each.sha256 for each in elsewhere if each.role == Role.OUTPUT or each.sha256 not in owned
    }
    return Slice(found, owned, {*hashes} - used)


async def erase(
    tx: AsyncConnection, erasure: Erasure, pseudonym: int, chosen: Slice, now: datetime
) -> None:
    """Blank the jobs of a slice, and let the pseudonym have them and their entries."""
    values = {"user": erasure.user_id, "pseudonym": pseudonym}
    ids = [job.id for job in chosen.jobs]
    await tx.execute(DETACH, {"job_ids": ids, "hashes": [*chosen.owned]})
    for statement in (FORGET_COPIES, FORGET_PICTURES):
        await tx.execute(statement, {"hashes": [*chosen.unused]})
    await tx.execute(UNFAVOUR, {"job_ids": ids})
    await tx.execute(RENAME_ENTRIES, {**values, "job_ids": ids})
    await tx.execute(
        BLANK,
        [
            {**values, "job_id": job.id, "now": now, "left": {"count": job.request.count}}
            for job in chosen.jobs
        ],
    )
    await tx.execute(COUNT, {**_values(erasure), "number": len(ids)})


async def end(tx: AsyncConnection, erasure: Erasure, pseudonym: int) -> None:
    """Erase what belongs to no job, and the request."""
    own, hidden = str(erasure.user_id), str(pseudonym)
    member, renamed = {"user": erasure.user_id}, {"pseudonym": pseudonym}
    await tx.execute(FORGET_FAVOURITES, _values(erasure))
    await tx.execute(FORGET_CHOICES, member)
    await tx.execute(FORGET_WARNINGS, {"month": f"month:{own}", "of_servers": f"member:%:{own}"})
    await tx.execute(RENAME_MODERATOR, {**member, **renamed})
    for statement in RENAME_REST:
        await tx.execute(statement, {**_values(erasure), **renamed})
    await tx.execute(UNMENTION, {"until": erasure.requested_at, "mention": f"<@{own}>"})
    await tx.execute(REPLACE_RIGHTS, {"own": own, "hidden": hidden})
    await tx.execute(RENAME_RIGHTS, {"own": own, "hidden": hidden})
    await tx.execute(END, _values(erasure))


def _values(erasure: Erasure) -> dict[str, object]:
    return {"user": erasure.user_id, "until": erasure.requested_at}
