"""Notes: small facts that survive a restart, by name."""

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables import notes


async def read(connection: AsyncConnection, name: str) -> str | None:
    statement = select(notes.c.value).where(notes.c.name == name)
    return (await connection.execute(statement)).scalar_one_or_none()


async def write(tx: AsyncConnection, name: str, value: str) -> None:
    await tx.execute(delete(notes).where(notes.c.name == name))
    await tx.execute(insert(notes).values(name=name, value=value))
