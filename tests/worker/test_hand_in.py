"""A request that is accepted after another process has taken its job."""

from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from bot.jobs import Job
from bot.sandbox.oxen.server import FakeOxen
from bot.store import generations, leases, settlement
from bot.store.backends import open_database
from bot.store.database import Database
from bot.store.leases import Terms
from bot.worker.leases import LeaseLost
from tests.providers.clients import oxen_at
from tests.support.parts import Parts, parts_on
from tests.support.rows import NOW, one


async def stolen(database: Database, parts: Parts) -> Job:
    """Return a job that this process has claimed, and another one has taken since."""
    await one(database)
    job = await parts.submitter.claim("oxen")
    assert job is not None
    async with database.transaction() as tx:
        await leases.clear(tx)
        assert await leases.take(tx, [job], Terms("another", NOW, None))
    return job


@pytest.mark.long
@pytest.mark.parametrize(("fails_after", "waits"), [(0, 0), (3, 3), (100, 20)])
async def test_its_generations_are_handed_in_once_the_other_process_has_failed_the_job(
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fails_after: int,
    waits: int,
) -> None:
    """Tried for forty seconds: the other process searches for the generations first."""
    waited: list[float] = []
    async with (
        open_database(postgres_url) as database,
        FakeOxen() as service,
        aiohttp.ClientSession() as session,
    ):
        service.manual = True
        oxen = oxen_at(session, service.url, key=service.key)
        parts = parts_on(database, tmp_path, {"oxen": oxen})
        job = await stolen(database, parts)

        async def fail() -> None:
            async with database.transaction() as tx:
                await settlement.fail_unknown(tx, job, NOW)

        async def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == fails_after:
                await fail()

        if not fails_after:
            await fail()
        monkeypatch.setattr("bot.worker.submit.asyncio", SimpleNamespace(sleep=sleep))
        with pytest.raises(LeaseLost):
            await parts.submitter.submit(job)
        async with database.reading() as view:
            found = [each.remote_id for each in await generations.of_job(view, job.id)]

        assert waited == [2.0] * waits
        assert found == ([*service.generations] if waits < 20 else [])
        assert await parts.losses(job) == ([-7500, 7500] if waits < 20 else [])
        (remote_id,) = service.generations
    assert f"request accepted as {remote_id} after the lease was lost" in caplog.text
