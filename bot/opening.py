"""Opens the services of one Easel, in order; the caller's stack closes them in reverse."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus

import aiohttp
from pydantic import BaseModel

from bot.clock import ClockWatch, SteadyClock, in_words, parse_date
from bot.config import Config
from bot.errors import StartupError
from bot.health import ServiceHealth
from bot.http_client import open_session
from bot.http_headers import USER_AGENT
from bot.ledger import thousandths
from bot.observability.metrics import Metrics
from bot.pictures import (
    Decoder,
    DiscordMedia,
    Downloader,
    InputPictures,
    PictureStore,
    ReducedCopies,
    Retention,
    RetentionPolicy,
    StoreAway,
    open_store,
)
from bot.precedence import Precedence
from bot.providers.base import Http
from bot.pseudonym_key import open_pseudonyms
from bot.quotas import Quotas
from bot.rest_pace import RestPace
from bot.second_copy import CopyWatch
from bot.service_balances import ServiceBalances
from bot.services import Policies, Services
from bot.settings import Settings
from bot.store.backends import open_coordination, open_database
from bot.store.coordination import Role
from bot.store.database import Database
from bot.store.database_file import InstanceLock
from bot.store.sqlite import SQLiteDatabase
from cogs.delivery.discord_delivery import DiscordDelivery
from cogs.delivery.messages import Messages

log = logging.getLogger(__name__)

CLOCK_SECONDS = 3.0
CLOCK_BYTES = 4096  # of an answer, which has one address
ALONE = (
    "DATABASE_URL: `easel {role}` shares a database with other processes, and a SQLite file "
    "belongs to one process. Set it to the address of a PostgreSQL database, or start `easel run`."
)
LARGEST_CORRECTION = timedelta(days=1)


async def open_services(
    stack: AsyncExitStack, config: Config, now: Callable[[], datetime], role: Role
) -> tuple[Services, DiscordDelivery]:
    """Lock and open the database, and everything that works on it or beside it.

    StartupError if something cannot be opened.
    """
    database = await _open_database(stack, config.core.database_url, role)
    session = await stack.enter_async_context(open_session())
    proxies = config.core.proxies
    if isinstance(now, SteadyClock):
        await _follow_discord(now, session, config.core)
    downloader = Downloader(
        proxies=proxies, private_hosts=config.private_hosts, media=DiscordMedia(config.own_media)
    )
    await stack.enter_async_context(downloader)
    health = ServiceHealth(now, config.key_names)
    metrics = Metrics(now, health)
    clock = ClockWatch(now)
    catalog = config.make_catalog()
    pictures = await _open_pictures(config.core)
    await open_pseudonyms(config.core, database, pictures)
    decoder = await stack.enter_async_context(Decoder(pictures.attempts))
    retention = Retention(database, pictures, _retention_policy(config.core), now)
    reduced = ReducedCopies(pictures, decoder, retention)
    delivery = DiscordDelivery(Messages(catalog, reduced, health), metrics, now)
    precedence = Precedence()
    coordination = open_coordination(database, role)
    services = Services(
        database=database,
        coordination=coordination,
        catalog=catalog,
        quotas=_quotas(config),
        providers=config.make_providers(Http(session, metrics, proxies)),
        downloader=downloader,
        pictures=pictures,
        inputs=InputPictures(downloader, pictures, decoder, retention),
        decoder=decoder,
        reduced=reduced,
        retention=retention,
        delivery=delivery,
        health=health,
        balances=ServiceBalances(now, config.floors),
        metrics=metrics,
        now=now,
        clock=clock,
        copies=CopyWatch(now, clock, shared=database.shared),
        pace=RestPace(lambda: coordination.processes, precedence),
        precedence=precedence,
        job_timeout=config.core.timeout,
        embed_recipe=config.core.embed_recipe,
        policies=_policies(config.core),
        operator_server=config.core.operator_server,
    )
    return services, delivery


def _policies(settings: Settings) -> Policies:
    return Policies(
        settings.privacy_url,
        settings.terms_url,
        settings.support_url,
        settings.keep_days,
        settings.keep_prompts_days,
    )


async def _open_database(stack: AsyncExitStack, url: str, role: Role) -> Database:
    """Open the database, and lock a SQLite file, which belongs to one process. StartupError."""
    database = open_database(url)
    if isinstance(database, SQLiteDatabase):
        if role is not Role.ALL:
            raise StartupError(ALONE.format(role=role))
        stack.enter_context(InstanceLock(database.path))
    await stack.enter_async_context(database)
    await database.connect_all()
    return database


async def _open_pictures(settings: Settings) -> PictureStore:
    """Open the store of pictures, also if a bucket is away: results wait then. StartupError."""
    pictures = open_store(settings)
    if settings.pictures_url is not None:
        try:
            await pictures.probe()
        except StoreAway as error:
            log.warning("started without the stored pictures: %s", error)
    await pictures.prepare()
    return pictures


class _Gateway(BaseModel):
    """The part of Discord's answer by which a proxy's page is told apart."""

    url: str


async def _follow_discord(
    clock: SteadyClock, session: aiohttp.ClientSession, settings: Settings
) -> None:
    """Set the clock of this run by Discord's, if Discord answers soon.

    A larger error than LARGEST_CORRECTION is logged alone: stored times would be years off if this
    one answer were wrong.
    """
    sent = clock()
    try:
        theirs = parse_date(await _date_of_discord(session, settings))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        log.info("clock not compared with Discord's: %s", type(error).__name__)
        return
    if theirs is None:
        return
    ahead = sent + (clock() - sent) / 2 - theirs
    if abs(ahead) <= LARGEST_CORRECTION:
        clock.follow(ahead)
    else:
        log.warning("clock not corrected by more than a day: %s Discord's", in_words(ahead))


async def _date_of_discord(session: aiohttp.ClientSession, settings: Settings) -> str | None:
    """Return the Date header of an answer by Discord itself. ValueError for a proxy's page."""
    url = f"{settings.discord_api_url}/gateway"
    async with (
        asyncio.timeout(CLOCK_SECONDS),
        session.get(
            url,
            headers={"User-Agent": USER_AGENT},
            allow_redirects=False,
            **settings.proxies.options(url),
        ) as answer,
    ):
        if answer.status != HTTPStatus.OK or "Age" in answer.headers:  # Age: from a cache
            raise ValueError("no answer by Discord itself")
        try:
            body = await answer.content.readexactly(CLOCK_BYTES)
        except asyncio.IncompleteReadError as whole:
            body = whole.partial
        _Gateway.model_validate_json(body)
        return answer.headers.get("Date")


def _retention_policy(settings: Settings) -> RetentionPolicy:
    return RetentionPolicy(
        keep=timedelta(days=settings.keep_days),
        keep_bytes=int(settings.keep_gb * 1_000_000_000),
    )


def _quotas(config: Config) -> Quotas:
    settings = config.core
    return Quotas(
        servers=settings.servers,
        blocked_users=settings.blocked_users,
        budget=_limit(settings.budget_monthly),
        provider_budgets={
            each.key: limit
            for each in config.configured
            if (limit := _limit(each.settings.budget_monthly)) is not None
        },
        services=config.service_names,
        allowance=_limit(settings.monthly_credits),
        max_jobs=None if settings.max_jobs == "unlimited" else settings.max_jobs,
        allow_unsafe=settings.allow_unsafe,
        edit_others=settings.edit_others,
        user_install=settings.user_install,
    )


def _limit(credits: Decimal | None) -> int | None:
    return None if credits is None else thousandths(credits)
