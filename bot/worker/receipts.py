"""Receipts: the requester's credits at the time of a delivery."""

import logging

from bot.delivery import Receipt
from bot.errors import NotNow
from bot.jobs import Job
from bot.ledger import EntryKind
from bot.services import Services
from bot.store import generations, ledger, usage

log = logging.getLogger(__name__)


class Receipts:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._quotas = services.quotas
        self._now = services.now

    async def of(self, job: Job) -> Receipt:
        """Return the receipt of a settled job; an empty one if the database does not answer now.

        A delivery never waits for it.
        """
        try:
            async with self._database.reading() as view:
                left = await usage.left_after(view, job, self._quotas, self._now())
                if job.overdue_at is not None:
                    entries = await ledger.entries_of(view, job.id)
                    estimated = any(
                        each.kind is EntryKind.ADJUSTMENT and "estimated" in each.details
                        for each in entries
                    )
                    return Receipt(left, estimated=estimated)
                if job.cost is not None:
                    return Receipt(left)
                made = await generations.of_job(view, job.id)
        except NotNow:
            log.info("receipt without the rest of the credits: the database does not answer")
            return Receipt()
        still_open = sum(each.state is None for each in made)
        return Receipt(left, job.price * still_open // max(len(made), 1))
