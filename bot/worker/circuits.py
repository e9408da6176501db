"""The providers' circuits, shared between processes: an outage is found once, and known to all."""

import asyncio
import logging
from datetime import timedelta

from bot.errors import NotNow
from bot.health import CircuitState
from bot.services import Services
from bot.store import circuits
from bot.worker.balances import BalanceReader
from bot.worker.prices import Prices

log = logging.getLogger(__name__)

EXCHANGE = 2.0  # seconds between two exchanges of a gateway
PRICES = timedelta(minutes=1)


class SharedCircuits:
    """Publishes the changes of this process, and takes over those of others.

    If two processes change one circuit within two seconds, the state that is published last holds.
    Each further request or probe corrects a wrong state.
    """

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._coordination = services.coordination
        self._health = services.health
        self._known: dict[str, CircuitState] = {}  # the last states that were published or read

    async def exchange(self) -> None:
        """Publish what has changed here since the last exchange; then adopt what others have."""
        if not self._database.shared:
            return
        changed = {
            provider: state
            for provider in self._health.known
            if (state := self._health.state_of(provider)) != self._known.get(provider, CLOSED)
        }
        if changed:
            async with self._database.transaction() as tx:
                await circuits.publish(tx, self._coordination.process, changed)
            self._known |= changed
        async with self._database.reading() as view:
            published = await circuits.read(view)
        # Of a provider that is not configured here any more, a row may have stayed.
        for provider in published.keys() & {*self._health.known}:
            state = published[provider]
            if state != self._known.get(provider, CLOSED):
                self._health.adopt(provider, state)
                self._known[provider] = state


CLOSED = CircuitState()


async def follow_workers(services: Services) -> None:
    """Keep what a gateway shows true until cancelled: which providers are down, and the prices."""
    shared, prices, balances = SharedCircuits(services), Prices(services), BalanceReader(services)
    next_prices = services.now() + PRICES
    while True:
        try:
            await shared.exchange()
            await balances.exchange()
            if services.now() >= next_prices:
                await prices.refresh()
                next_prices = services.now() + PRICES
        except NotNow:  # the database has logged the cause
            log.warning("circuits and prices of the workers not read, retrying")
        except Exception:
            log.exception("exchange with the workers failed, retrying")
        await asyncio.sleep(EXCHANGE)
