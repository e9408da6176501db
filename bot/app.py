"""The composition root: opens everything that has a lifetime, and closes it in order."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal

import aiohttp
import discord
from yarl import URL

from bot.backoff import back_off, utc_now
from bot.catalog import SPECS, Catalog
from bot.client import EaselClient
from bot.errors import ProviderError, StartupError
from bot.ledger import thousandths
from bot.observability.health import Health
from bot.observability.health_server import HealthServer
from bot.observability.metrics import Metrics
from bot.outages import Outages
from bot.pictures import Downloader, InputPictures, PictureStore
from bot.pictures.retention import Retention
from bot.quotas import Quotas
from bot.services import api_addresses, make_providers
from bot.settings import DISCORD_API, Settings
from bot.store.database import Database, database_path, pictures_folder
from bot.store.lock import InstanceLock
from bot.studio.studio import Studio
from bot.worker.worker import Worker
from cogs.delivery.discord_delivery import DiscordDelivery

log = logging.getLogger(__name__)

CATALOG_EVERY = 3600.0  # seconds between looks at the models endpoints
CLOSE_SECONDS = 5.0
DRAIN_SECONDS = 8.0  # Docker kills ten seconds after it has asked
LONG_ENOUGH = timedelta(minutes=5)  # connected for so long, the next failure is a first one again


class App:
    """One running Easel. `async with App(settings) as app: await app.run()`."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = utc_now) -> None:
        settings.check()
        self._settings = settings
        self._now = now
        self._stack = AsyncExitStack()
        self._stopping = asyncio.Event()
        self._worker: Worker | None = None
        self._metrics = Metrics(now)
        self._client: EaselClient | None = None
        self._server: HealthServer | None = None

    async def __aenter__(self) -> "App":
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Let `run` end as soon as what is under way has ended."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped or cancelled. StartupError where Discord refuses the token."""
        async with asyncio.TaskGroup() as group:
            working = group.create_task(self.worker.run(), name="worker")
            serving = [
                group.create_task(self._follow_catalog(), name="catalog"),
                group.create_task(self._serve_discord(), name="discord"),
                group.create_task(self._retention.run(), name="retention"),
            ]
            if self._server is not None:
                serving.append(group.create_task(self._health.watch_loop(), name="event loop"))
            await self._stopping.wait()
            await self._drain(working)
            for task in (working, *serving):
                task.cancel()

    async def _drain(self, working: asyncio.Task[None]) -> None:
        """Begin nothing more, and give the requests that are on their way time to be answered.

        What is not done then is found again by the next start.
        """
        log.info("stopping: what is under way has %s s to end", DRAIN_SECONDS)
        self._studio.close()
        self.worker.stop()
        await asyncio.wait({working}, timeout=DRAIN_SECONDS)

    @property
    def worker(self) -> Worker:
        if self._worker is None:
            raise RuntimeError("the app is not open")
        return self._worker

    @property
    def http_port(self) -> int | None:
        """Where health and metrics are served, also where any free port was asked for."""
        return self._server.port if self._server else None

    async def _open(self) -> None:
        settings = self._settings
        path = database_path(settings.database_url)
        self._stack.enter_context(InstanceLock(path))
        self._database = await self._stack.enter_async_context(Database(path))
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        self._providers = make_providers(settings, self._session, self._metrics)
        prices = {"oxen": settings.oxen_price, "skills": settings.skills_price}
        self._catalog = Catalog(
            [SPECS[model](price=thousandths(prices[model])) for model in self._providers],
            settings.default_model,
        )
        outages = Outages()
        self._delivery = DiscordDelivery(self._catalog, outages, self._metrics, self._now)
        downloader = await self._stack.enter_async_context(
            Downloader(private_hosts=self._api_hosts())
        )
        store = PictureStore(pictures_folder(path))
        inputs = InputPictures(downloader, store)
        limits = _limits(settings)
        self._retention = Retention(
            self._database,
            store,
            keep=timedelta(days=settings.keep_days),
            keep_bytes=int(settings.keep_gb * 1_000_000_000),
            now=self._now,
        )
        self._worker = Worker(
            self._database,
            self._providers,
            downloader,
            store,
            inputs,
            self._delivery,
            metrics=self._metrics,
            timeout=settings.timeout,
            catalog=self._catalog,
            limits=limits,
            outages=outages,
            now=self._now,
        )
        self._studio = Studio(
            self._database,
            self._catalog,
            limits=limits,
            outages=outages,
            pictures=store,
            inputs=inputs,
            now=self._now,
            wake=self._worker.wake,
        )
        await self._open_health()

    async def _open_health(self) -> None:
        settings = self._settings
        self._health = Health(
            self._database, self._metrics, lambda: self._client, self._providers, self._now
        )
        if settings.http_port is not None:
            self._server = await self._stack.enter_async_context(
                HealthServer(self._health, settings.http_host, settings.http_port)
            )

    def _api_hosts(self) -> list[str]:
        settings, addresses = self._settings, api_addresses(self._settings)
        hosts = [URL(addresses[model]).host or "" for model in self._providers]
        if settings.discord_api_url != DISCORD_API:  # whose attachments are input pictures
            hosts.append(URL(settings.discord_api_url).host or "")
        return hosts

    async def _follow_catalog(self) -> None:
        """Take options and prices from the APIs that tell them, and look again every hour."""
        while True:
            for provider in self._providers.values():
                try:
                    self._catalog.update(await provider.describe())
                except ProviderError as error:
                    log.warning("%s does not describe its model: %s", provider.key, error)
            await asyncio.sleep(CATALOG_EVERY)

    async def _serve_discord(self) -> None:
        """Stay logged in: a client that gave up is replaced by a new one (discord.md, T2, T3)."""
        failures = 0
        while True:
            since = self._now()
            self._client = client = EaselClient(
                self._studio,
                self._database,
                api_url=self._settings.discord_api_url,
                user_install=self._settings.user_install,
                metrics=self._metrics,
            )
            self._delivery.attach(client)
            try:
                await client.serve(self._settings.token.get_secret_value())
            except discord.LoginFailure:
                raise StartupError(
                    "DISCORD_TOKEN: Discord refuses it. Reset it at "
                    "https://discord.com/developers/applications and put the new one in .env."
                ) from None
            except discord.ConnectionClosed as error:
                log.error("Discord closed the connection: %s; connecting anew", error)
            except Exception:
                log.exception("the connection to Discord failed; connecting anew")
            finally:
                await self._close(client)
            failures = 1 if self._now() - since > LONG_ENOUGH else failures + 1
            wait = back_off(failures, first=timedelta(seconds=1), longest=timedelta(minutes=1))
            await asyncio.sleep(wait.total_seconds())

    async def _close(self, client: discord.Client) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.close()
        except Exception:
            log.exception("the connection to Discord did not close in order")


def _limits(settings: Settings) -> Quotas:
    return Quotas(
        servers=settings.servers,
        blocked_users=settings.blocked_users,
        budget=_limit(settings.budget_monthly),
        allowance=_limit(settings.monthly_credits),
        allow_unsafe=settings.allow_unsafe,
        user_install=settings.user_install,
    )


def _limit(credits: Decimal | None) -> int | None:
    return None if credits is None else thousandths(credits)
