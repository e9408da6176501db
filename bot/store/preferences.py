"""The choices of members, which hold in every server."""

from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Notify
from bot.store.dialects import insert, replace_row
from bot.store.tables import preferences

NOTIFY_OF = select(preferences.c.notify).where(preferences.c.user_id == bindparam("user"))
CHOOSE = replace_row(insert(preferences), preferences)


async def notify_of(connection: AsyncConnection, user_id: int) -> Notify:
    """Return how results reach a member; PING if the member has chosen nothing."""
    chosen = (await connection.execute(NOTIFY_OF, {"user": user_id})).scalar_one_or_none()
    return Notify.PING if chosen is None else Notify(chosen)


async def choose_notify(tx: AsyncConnection, user_id: int, notify: Notify, now: datetime) -> None:
    await tx.execute(CHOOSE, {"user_id": user_id, "notify": notify, "changed_at": now})
