"""Leases on a database file, which one process has to itself."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from bot.store import jobs as job_rows
from bot.store import leases as rows
from bot.store.leases import Terms
from bot.worker.leases import CLAIM, Leases
from tests.support.clock import Elapsed
from tests.support.parts import Served, lease_end, unwritable
from tests.support.rows import NOW, one
from tests.support.statements import statements

LATER = 1000.0
FOREVER = NOW + timedelta(days=9999)


async def test_on_a_file_nothing_is_taken_renewed_or_left(made: Served, elapsed: Elapsed) -> None:
    held = Leases(made.services)
    job = await one(made.database)
    with statements() as executed:
        assert await held.take([job]) == [job]
        async with asyncio.timeout(20):
            await held.run(lambda _: None)
        await held.leave()
    assert executed == []
    elapsed.seconds += LATER
    held.check(job)
    async with held.writing(job) as tx:
        await job_rows.request_cancel(tx, job.id, NOW)

    assert (await made.job(job)).cancel_requested_at == NOW


async def test_a_claim_on_a_file_ends_with_the_work_or_after_three_minutes(
    made: Served, elapsed: Elapsed
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


async def test_a_write_gives_way_to_commands(made: Served, monkeypatch: pytest.MonkeyPatch) -> None:
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
    made: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "bot.worker.leases")
    held = Leases(made.services)
    job = held.hold(await one(made.database), 0.0)
    async with unwritable(tmp_path / "easel.db"):
        await held.end(job.id)
    assert caplog.messages.count("lease not released, others wait for its end") == 1
