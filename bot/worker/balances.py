"""The balances at the services: read by one process, and known to all that share the database."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta

from bot.errors import NotNow, ProviderError, Reason
from bot.ledger import credits_text
from bot.service_balances import ServiceBalance
from bot.services import Services
from bot.store import service_balances
from bot.store.coordination import Duty, News

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
AGAIN = timedelta(seconds=10)  # at least, between two readings after errors about missing credits
READ_SECONDS = 30.0  # for one reading with its retries
EXCHANGE = 2.0  # seconds between two looks at what is due, or at what another process has read


def refused(services: Services, provider: str, reason: Reason, detail: str) -> None:
    """Note why a job got no picture; if credits are missing, the balance is read again soon."""
    services.health.refused(provider, reason, detail)
    if reason is Reason.CREDITS:
        services.coordination.announce(News.CREDITS, provider)


class BalanceReader:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._coordination = services.coordination
        self._providers = services.providers
        self._balances = services.balances
        self._now = services.now
        self._next: dict[str, datetime] = {}  # readings; of providers with a balance
        self._read_at: dict[str, datetime] = {}  # the last attempts
        self._failing: set[str] = set()  # providers whose last attempt failed
        self._doubted = asyncio.Event()

    async def run(self) -> None:
        """Read the balances that are due until cancelled, if this process has the duty."""
        self._coordination.listen(News.CREDITS, self._doubt)
        self._next = dict.fromkeys(self._providers, self._now())
        while True:
            try:
                await self._turn()
            except NotNow:  # the database has logged the cause
                log.info("balances at the services not stored, retrying")
            except Exception:
                log.exception("balances at the services not read, retrying")
            self._doubted.clear()
            try:
                async with asyncio.timeout(EXCHANGE):
                    await self._doubted.wait()
            except TimeoutError:
                pass

    async def exchange(self) -> None:
        """Take over the balances that another process, or an earlier run, has stored."""
        if not self._providers:
            return
        async with self._database.reading() as view:
            self._balances.adopt(await service_balances.read(view, self._providers))

    def _doubt(self, provider: str) -> None:
        """Let a balance be read soon: the service has refused a job for missing credits."""
        if provider in self._next:
            earliest = self._now()
            if last := self._read_at.get(provider):
                earliest = max(earliest, last + AGAIN)
            self._next[provider] = min(self._next[provider], earliest)
            self._doubted.set()

    async def _turn(self) -> None:
        if not self._coordination.has(Duty.PROBES):
            await self.exchange()
            return
        due = [key for key, moment in self._next.items() if moment <= self._now()]
        if due and self._database.shared:  # another process may have had the duty
            await self.exchange()
        await asyncio.gather(*(self._read(key) for key in due))
        await self._report()

    async def _read(self, provider: str) -> None:
        """Read and store one balance. After an error, the last known one stays."""
        self._read_at[provider] = now = self._now()
        self._next[provider] = now + EVERY
        try:
            async with asyncio.timeout(READ_SECONDS):
                credits = await self._providers[provider].balance()
        except (ProviderError, TimeoutError) as error:
            if provider not in self._failing:
                cause = str(error) or "no answer"
                log.info("balance at %s not read, retrying: %s", provider, cause)
            self._failing.add(provider)
            return
        self._failing.discard(provider)
        if credits is None:
            del self._next[provider]
            return
        before = self._balances.known.get(provider)
        await self._store(provider, ServiceBalance(credits, now, before is not None and before.low))

    async def _report(self) -> None:
        """Log once when new jobs begin to be refused, and once when that ends."""
        for provider, balance in self._balances.known.items():
            low = self._balances.is_low(provider, balance)
            if low == balance.low:
                continue
            await self._store(provider, replace(balance, low=low))
            if low:
                log.warning(
                    "balance at %s is %s credits, under the floor of %s: new jobs are refused",
                    provider,
                    credits_text(balance.credits),
                    credits_text(self._balances.floor(provider) or 0),
                )
            else:
                log.info(
                    "new jobs at %s are accepted again: the balance was %s credits at %s",
                    provider,
                    credits_text(balance.credits),
                    f"{balance.read_at:%Y-%m-%d %H:%M} UTC",
                )

    async def _store(self, provider: str, balance: ServiceBalance) -> None:
        async with self._database.transaction() as tx:
            await service_balances.store(tx, {provider: balance})
        self._balances.adopt({provider: balance})
