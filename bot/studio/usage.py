"""A member's use of credits."""

from bot.ledger import Usage
from bot.services import Services
from bot.store import ledger


class UsageReports:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def month_of(self, user_id: int) -> Usage:
        """Return the current month (UTC) of a member, over all servers."""
        services = self._services
        async with services.database.reading() as view:
            return await ledger.usage_of(view, user_id, services.now(), services.quotas.allowance)
