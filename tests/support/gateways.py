"""Several gateways of one bot in this process, each with some of the shards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.app import App
from bot.client import EaselClient
from bot.discord_session import DiscordSession
from bot.identify_permits import IdentifyPermits, MemoryPermits
from bot.sandbox.discord import Channel
from bot.settings import Settings
from bot.shards import Shards
from cogs.delivery.discord_delivery import DiscordDelivery
from tests.support.easel import TOKEN, Stage, worker_of


@dataclass(eq=False)
class Gateway:
    session: DiscordSession
    task: asyncio.Task[None]

    @property
    def client(self) -> EaselClient:
        assert self.session.client is not None
        return self.session.client

    async def connected(self, timeout: float = 20.0) -> EaselClient:
        """Wait until all shards of this gateway are connected."""
        async with asyncio.timeout(timeout):
            while self.session.client is None or not self.session.client.connected:
                if self.task.done():
                    await self.task
                await asyncio.sleep(0.02)
        return self.session.client


class WatchedPermits(MemoryPermits):
    """Permits that count how often one was requested."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.held = 0

    @asynccontextmanager
    async def hold(self, bucket: int) -> AsyncIterator[None]:
        self.requests += 1
        async with super().hold(bucket):
            self.held += 1
            try:
                yield
            finally:
                self.held -= 1

    async def requested(self, count: int = 1, *, timeout: float = 20.0) -> None:
        async with asyncio.timeout(timeout):
            while self.requests < count:
                await asyncio.sleep(0.01)


def settings_of(at: Stage) -> Settings:
    return Settings.load(None, {"discord_token": TOKEN, "discord_api_url": at.discord.url})


def delivery_of(app: App) -> DiscordDelivery:
    assert isinstance(app.services.delivery, DiscordDelivery)
    return app.services.delivery


def start(at: Stage, app: App, shards: str, permits: IdentifyPermits | None = None) -> Gateway:
    """Start a gateway; the caller ends its task."""
    session = DiscordSession(
        settings_of(at),
        app.services,
        app.studio,
        delivery_of(app),
        shards=Shards.parse(shards),
        permits=permits,
    )
    return Gateway(session, asyncio.create_task(session.run(), name=f"gateway {shards}"))


async def ended(gateway: Gateway) -> None:
    """Stop a gateway, and wait until it has stopped."""
    gateway.task.cancel()
    await asyncio.wait({gateway.task}, timeout=15)
    assert gateway.task.done()


@asynccontextmanager
async def gateways(
    at: Stage, *shards: str, permits: IdentifyPermits | None = None
) -> AsyncIterator[tuple[App, list[Gateway]]]:
    """Run one gateway for each text of shards, and a worker."""
    async with at.app() as app:
        started = [start(at, app, each, permits) for each in shards]
        tasks = [asyncio.create_task(worker_of(app).run()), *(each.task for each in started)]
        try:
            yield app, started
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # a test awaits what it expects


def channels_by_shard(at: Stage, count: int) -> list[Channel]:
    """Create a server on each of so many shards; return their channels."""
    return [
        at.discord.add_channel(at.discord.add_guild(f"Server {n}", shard=(n, count)), "art")
        for n in range(count)
    ]
