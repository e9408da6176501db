"""Every query on pictures: the stored files, and the jobs they belong to.

The bytes are files; see bot.pictures.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import ACTIVE, Picture, PictureKind
from bot.store.tables import job_pictures, jobs, pictures


class Role(StrEnum):
    INPUT = "input"
    OUTPUT = "output"


async def attach(
    tx: AsyncConnection,
    job_id: str,
    role: Role,
    stored: Sequence[Picture],
    now: datetime,
    *,
    after: int = 0,
) -> None:
    """Attach pictures to a job in their order, from position `after` on.

    The same bytes may belong to many jobs.
    """
    hashes = [picture.sha256 for picture in stored]
    known = select(pictures.c.sha256).where(pictures.c.sha256.in_(hashes))
    seen = set((await tx.execute(known)).scalars())
    new = {picture.sha256: picture for picture in stored if picture.sha256 not in seen}
    if new:
        await tx.execute(
            insert(pictures),
            [
                {
                    "sha256": picture.sha256,
                    "kind": picture.kind,
                    "size": picture.size,
                    "width": picture.width,
                    "height": picture.height,
                    "created_at": now,
                }
                for picture in new.values()
            ],
        )
    await tx.execute(
        insert(job_pictures),
        [
            {"job_id": job_id, "role": role, "position": position, "sha256": sha256}
            for position, sha256 in enumerate(hashes, start=after)
        ],
    )


async def last_uses(connection: AsyncConnection) -> dict[str, datetime]:
    """Return the time of the newest job of each picture, by the picture's SHA-256."""
    statement = (
        select(job_pictures.c.sha256, func.max(jobs.c.created_at).label("last"))
        .join(jobs, jobs.c.id == job_pictures.c.job_id)
        .group_by(job_pictures.c.sha256)
    )
    return {row.sha256: row.last for row in await connection.execute(statement)}


async def needed(connection: AsyncConnection) -> frozenset[str]:
    """Return the pictures of jobs that are active, or not delivered yet."""
    statement = (
        select(job_pictures.c.sha256)
        .join(jobs, jobs.c.id == job_pictures.c.job_id)
        .where(or_(jobs.c.status.in_(ACTIVE), jobs.c.delivered_at.is_(None)))
    )
    return frozenset((await connection.execute(statement)).scalars())


async def of_job(connection: AsyncConnection, job_id: str, role: Role) -> list[Picture]:
    statement = (
        select(pictures)
        .join(job_pictures, job_pictures.c.sha256 == pictures.c.sha256)
        .where(job_pictures.c.job_id == job_id, job_pictures.c.role == role)
        .order_by(job_pictures.c.position)
    )
    return [
        Picture(
            sha256=row.sha256,
            kind=PictureKind(row.kind),
            size=row.size,
            width=row.width,
            height=row.height,
        )
        for row in await connection.execute(statement)
    ]
