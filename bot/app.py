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

from bot.catalog import SPECS, Catalog
from bot.client import EaselClient
from bot.errors import ProviderError, StartupError
from bot.ledger import thousandths
from bot.pictures import Downloader, PictureStore
from bot.schedule import back_off, utc_now
from bot.services import api_addresses, make_providers
from bot.settings import Settings
from bot.store.database import Database, database_path
from bot.store.lock import InstanceLock
from bot.studio import Limits, Studio
from bot.worker.worker import Worker
from cogs.delivery import DiscordDelivery

log = logging.getLogger(__name__)

CATALOG_EVERY = 3600.0  # seconds between looks at the models endpoints
CLOSE_SECONDS = 5.0
LONG_ENOUGH = timedelta(minutes=5)  # connected for so long, the next failure is a first one again


class App:
    """One running Easel. `async with App(settings) as app: await app.run()`."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = utc_now) -> None:
        settings.check()
        self._settings = settings
        self._now = now
        self._stack = AsyncExitStack()
        self._worker: Worker | None = None

    async def __aenter__(self) -> "App":
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def run(self) -> None:
        """Serve until cancelled. StartupError where Discord refuses the token."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.worker.run(), name="worker")
            group.create_task(self._follow_catalog(), name="catalog")
            group.create_task(self._serve_discord(), name="discord")

    @property
    def worker(self) -> Worker:
        if self._worker is None:
            raise RuntimeError("the app is not open")
        return self._worker

    async def _open(self) -> None:
        settings = self._settings
        path = database_path(settings.database_url)
        self._stack.enter_context(InstanceLock(path))
        self._database = await self._stack.enter_async_context(Database(path))
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        self._providers = make_providers(settings, self._session)
        prices = {"oxen": settings.oxen_price, "skills": settings.skills_price}
        self._catalog = Catalog(
            [SPECS[model](price=thousandths(prices[model])) for model in self._providers],
            settings.default_model,
        )
        self._delivery = DiscordDelivery(self._catalog)
        downloader = await self._stack.enter_async_context(
            Downloader(private_hosts=self._api_hosts())
        )
        store = PictureStore(path.parent / "pictures")
        self._worker = Worker(
            self._database,
            self._providers,
            downloader,
            store,
            self._delivery,
            timeout=settings.timeout,
            now=self._now,
        )
        self._studio = Studio(
            self._database,
            self._catalog,
            limits=Limits(
                servers=settings.servers,
                blocked_users=settings.blocked_users,
                budget=_limit(settings.budget_monthly),
                allowance=_limit(settings.monthly_credits),
                allow_unsafe=settings.allow_unsafe,
            ),
            pictures=store,
            now=self._now,
            wake=self._worker.wake,
        )

    def _api_hosts(self) -> list[str]:
        addresses = api_addresses(self._settings)
        return [URL(addresses[model]).host or "" for model in self._providers]

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
            client = EaselClient(
                self._studio, self._database, api_url=self._settings.discord_api_url
            )
            self._delivery.attach(client)
            try:
                await client.start(self._settings.token.get_secret_value())
            except discord.LoginFailure:
                raise StartupError(
                    "DISCORD_TOKEN: Discord refuses it. Reset it at "
                    "https://discord.com/developers/applications and put the new one in .env."
                ) from None
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


def _limit(credits: Decimal | None) -> int | None:
    return None if credits is None else thousandths(credits)
