"""A member's own choices, read at each request and fixed in its route."""

from bot.jobs import Notify
from bot.services import Services
from bot.store import preferences
from bot.studio.requests import WRITE_LOCK_TIMEOUT


class Preferences:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._now = services.now

    async def notify_of(self, user_id: int) -> Notify:
        """Return how results reach a member, in every server."""
        async with self._database.reading() as view:
            return await preferences.notify_of(view, user_id)

    async def choose_notify(self, user_id: int, notify: Notify) -> None:
        """Let the results of later requests reach a member in this manner."""
        now = self._now()
        await self._database.run(
            lambda tx: preferences.choose_notify(tx, user_id, notify, now),
            timeout=WRITE_LOCK_TIMEOUT,
        )
