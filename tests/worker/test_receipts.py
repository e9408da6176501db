"""What a receipt says of the requester's credits, by the rows of the job."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.delivery import Receipt
from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.ledger import Cost
from bot.quotas import Quotas
from bot.store import generations, settlement
from bot.store.database import Database
from bot.store.sqlite import SQLiteDatabase
from bot.worker.receipts import Receipts
from tests.support import cluster
from tests.support.books import picture
from tests.support.parts import Parts, parts_on, unreadable
from tests.support.rows import NOW, new_job, one


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
def parts(database: Database, tmp_path: Path) -> Parts:
    return parts_on(database, tmp_path)


def receipts(parts: Parts) -> Receipts:
    """Receipts of a bot on which a member may use 100 credits a month."""
    return Receipts(replace(parts.services, quotas=Quotas(allowance=100_000)))


async def running(parts: Parts, number: int) -> Job:
    new = new_job(price=10_001 * number, count=number)
    return await parts.begun(await one(parts.database, new), *"abcd"[:number])


async def ended(parts: Parts, job: Job, number: int) -> Job:
    """Fail the job, so that so many of its generations stay open."""
    async with parts.database.transaction() as tx:
        known = await generations.of_job(tx, job.id)
        ends = {each.id: JobStatus.FAILED for each in known[number:]}
        return await settlement.fail(tx, job.id, NOW, reason=Reason.TIMEOUT, ends=ends)


@pytest.mark.parametrize(
    ("made", "open_", "reserved"), [(1, 0, 0), (1, 1, 10_001), (4, 3, 30_003), (3, 1, 10_001)]
)
async def test_open_generations_of_a_failed_job_reserve_their_part_of_the_price(
    parts: Parts, made: int, open_: int, reserved: int
) -> None:
    job = await ended(parts, await running(parts, made), open_)

    receipt = await receipts(parts).of(job)
    assert (receipt.reserved, receipt.estimated) == (reserved, False)
    assert receipt.left is not None


async def test_a_job_without_generations_reserves_nothing(parts: Parts) -> None:
    job = await one(parts.database)
    async with parts.database.transaction() as tx:
        failed = await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)

    assert await receipts(parts).of(failed) == Receipt(100_000)
    assert await Receipts(parts.services).of(failed) == Receipt(None)


async def test_a_job_with_pictures_reserves_nothing(parts: Parts) -> None:
    """The same holds while another of its generations goes on."""
    job = await running(parts, 2)
    async with parts.database.transaction() as tx:
        known = await generations.of_job(tx, job.id)
        settled = await settlement.succeed(
            tx, job, NOW, cost=None, pictures=[picture(1)], ends={known[0].id: JobStatus.SUCCEEDED}
        )

    receipt = await receipts(parts).of(settled)
    assert (receipt.reserved, receipt.estimated) == (0, False)


@pytest.mark.parametrize("cost", [Cost(9000, {"usd": "0.09"}), None])
async def test_an_overdue_result_says_whether_a_part_of_its_cost_is_estimated(
    parts: Parts, cost: Cost | None
) -> None:
    job = await ended(parts, await running(parts, 1), 1)
    async with parts.database.transaction() as tx:
        known = await generations.of_job(tx, job.id)
        await settlement.charge_overdue(
            tx, job, NOW + timedelta(minutes=1), cost=cost, pictures=[picture(1)], generations=known
        )

    receipt = await receipts(parts).of(await parts.job(job))
    assert (receipt.reserved, receipt.estimated) == (0, cost is None)
    assert receipt.left == 100_000 - (9000 if cost else 10_001)


@pytest.mark.usefixtures("short_waits")
async def test_a_delivery_does_not_wait_for_its_receipt(
    empty_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with SQLiteDatabase(empty_file) as database:
        parts = parts_on(database, tmp_path)
        job = await ended(parts, await running(parts, 1), 1)
        async with unreadable(database), asyncio.timeout(20):
            assert await receipts(parts).of(job) == Receipt()
    assert "receipt without the rest of the credits" in caplog.text
