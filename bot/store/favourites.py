"""The favourites of members. Statements are built once."""

from datetime import datetime

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import dialects
from bot.store.dialects import keep_row
from bot.store.tables import favourites

OF_MEMBER = favourites.c.user_id == bindparam("user")
ONE = (OF_MEMBER, favourites.c.job_id == bindparam("job"))
FIND = select(favourites.c.job_id).where(*ONE)
COUNT = select(func.count()).select_from(favourites).where(OF_MEMBER)
ADD = keep_row(dialects.insert(favourites))
REMOVE = delete(favourites).where(*ONE)


async def has(connection: AsyncConnection, user_id: int, job_id: str) -> bool:
    """Return whether a job is a favourite of this member."""
    return (await connection.execute(FIND, {"user": user_id, "job": job_id})).first() is not None


async def number_of(connection: AsyncConnection, user_id: int) -> int:
    """Return the number of a member's favourites."""
    return int((await connection.execute(COUNT, {"user": user_id})).scalar_one())


async def add(tx: AsyncConnection, user_id: int, job_id: str, now: datetime) -> None:
    """Make a job a favourite of this member; one that is a favourite already stays."""
    await tx.execute(ADD, {"user_id": user_id, "job_id": job_id, "created_at": now})


async def remove(tx: AsyncConnection, user_id: int, job_id: str) -> None:
    """Make a job no favourite of this member any more."""
    await tx.execute(REMOVE, {"user": user_id, "job": job_id})
