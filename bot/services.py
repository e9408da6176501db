"""Services: the opened resources that the use cases and the worker share.

Passed to constructors only, never to functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.catalog import Catalog
from bot.clock import ClockWatch
from bot.delivery import Delivery
from bot.health import ServiceHealth
from bot.observability.metrics import Metrics
from bot.pictures import (
    Decoder,
    Downloader,
    InputPictures,
    PictureStore,
    ReducedCopies,
    Retention,
)
from bot.precedence import Precedence
from bot.providers.base import Provider
from bot.quotas import Quotas
from bot.rest_pace import RestPace
from bot.second_copy import CopyWatch
from bot.service_balances import ServiceBalances
from bot.store.coordination import Coordination
from bot.store.database import Database


@dataclass(frozen=True, slots=True)
class Policies:
    """The operator's choices that `/privacy` shows: pages, and how long data is stored.

    `keep_prompts_days` is None if prompts are stored as long as their jobs.
    """

    privacy_url: str | None = None
    terms_url: str | None = None
    support_url: str | None = None
    keep_days: int = 365
    keep_prompts_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`providers` are those with a key; `now` is the clock, which tests replace.

    `pace` is None for a process that shares Discord's limit with no other.
    """

    database: Database
    coordination: Coordination
    catalog: Catalog
    quotas: Quotas
    providers: Mapping[str, Provider]
    downloader: Downloader
    pictures: PictureStore
    inputs: InputPictures
    decoder: Decoder
    reduced: ReducedCopies
    retention: Retention
    delivery: Delivery
    health: ServiceHealth
    balances: ServiceBalances
    metrics: Metrics
    now: Callable[[], datetime]
    clock: ClockWatch
    copies: CopyWatch
    pace: RestPace
    job_timeout: timedelta
    embed_recipe: bool
    policies: Policies = Policies()
    precedence: Precedence = field(default_factory=Precedence)
    operator_server: int | None = None  # where the operator reads what concerns the whole bot
