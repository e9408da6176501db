"""The deletion of a member's data, in slices of a few jobs.

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
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import Reason
from bot.jobs import ACTIVE, SETTLED, Job
from bot.pseudonyms import DELETED
from bot.rights import Subject
from bot.store import inputs_of_others
from bot.store.erasure_requests import (
    JOBS_OF_MEMBER,
    MEMBERS,
    MENTION,
    MENTIONED,
    TAKEN,
    TEXTS,
    UNTIL,
    USER,
    Erasure,
    mention_of,
)
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

# For a day after the settlement, open generations are polled, and those of an unknown outcome are
# searched for by the prompt. Other processes have other clocks.
ENDED_FOR = RESERVED_FOR + timedelta(hours=1)

PSEUDONYM: BindParameter[int] = bindparam("pseudonym")
_JOBS: BindParameter[Any] = bindparam("job_ids", expanding=True)
_HASHES: BindParameter[Any] = bindparam("hashes", expanding=True)
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
_is_active = and_(_active.c.id == _same.c.job_id, _active.c.status.in_(ACTIVE))
_in_use = exists().where(_own.c.job_id == jobs.c.id, _same.c.sha256 == _own.c.sha256, _is_active)
# Whoever uses the pictures again and again delays the deletion for a day at most.
_is_overdue = bindparam("reserved_since", type_=Utc) >= UNTIL
_is_erasable = or_(~_in_use, _is_overdue)
ERASABLE = (
    select(jobs)
    .where(JOBS_OF_MEMBER, _ended, _is_erasable)
    .where(jobs.c.id.not_in(bindparam("without", expanding=True)))
    .order_by(jobs.c.created_at)
    .limit(bindparam("limit"))
)
_taken_in_use = exists().where(_same.c.sha256 == job_pictures.c.sha256, _is_active)
TAKEN_HASHES = (
    select(job_pictures.c.sha256)
    .where(TAKEN, or_(~_taken_in_use, _is_overdue))
    .distinct()
    .limit(bindparam("limit"))
)
# A picture belongs to the member whose job had the picture first, as input or as result, or in
# whose message it was then.
_first = (
    select(
        job_pictures.c.sha256,
        func.coalesce(job_pictures.c.author_id, jobs.c.user_id).label("user_id"),
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
DISOWN = (
    update(job_pictures)
    .where(job_pictures.c.author_id == USER, job_pictures.c.sha256.in_(_HASHES))
    .values(author_id=None)
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
FORGET_OWN = tuple(
    delete(each.table).where(each == USER, MEMBERS[each])
    for each in (favourites.c.user_id, preferences.c.user_id)
)
FORGET_WARNINGS = delete(warnings).where(
    or_(
        warnings.c.scope == bindparam("month", type_=String),
        warnings.c.scope.like(bindparam("of_servers", type_=String)),
    )
)
RENAME = tuple(
    update(each.table).where(each == USER, MEMBERS[each]).values({each: PSEUDONYM})
    for each in (jobs.c.canceled_by, ledger.c.user_id, changes.c.user_id)
)
UNMENTION = (
    update(changes)
    .where(MENTIONED)
    .values({each.name: func.replace(each, MENTION, DELETED) for each in TEXTS})
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


@dataclass(frozen=True, slots=True)
class Slice:
    """Jobs to erase together, and what goes with them.

    `owned` are the member's pictures, which go from the inputs of others too; `unused` are pictures
    that no job has afterwards; `taken` are those that others have taken from the member's messages.
    """

    jobs: Sequence[Job]
    taken: Collection[str] = ()
    owned: Collection[str] = ()
    unused: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.jobs or self.taken)


async def next_slice(
    connection: AsyncConnection,
    erasure: Erasure,
    now: datetime,
    limit: int,
    without: Collection[str] = (),
) -> Slice:
    """Return the next jobs that have ended, then the pictures that others have taken.

    The slice is empty if all that is left is still under way. The jobs in `without` are left for a
    later slice.
    """
    values = {
        **erasure.values,
        "reserved_since": now - ENDED_FOR,
        "limit": limit,
        "without": [*without],
    }
    found = [job_of(row) for row in await connection.execute(ERASABLE, values)]
    taken: Sequence[str] = ()
    if not found:
        taken = (await connection.execute(TAKEN_HASHES, values)).scalars().all()
    return await slice_of(connection, erasure, found, taken)


async def slice_of(
    connection: AsyncConnection, erasure: Erasure, found: Sequence[Job], taken: Collection[str] = ()
) -> Slice:
    """Return the slice of these jobs and pictures, with the pictures as they are used now."""
    if not found and not taken:
        return Slice(())
    ids = [job.id for job in found]
    hashes = {*taken, *(await connection.execute(HASHES_OF, {"job_ids": ids})).scalars()}
    of_hashes = {"hashes": [*hashes], "user": erasure.user_id, "job_ids": ids}
    owned = {*(await connection.execute(OWNED, of_hashes)).scalars()}
    elsewhere = (await connection.execute(USED_ELSEWHERE, of_hashes)).all()
    used = {
        each.sha256 for each in elsewhere if each.role == Role.OUTPUT or each.sha256 not in owned
    }
    return Slice(found, taken, owned, hashes - used)


async def erase(
    tx: AsyncConnection, erasure: Erasure, pseudonym: int, chosen: Slice, now: datetime
) -> None:
    """Blank the jobs of a slice, and let the pseudonym have them and their entries."""
    values = {"user": erasure.user_id, "pseudonym": pseudonym}
    ids = [job.id for job in chosen.jobs]
    await inputs_of_others.blank(tx, erasure, ids, owned=chosen.owned, taken=chosen.taken)
    await tx.execute(DETACH, {"job_ids": ids, "hashes": [*chosen.owned]})
    await tx.execute(DISOWN, {"user": erasure.user_id, "hashes": [*chosen.taken]})
    for statement in (FORGET_COPIES, FORGET_PICTURES):
        await tx.execute(statement, {"hashes": [*chosen.unused]})
    await tx.execute(UNFAVOUR, {"job_ids": ids})
    await tx.execute(RENAME_ENTRIES, {**values, "job_ids": ids})
    blank = [
        {**values, "job_id": job.id, "now": now, "left": {"count": job.request.count}}
        for job in chosen.jobs
    ]
    if blank:
        await tx.execute(BLANK, blank)
        await tx.execute(COUNT, {**erasure.values, "number": len(ids)})


async def end(tx: AsyncConnection, erasure: Erasure, pseudonym: int) -> None:
    """Erase what belongs to no job, and the request."""
    own, hidden = str(erasure.user_id), str(pseudonym)
    for statement in FORGET_OWN:
        await tx.execute(statement, erasure.values)
    await tx.execute(FORGET_WARNINGS, {"month": f"month:{own}", "of_servers": f"member:%:{own}"})
    for rename in RENAME:
        await tx.execute(rename, {**erasure.values, "pseudonym": pseudonym})
    mention = {"until": erasure.requested_at, "mention": mention_of(erasure.user_id)}
    await tx.execute(UNMENTION, mention)
    await tx.execute(REPLACE_RIGHTS, {"own": own, "hidden": hidden})
    await tx.execute(RENAME_RIGHTS, {"own": own, "hidden": hidden})
    await tx.execute(END, erasure.values)
