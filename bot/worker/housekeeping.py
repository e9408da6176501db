"""Housekeeping: work that no event announces, found in the rows every two seconds."""

from datetime import datetime, timedelta

from bot.services import Services
from bot.store import queue
from bot.store.coordination import Duty
from bot.store.database import Connection
from bot.worker.deliver import Deliverer
from bot.worker.failover import Failover
from bot.worker.late_losses import LateLosses
from bot.worker.leases import Leases
from bot.worker.overdue import OverduePoller
from bot.worker.recovery import Recovery
from bot.worker.settle import Settler
from bot.worker.tasks import Due, Tasks
from bot.worker.waiting import Waiting

INTERVAL = timedelta(seconds=2)


class Housekeeping:
    def __init__(
        self,
        services: Services,
        leases: Leases,
        settler: Settler,
        deliverer: Deliverer,
        recovery: Recovery,
        waiting: Waiting,
    ) -> None:
        self._database = services.database
        self._coordination = services.coordination
        self._providers = services.providers
        self._settler = settler
        self._deliverer = deliverer
        self._recovery = recovery
        self._waiting = waiting
        self._overdue = OverduePoller(services, leases, settler, recovery)
        self._failover = Failover(services, deliverer)
        self._late_losses = LateLosses(services, leases)
        self._now = services.now
        self.next_turn = self._next_erase = self._next_prices = services.now()

    async def turn(self, tasks: Tasks) -> None:
        """Query the rows once, and start the work that is due."""
        now = self._now()
        self.next_turn = now + INTERVAL
        await self._erase_tokens(now)
        await self._refresh_prices(now)
        await self._recovery.resume(tasks.busy)
        async with self._database.reading() as view:
            # A minute before the token expires that can edit the message.
            soon = now + timedelta(minutes=1)
            expiring = await queue.expiring_statuses(view, now, expires_before=soon)
            due: list[Due] = [
                *await self._recovery.due(view, now),
                *((self._deliverer.show_final_status, job) for job in expiring),
            ]
            if self._coordination.has(Duty.AFTERCARE):
                due += await self._aftercare(view, now)
            else:
                self._waiting.places.leave()
        due += await self._waiting.slow(now)
        await tasks.start_all(due)

    async def _aftercare(self, view: Connection, now: datetime) -> list[Due]:
        """Return the work in rounds, which the memory of one process decides."""
        # A minute after the settlement, the estimate stands.
        estimated = await queue.estimated(
            view, now - timedelta(minutes=1), providers=self._providers
        )
        return [
            *await self._failover.due(view, now),
            *await self._overdue.due(view, now),
            *await self._late_losses.due(view, now),
            *((self._settler.correct_cost, job) for job in estimated),
            *await self._waiting.moved(view, now),
        ]

    async def _refresh_prices(self, now: datetime) -> None:
        """Let old costs leave the prices; new ones enter when a job is settled."""
        if now >= self._next_prices:
            self._next_prices = now + timedelta(hours=1)
            await self._settler.prices.refresh()

    async def _erase_tokens(self, now: datetime) -> None:
        if now >= self._next_erase:
            self._next_erase = now + timedelta(minutes=1)
            async with self._database.transaction() as tx:
                await queue.erase_tokens(tx, now)
