"""When the status messages of running jobs are edited, by the queue of edits itself."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.jobs import Job, JobStatus
from bot.providers.base import Submitted, Waiting
from bot.store import jobs, settlement
from bot.store.database import Database
from bot.worker import status_edits
from tests.providers.clients import oxen_at
from tests.support import cluster
from tests.support.parts import Parts, parts_on
from tests.support.rows import NOW, new_job, one

MOMENT = timedelta(milliseconds=1)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@pytest.fixture(params=["sqlite"])  # no statement of its own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
def parts(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    """The parts with two seconds until an edit, as outside of tests."""
    monkeypatch.setattr(status_edits, "QUIET", after(2))
    return parts_on(database, tmp_path, {"oxen": oxen_at()})


async def running(parts: Parts, number: int) -> list[Job]:
    """Return so many jobs that run and are polled."""
    found = []
    for each in range(number):
        job = await parts.begun(await one(parts.database, new_job(each)), f"g{each}")
        await parts.poller.begin(job, [Submitted(f"g{each}", Waiting())])
        found.append(job)
    return found


async def test_an_edit_is_due_after_two_seconds_or_the_given_wait(parts: Parts) -> None:
    first, second, third = await running(parts, 3)
    parts.edits.later(first)
    parts.edits.later(first, after(0.5))  # is due already
    assert parts.edits.next_due == NOW + after(2)
    parts.edits.later(second, after(0))
    assert parts.edits.next_due == NOW
    parts.edits.later(third, after(1))

    assert parts.edits.take_due() == second
    assert parts.edits.take_due() is None
    parts.clock.now = NOW + after(1) - MOMENT
    assert parts.edits.take_due() is None
    parts.clock.now = NOW + after(1)
    assert parts.edits.take_due() == third
    parts.clock.now = NOW + after(2)
    assert parts.edits.take_due() == first
    assert parts.edits.next_due is None


async def test_forty_milliseconds_are_between_the_starts_of_two_edits(parts: Parts) -> None:
    first, second = await running(parts, 2)
    for each in (first, second):
        parts.edits.later(each, after(0))
    assert parts.edits.take_due() is not None
    assert parts.edits.next_due == NOW + after(0.04)
    parts.clock.now = NOW + after(0.04) - MOMENT
    assert parts.edits.take_due() is None
    parts.clock.now = NOW + after(0.04)
    assert parts.edits.take_due() is not None


async def test_a_job_that_is_not_polled_any_more_is_skipped(parts: Parts) -> None:
    first, second = await running(parts, 2)
    for each in (first, second):
        parts.edits.later(each, after(0))
    parts.poller.forget(min(first.id, second.id))
    taken = parts.edits.take_due()

    assert taken is not None
    assert taken.id == max(first.id, second.id)
    parts.edits.later(taken)  # due again, after it was taken
    assert parts.edits.next_due is not None


async def test_no_edit_is_due_while_five_are_on_the_way(parts: Parts) -> None:
    found = await running(parts, 6)
    parts.edits.later(found[5], after(0))
    due = [parts.edits.next_due]
    shows = []
    for each in found[:5]:
        shows.append(asyncio.create_task(parts.edits.show(each)))
        await asyncio.sleep(0)  # the edit reads its row first
        due.append(parts.edits.next_due)
    await asyncio.gather(*shows)

    assert due == [NOW] * 5 + [None]
    assert parts.edits.next_due == NOW


async def test_an_edit_that_discord_did_not_answer_is_repeated_after_half_a_minute(
    parts: Parts,
) -> None:
    """Discord is not connected here. A job without a status message needs no answer."""
    job = await one(parts.database, message_id=None)
    async with parts.database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        await jobs.start_running(tx, job.id, NOW)
    await parts.edits.show(job)
    assert parts.edits.next_due is None

    (other,) = await running(parts, 1)
    await parts.edits.show(other)
    assert parts.edits.next_due == NOW + after(30)


async def test_a_job_that_has_ended_is_not_edited(parts: Parts) -> None:
    (job,) = await running(parts, 1)
    async with parts.database.transaction() as tx:
        await settlement.cancel(tx, job.id, NOW)
    await parts.edits.show(job)
    await parts.edits.show(replace(job, id="z" * 16))

    assert parts.edits.next_due is None


async def test_slow_work_is_shown_while_it_lasts_and_quick_work_later(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_edits, "QUIET", after(0.02))
    first, second = await running(parts, 2)

    async def quick() -> None:
        return

    async def slow() -> None:
        while parts.edits.next_due is None:
            await asyncio.sleep(0.001)

    await parts.edits.beside(first, quick())
    assert parts.edits.next_due == NOW + after(0.02)
    parts.clock.now += after(0.02)
    assert parts.edits.take_due() == first
    async with asyncio.timeout(20):
        await parts.edits.beside(second, slow())
    assert parts.edits.next_due == parts.clock.now + after(30)  # not answered


async def test_a_canceled_task_cancels_the_work_beside_the_edit(parts: Parts) -> None:
    (job,) = await running(parts, 1)
    ended: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = asyncio.create_task(parts.edits.beside(job, work()))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0)

    assert ended == [True]


@pytest.mark.parametrize("steps", [1, 100])
async def test_an_error_of_the_work_is_raised_after_the_edit(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(status_edits, "QUIET", after(0.02))
    (job,) = await running(parts, 1)

    async def work() -> None:
        for _ in range(steps):
            await asyncio.sleep(0.001)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await parts.edits.beside(job, work())

    assert parts.edits.next_due is not None
