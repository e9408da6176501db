"""Changes of what quotas count wait for a request that counts at the moment, on PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.periods import PeriodKind
from bot.services import Services
from bot.store.backends import open_database
from bot.store.database import Database, Transaction
from bot.store.dialects import lock_quotas
from bot.studio.credits import ServerCredits
from bot.studio.requests import PictureRequest, Requests
from bot.studio.servers import Servers
from bot.studio.tiers import Tiers
from tests.support.rows import NOW, new_job
from tests.support.services import services_on
from tests.support.studio import DEFAULT, MANAGER, succeeded

WAITING = text(
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
    " WHERE NOT granted AND datname = current_database()"
)
Change = Callable[[Services, str], Awaitable[object]]

CHANGES: dict[str, Change] = {
    "request": lambda services, _: Requests(services, lambda: None).create(
        MANAGER, new_job().route, PictureRequest(1, "a fox", {})
    ),
    "grant": lambda services, _: ServerCredits(services).grant(MANAGER, 1, "5", ""),
    "refund": lambda services, job_id: ServerCredits(services).refund(MANAGER, job_id),
    "allowance": lambda services, _: ServerCredits(services).set_allowance(
        MANAGER, *DEFAULT, typed="5", period=PeriodKind.DAY
    ),
    "budget": lambda services, _: ServerCredits(services).set_budget(MANAGER, typed="5"),
    "settings": lambda services, _: Servers(services).change_settings(MANAGER, {"notices": 5}),
    "rights": lambda services, _: Servers(services).change_rights(MANAGER, *DEFAULT, {"jobs": 5}),
    "reset": lambda services, _: Servers(services).reset_tier(MANAGER, "guest"),
    "tier": lambda services, _: Tiers(services).take(MANAGER, "guest", 7),
}


async def somebody_waits(tx: Transaction) -> bool:
    return bool((await tx.execute(WAITING)).scalar_one())


async def waits(database: Database, change: Awaitable[object]) -> bool:
    """Return whether a change waits while another transaction counts, and ends afterwards."""
    async with database.transaction() as tx:
        await lock_quotas(tx)
        task = asyncio.ensure_future(change)
        while not task.done() and not await somebody_waits(tx):
            await asyncio.sleep(0.005)
        waited = not task.done()
    await task
    return waited


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.long] * (each != "request")) for each in CHANGES]
)
async def test_a_change_of_what_quotas_count_waits_for_its_turn(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in ("requests", "credits", "servers", "tiers"):
        monkeypatch.setattr(f"bot.studio.{module}.WRITE_LOCK_TIMEOUT", 10.0)
    async with open_database(postgres_url) as database:
        services = services_on(database, tmp_path, lambda: NOW)
        job = await succeeded(database)

        assert await waits(database, CHANGES[name](services, job.id))
