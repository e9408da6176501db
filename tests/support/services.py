"""Services on a real database, without any provider, for tests of a single part."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from bot.backoff import utc_now
from bot.catalog import Catalog
from bot.clock import ClockWatch
from bot.health import ServiceHealth
from bot.jobs import Picture
from bot.observability.metrics import Metrics
from bot.pictures import (
    Decoder,
    Downloader,
    FileStore,
    InputPictures,
    PictureStore,
    ReducedCopies,
    Retention,
    RetentionPolicy,
)
from bot.providers.base import Provider
from bot.providers.oxen.model import oxen_spec
from bot.quotas import Quotas
from bot.rest_pace import RestPace
from bot.second_copy import CopyWatch
from bot.service_balances import ServiceBalances
from bot.services import Services
from bot.store.coordination import Alone
from bot.store.database import Database
from cogs.delivery.discord_delivery import DiscordDelivery
from cogs.delivery.messages import Messages
from tests.support.loopback import ADDRESSES, LOOPBACK


async def shrunk(services: Services, data: bytes, limit: int) -> Path:
    """Store a picture, and return its copy of at most `limit` bytes."""
    return await fitted(services, await services.pictures.store(data), limit)


async def fitted(services: Services, stored: Picture, limit: int) -> Path:
    """Return the file of at most `limit` bytes, which stays only in a store of files."""
    async with services.reduced.fit(stored, limit, member=1) as file:
        return file.path


def file_of(services: Services, stored: Picture) -> Path:
    assert isinstance(services.pictures, FileStore)
    return services.pictures.path(stored)


def limited(services: Services, channel_id: int) -> None:
    """Let Discord say that a channel takes no message for five seconds."""
    assert isinstance(services.delivery, DiscordDelivery)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "5"}
    path = f"/api/v10/channels/{channel_id}/messages"
    services.delivery._limits.note(path, 200, headers)


def services_on(
    database: Database,
    folder: Path,
    now: Callable[[], datetime],
    *,
    providers: Mapping[str, Provider] | None = None,
    downloader: Downloader | None = None,
    keep_bytes: int = 10**9,
    store: PictureStore | None = None,
) -> Services:
    catalog = Catalog([oxen_spec(price=1)])
    health, pictures = ServiceHealth(now), store or FileStore(folder)
    downloader = downloader or Downloader()
    metrics, clock = Metrics(now, health), ClockWatch(now)
    decoder = Decoder(pictures.attempts)
    policy = RetentionPolicy(keep=timedelta(days=365), keep_bytes=keep_bytes)
    retention = Retention(database, pictures, policy, now)
    reduced = ReducedCopies(pictures, decoder, retention)
    return Services(
        database=database,
        coordination=Alone(),
        catalog=catalog,
        quotas=Quotas(),
        providers=providers or {},
        downloader=downloader,
        pictures=pictures,
        inputs=InputPictures(downloader, pictures, decoder, retention),
        decoder=decoder,
        reduced=reduced,
        retention=retention,
        delivery=DiscordDelivery(Messages(catalog, reduced, health), metrics, now),
        health=health,
        balances=ServiceBalances(now),
        metrics=metrics,
        now=now,
        clock=clock,
        copies=CopyWatch(now, clock),
        pace=RestPace(lambda: 1),
        job_timeout=timedelta(minutes=10),
        embed_recipe=False,
    )


@asynccontextmanager
async def services_at_loopback(database: Database, folder: Path) -> AsyncIterator[Services]:
    """Yield services that download pictures from servers of a test, with a decoder."""
    async with Downloader(private_hosts=LOOPBACK, media=ADDRESSES) as downloader:
        opened = services_on(database, folder / "pictures", utc_now, downloader=downloader)
        async with opened.decoder:
            yield opened
