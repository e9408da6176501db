"""Services on a real database, without any provider, for tests of a single part."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from bot.catalog import Catalog
from bot.health import ServiceHealth
from bot.observability.metrics import Metrics
from bot.pictures import Downloader, InputPictures, PictureStore
from bot.providers.base import Provider
from bot.providers.oxen.model import oxen_spec
from bot.quotas import Quotas
from bot.services import Services
from bot.store.database import Database
from cogs.delivery.discord_delivery import DiscordDelivery


def services_on(
    database: Database,
    folder: Path,
    now: Callable[[], datetime],
    *,
    providers: Mapping[str, Provider] | None = None,
) -> Services:
    catalog = Catalog([oxen_spec(price=1)])
    health, pictures, downloader = ServiceHealth(now), PictureStore(folder), Downloader()
    metrics = Metrics(now, health)
    return Services(
        database=database,
        catalog=catalog,
        quotas=Quotas(),
        providers=providers or {},
        downloader=downloader,
        pictures=pictures,
        inputs=InputPictures(downloader, pictures),
        delivery=DiscordDelivery(catalog, health, metrics, now),
        health=health,
        metrics=metrics,
        now=now,
        job_timeout=timedelta(minutes=10),
    )
