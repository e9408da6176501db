"""After a start, running jobs are watched again by a few queries, however many they are."""

import asyncio
from pathlib import Path

import pytest

from bot.store import leases, running, settlement
from bot.store.backends import open_database
from bot.store.database import Database
from tests.providers.clients import oxen_at
from tests.support.delivery import drawing
from tests.support.easel import Stage
from tests.support.parts import parts_on
from tests.support.rows import NOW, new_job, one
from tests.support.statements import statements


@pytest.mark.parametrize("page", [4, running.PAGE])
async def test_running_jobs_are_watched_by_pages(
    at: Stage, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(running, "PAGE", page)
    number = 6
    async with at.easel():
        await drawing(at, number)

    with statements() as executed:
        async with at.easel() as app:
            async with asyncio.timeout(20):
                while b"easel_watched_jobs 6.0" not in app.services.metrics.text(None):
                    await asyncio.sleep(0.01)
    reads = [each for each in executed if each.startswith("SELECT generations.")]

    assert len(reads) == -(-number // page)


@pytest.mark.parametrize("number", [4, 5])
async def test_all_pages_are_watched_at_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(running, "PAGE", 2)
    parts = parts_on(database, tmp_path, {"oxen": oxen_at()})
    for each in range(number):
        await parts.begun(await one(database, new_job(each)), f"g{each}")
    async with database.transaction() as tx:
        await leases.clear(tx)
    async with asyncio.timeout(20):
        await parts.recovery.resume(set())

    assert len(parts.poller.watched) == number


@pytest.mark.long
async def test_a_job_that_another_process_has_settled_hides_no_other(
    postgres_url: str, tmp_path: Path
) -> None:
    async with open_database(postgres_url) as database:
        parts = parts_on(database, tmp_path, {"oxen": oxen_at()})
        settled = await parts.begun(await one(database), "g1")
        await parts.poller.begin_all([settled])
        job = await parts.begun(await one(database, new_job(2)), "g2")
        async with database.transaction() as tx:
            await settlement.cancel(tx, settled.id, NOW)
            await leases.clear(tx)
        await parts.recovery.resume(set())

        assert parts.poller.is_watching(job.id)


@pytest.mark.long
async def test_running_jobs_are_not_listed_again_while_all_are_watched(at: Stage) -> None:
    async with at.easel() as app:
        await drawing(at, 3)
        with statements() as executed:
            turn = app.services.metrics.last_turn
            while turn == app.services.metrics.last_turn:
                await asyncio.sleep(0.05)
            await asyncio.sleep(2.2)  # a turn of the housekeeping
        lists = [each for each in executed if "jobs.id NOT IN" in each and "LIMIT" in each]
        counts = [each for each in executed if each.startswith("SELECT count(*)")]

    if not app.services.database.shared:
        assert counts
        assert not [each for each in lists if "row_number" not in each]


async def test_a_running_job_without_the_key_of_its_service_is_logged_once(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.skills.hold_generations()
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
    async with at.easel(skills_api_key=None):
        async with asyncio.timeout(20):
            while "waits for the key of skills" not in caplog.text:
                await asyncio.sleep(0.01)
        await asyncio.sleep(2.5)  # another turn of the housekeeping

    assert caplog.text.count("waits for the key of skills") == 1
