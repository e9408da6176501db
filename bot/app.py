"""The composition root: one running Easel, from the settings to the last task."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from bot.clock import SteadyClock
from bot.config import Config
from bot.discord_session import DiscordSession
from bot.errors import ProviderError
from bot.observability.endpoint import HealthReport, HealthServer
from bot.opening import open_services
from bot.rest_session import RestSession
from bot.services import Services
from bot.shards import Shards
from bot.store.backends import open_permits
from bot.store.coordination import ADVANCING, Duty, News, Role
from bot.studio import Studio
from bot.worker.balances import BalanceReader
from bot.worker.circuits import follow_workers
from bot.worker.erasing import Eraser
from bot.worker.old_prompts import OldPrompts
from bot.worker.prices import Prices
from bot.worker.worker import Worker

log = logging.getLogger(__name__)

DRAIN_SECONDS = 8.0  # Docker kills ten seconds after SIGTERM


@dataclass(eq=False, slots=True)
class App:
    """A running Easel. `async with open_app(config) as app: await app.run()`."""

    services: Services
    studio: Studio
    worker: Worker | None  # None in a gateway
    discord: DiscordSession | RestSession
    report: HealthReport
    server: HealthServer | None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def http_port(self) -> int | None:
        """The port of health and metrics, also if HTTP_PORT asked for any free port."""
        return self.server.port if self.server else None

    def stop(self) -> None:
        """Let `run` end as soon as the tasks have ended."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until stopped or cancelled. StartupError if Discord refuses the token."""
        async with asyncio.TaskGroup() as connections:
            coordination = self.services.coordination
            connected = [connections.create_task(coordination.run(), name="coordination")]
            # Before the first turn of the worker, which takes this process's part of all work.
            await coordination.joined()
            connected.append(connections.create_task(self.discord.run(), name="discord"))
            await self._work()  # also after a cancel, the tasks end before what they use
            for task in connected:
                task.cancel()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            serving = [group.create_task(self._follow_catalog(), name="catalog")]
            if self.server is not None:
                serving.append(group.create_task(self.report.watch_loop(), name="event loop"))
            if self.worker is None:
                working = group.create_task(follow_workers(self.services), name="other workers")
            else:
                working = group.create_task(self.worker.run(), name="worker")
                serving.append(group.create_task(self._remove_pictures(), name="retention"))
                serving.append(group.create_task(Eraser(self.services).run(), name="deletions"))
                old_prompts = OldPrompts(self.services)
                serving.append(group.create_task(old_prompts.run(), name="old prompts"))
            await self._stop.wait()
            await self._drain(working)
            for task in (working, *serving):
                task.cancel()

    async def _drain(self, working: asyncio.Task[None]) -> None:
        """Start no more work, and let the requests that are on their way be answered.

        The next start finds whatever has not ended then.
        """
        log.info("stopping: running tasks have %s s to end", DRAIN_SECONDS)
        self.studio.close()
        self.services.decoder.stop()  # the next start decodes again
        if self.worker is not None:
            self.worker.stop()
            await asyncio.wait({working}, timeout=DRAIN_SECONDS)

    async def _remove_pictures(self) -> None:
        coordination = self.services.coordination
        await self.services.retention.run(lambda: coordination.has(Duty.RETENTION))

    async def _follow_catalog(self) -> None:
        """Take options and prices from the APIs that report them, again every hour."""
        while True:
            wait = 3600.0  # seconds between requests to the models endpoints
            for provider in self.services.providers.values():
                try:
                    for spec in await provider.describe():
                        self.services.catalog.update(spec)
                except ProviderError as error:
                    log.warning("%s did not describe its models: %s", provider.key, error)
                    wait = 60.0
            await asyncio.sleep(wait)


@asynccontextmanager
async def open_app(
    config: Config,
    *,
    now: Callable[[], datetime] | None = None,
    role: Role = Role.ALL,
    shards: Shards | None = None,
) -> AsyncIterator[App]:
    """Open everything that the settings and the role of the process ask for.

    `shards` are those of a gateway; without them, the process has all. StartupError if anything
    cannot be opened.
    """
    now = now or SteadyClock()
    config.check()
    settings = config.core
    async with AsyncExitStack() as stack:
        services, delivery = await open_services(stack, config, now, role)
        await Prices(services).refresh()
        await BalanceReader(services).exchange()
        worker = Worker(services) if role in ADVANCING else None
        studio = Studio(services, partial(services.coordination.announce, News.ROWS))
        discord: DiscordSession | RestSession
        if role is Role.WORKER:
            discord = rest = RestSession(settings, services, delivery)
            report = HealthReport(services, lambda: rest, works=True)
        else:
            permits = open_permits(services.database)
            discord = gateway = DiscordSession(
                settings, services, studio, delivery, shards=shards, permits=permits
            )
            report = HealthReport(services, lambda: gateway.client, works=worker is not None)
        server: HealthServer | None = None
        if settings.http_port is not None:
            server = HealthServer(report, settings.http_host, settings.http_port)
            await stack.enter_async_context(server)
        if not services.quotas.is_limited(services.providers):
            log.warning("no limit of credits is set: BUDGET_MONTHLY and MONTHLY_CREDITS are unset")
        yield App(services, studio, worker, discord, report, server)
