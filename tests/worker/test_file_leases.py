"""Leases on a database file, which one process has to itself."""

import asyncio
import logging
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.jobs import Job
from bot.store import jobs as job_rows
from bot.store import leases as rows
from bot.store.database import Database
from bot.store.leases import Terms
from bot.store.tables import jobs as table
from bot.worker import leases
from bot.worker.leases import CLAIM, Leases
from tests.support.parts import Parts, unwritable
from tests.support.rows import NOW, one
from tests.support.statements import statements

LATER = 1000.0
FOREVER = NOW + timedelta(days=9999)


class Elapsed:
    """The seconds that have passed, which a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> Elapsed:
    made = Elapsed()
    monkeypatch.setattr(leases, "elapsed", made)
    return made


async def lease_end(database: Database, job: Job) -> datetime | None:
    async with database.reading() as view:
        found: datetime | None = await view.scalar(
            select(table.c.lease_until).where(table.c.id == job.id)
        )
    return found


async def test_on_a_file_nothing_is_taken_renewed_or_left(made: Parts, elapsed: Elapsed) -> None:
    held = Leases(made.services)
    job = await one(made.database)
    with statements() as executed:
        assert await held.take([job]) == [job]
        async with asyncio.timeout(10):
            await held.run(lambda _: None)
        await held.leave()
    assert executed == []
    elapsed.seconds += LATER
    held.check(job)
    async with held.writing(job) as tx:
        await job_rows.request_cancel(tx, job.id, NOW)

    assert (await made.job(job)).cancel_requested_at == NOW


async def test_a_claim_on_a_file_ends_with_the_work_or_after_three_minutes(
    made: Parts, elapsed: Elapsed
) -> None:
    held = Leases(made.services)
    job = await one(made.database)
    assert held.claim_terms() == Terms(made.services.coordination.process, NOW, NOW + CLAIM)
    assert held.terms() == Terms(made.services.coordination.process, NOW, None)
    async with made.database.transaction() as tx:
        (taken,) = await rows.take(tx, [job], held.claim_terms())
    elapsed.seconds += LATER
    held.hold(taken, 0.0)  # no other process can have taken it
    assert await lease_end(made.database, job) == NOW + CLAIM
    await held.end(job.id)

    assert await lease_end(made.database, job) is None


async def test_a_write_gives_way_to_commands(made: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.precedence.LONGEST", 30.0)
    held = Leases(made.services)
    job = await one(made.database)

    async def write() -> None:
        async with held.writing(job) as tx:
            await job_rows.request_cancel(tx, job.id, NOW)

    with made.services.precedence.command():
        writing = asyncio.create_task(write())
        await asyncio.sleep(0.02)
        assert (await made.job(job)).cancel_requested_at is None
    await writing

    assert (await made.job(job)).cancel_requested_at == NOW


@pytest.mark.usefixtures("short_waits")
async def test_a_lease_that_cannot_be_released_ends_by_itself(
    made: Parts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "bot.worker.leases")
    held = Leases(made.services)
    job = held.hold(await one(made.database), 0.0)
    async with unwritable(tmp_path / "easel.db"):
        await held.end(job.id)
    assert caplog.messages.count("lease not released, others wait for its end") == 1
