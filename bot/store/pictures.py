"""Every query on pictures: the stored files, and the jobs they belong to.

The bytes are files; see bot.pictures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Integer, Row, String, and_, bindparam, case, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import ACTIVE, Job, JobStatus, Picture, PictureKind
from bot.store import dialects
from bot.store.dialects import keep_row
from bot.store.job_rows import job_of
from bot.store.tables import Utc, job_pictures, jobs, pictures, reduced_copies


class Role(StrEnum):
    INPUT = "input"
    OUTPUT = "output"


ENDED_UNCHARGED = and_(
    jobs.c.status.in_([JobStatus.FAILED, JobStatus.CANCELED]), jobs.c.cost.is_(None)
)
NEEDED = or_(
    jobs.c.status.in_(ACTIVE),
    and_(jobs.c.delivered_at.is_(None), job_pictures.c.role == Role.OUTPUT),
)
USES = (
    select(
        job_pictures.c.sha256,
        func.max(jobs.c.created_at).label("last"),
        func.max(func.coalesce(jobs.c.overdue_at, jobs.c.settled_at)).label("ended"),
        func.max(case((NEEDED, 1), else_=0)).label("needed"),
        func.max(case((ENDED_UNCHARGED, 0), else_=1)).label("charged"),
    )
    .join(jobs, jobs.c.id == job_pictures.c.job_id)
    .group_by(job_pictures.c.sha256)
)
_inputs_of_uncharged = (
    select(job_pictures.c.sha256)
    .join(jobs, jobs.c.id == job_pictures.c.job_id)
    .where(job_pictures.c.role == Role.INPUT, ENDED_UNCHARGED)
)
# Both halves are ranges of the index on status and delivered_at; an OR would read all such jobs.
INPUTS_OF_UNCHARGED = _inputs_of_uncharged.where(jobs.c.delivered_at.is_(None)).union(
    _inputs_of_uncharged.where(jobs.c.delivered_at > bindparam("since", type_=Utc))
)

GET = select(pictures).where(pictures.c.sha256 == bindparam("sha256"))
KNOW = keep_row(dialects.insert(pictures))
NOTE_COPY = keep_row(dialects.insert(reduced_copies))
# One list: PostgreSQL reads every row for an OR with a subquery.
_same = select(bindparam("sha256", type_=String)).union_all(
    select(reduced_copies.c.original).where(
        reduced_copies.c.sha256 == bindparam("sha256", type_=String)
    )
)
JOBS_OF = (
    select(jobs)
    .join(job_pictures, job_pictures.c.job_id == jobs.c.id)
    .where(job_pictures.c.role == Role.OUTPUT, job_pictures.c.sha256.in_(_same))
    .order_by(jobs.c.created_at.desc())
    .limit(bindparam("limit", type_=Integer))
)


async def attach(
    tx: AsyncConnection,
    job_id: str,
    role: Role,
    stored: Sequence[Picture],
    now: datetime,
    *,
    after: int = 0,
    authors: Sequence[int | None] = (),
) -> None:
    """Attach pictures to a job in their order, from position `after` on.

    The same bytes may belong to many jobs. `authors` are the other members in whose messages inputs
    were, one for each picture, or none at all.
    """
    await tx.execute(
        KNOW,
        [
            {
                "sha256": picture.sha256,
                "kind": picture.kind,
                "size": picture.size,
                "width": picture.width,
                "height": picture.height,
                "created_at": now,
            }
            # In the order of their keys, so that transactions with the same pictures never wait
            # for each other in a circle.
            for picture in sorted(stored, key=lambda each: each.sha256)
        ],
    )
    await tx.execute(
        insert(job_pictures),
        [
            {
                "job_id": job_id,
                "role": role,
                "position": after + number,
                "sha256": picture.sha256,
                "author_id": authors[number] if authors else None,
            }
            for number, picture in enumerate(stored)
        ],
    )


@dataclass(frozen=True, slots=True)
class Use:
    """All uses of a picture together.

    `last` is the request of the newest job, `ended` the newest end of a job. A `needed` picture
    belongs to an active job, or is a result that is not delivered. A `charged` one belongs to a
    job that is active or was charged.
    """

    last: datetime
    ended: datetime | None
    needed: bool
    charged: bool


async def uses(connection: AsyncConnection, hashes: Iterable[str] | None = None) -> dict[str, Use]:
    """Return the uses of these pictures, or of all, by SHA-256; unused ones are left out."""
    rows: list[Row[Any]] = []
    if hashes is None:
        rows += await connection.execute(USES)
    else:
        known = list(hashes)
        for at in range(0, len(known), 500):  # SQLite limits the parameters of a statement
            part = known[at : at + 500]
            rows += await connection.execute(USES.where(job_pictures.c.sha256.in_(part)))
    return {
        row.sha256: Use(row.last, row.ended, bool(row.needed), bool(row.charged)) for row in rows
    }


async def inputs_of_uncharged(connection: AsyncConnection, since: datetime) -> list[str]:
    """Return the inputs of jobs that ended uncharged, and were delivered after `since` or never.

    Other jobs may have the same pictures.
    """
    return list((await connection.execute(INPUTS_OF_UNCHARGED, {"since": since})).scalars())


async def get(connection: AsyncConnection, sha256: str) -> Picture | None:
    """Return a picture that was stored once; the file may have been removed."""
    row = (await connection.execute(GET, {"sha256": sha256})).one_or_none()
    return picture_of(row) if row else None


async def note_copy(tx: AsyncConnection, sha256: str, original: str) -> None:
    """Store of which picture a reduced copy is."""
    await tx.execute(NOTE_COPY, {"sha256": sha256, "original": original})


async def jobs_of(connection: AsyncConnection, sha256: str, limit: int) -> list[Job]:
    """Return the newest jobs with this result, or with the picture that this is a copy of."""
    rows = await connection.execute(JOBS_OF, {"sha256": sha256, "limit": limit})
    return [job_of(row) for row in rows]


async def of_job(connection: AsyncConnection, job_id: str, role: Role) -> list[Picture]:
    statement = (
        select(pictures)
        .join(job_pictures, job_pictures.c.sha256 == pictures.c.sha256)
        .where(job_pictures.c.job_id == job_id, job_pictures.c.role == role)
        .order_by(job_pictures.c.position)
    )
    return [picture_of(row) for row in await connection.execute(statement)]


def picture_of(row: Row[Any]) -> Picture:
    return Picture(
        sha256=row.sha256,
        kind=PictureKind(row.kind),
        size=row.size,
        width=row.width,
        height=row.height,
    )
