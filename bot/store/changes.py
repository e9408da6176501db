"""The changes that managers have made in a server, append-only like the ledger."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables import changes

APPEND = insert(changes)
OF_SERVER = (
    select(changes)
    .where(changes.c.server_id == bindparam("server"), changes.c.id < bindparam("before_id"))
    .order_by(changes.c.id.desc())
    .limit(bindparam("limit"))
)
NEWEST = 2**62


@dataclass(frozen=True, slots=True)
class Change:
    """A change in a server by `user_id`; `before` and `after` are texts for managers."""

    server_id: int
    user_id: int
    created_at: datetime
    subject: str
    before: str
    after: str
    id: int = 0  # given by the database


async def append(tx: AsyncConnection, change: Change) -> None:
    await tx.execute(
        APPEND,
        {
            "server_id": change.server_id,
            "user_id": change.user_id,
            "created_at": change.created_at,
            "subject": change.subject[:100],
            "before": change.before,
            "after": change.after,
        },
    )


async def of_server(
    connection: AsyncConnection, server_id: int, limit: int, *, before_id: int = NEWEST
) -> list[Change]:
    """Return a server's changes, newest first; `before_id` is the last one of the page before."""
    values = {"server": server_id, "before_id": before_id, "limit": limit}
    return [Change(**row._asdict()) for row in await connection.execute(OF_SERVER, values)]
