"""The task that removes old prompts: intervals, errors, and the bounds of a search."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import Reason
from bot.jobs import Job
from bot.services import Policies
from bot.store import jobs, settlement
from bot.store.erasure import ENDED_FOR
from bot.worker import old_prompts
from bot.worker.old_prompts import LONGEST, OldPrompts
from tests.support.clock import Sleeps
from tests.support.duties import without_duties
from tests.support.parts import Served, ends_soon, refusing, unwritable
from tests.support.rows import NOW, add, new_job

DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)
KEPT = 10 * DAY


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bot.worker.old_prompts")


@pytest.fixture
def removing(made: Served) -> OldPrompts:
    return keeping(made, days=10)


def keeping(made: Served, *, days: int) -> OldPrompts:
    return OldPrompts(replace(made.services, policies=Policies(keep_prompts_days=days)))


async def failed(
    made: Served,
    age: timedelta,
    *,
    settled: timedelta | None = None,
    delivered: timedelta | None = None,
) -> Job:
    """Store a job of this age, which was settled and delivered so long before now."""
    async with made.database.transaction() as tx:
        job = await add(tx, new_job(at=NOW - age))
        ended = NOW - (age if settled is None else settled)
        await settlement.fail(tx, job.id, ended, reason=Reason.REJECTED)
        shown = ended if delivered is None else NOW - delivered
        await jobs.mark_delivered(tx, job.id, shown, message_id=1, channel_id=20, error=None)
    return job


async def has_prompt(made: Served, job: Job) -> bool:
    return not (await made.job(job)).prompt_removed


async def test_a_prompt_is_stored_for_so_many_days(
    made: Served, removing: OldPrompts, caplog: pytest.LogCaptureFixture
) -> None:
    found = [await failed(made, KEPT), await failed(made, KEPT + MOMENT)]

    assert await removing.remove() == 1
    assert [await has_prompt(made, job) for job in found] == [True, False]
    assert caplog.messages == ["1 old prompts removed"]
    assert await removing.remove() == 0
    assert len(caplog.messages) == 1


async def test_a_late_delivery_is_found_within_two_days(made: Served, removing: OldPrompts) -> None:
    """The prompt of a later delivery stays until that delivery is as old."""
    age = KEPT + 3 * DAY
    found = [
        await failed(made, age, delivered=KEPT - LONGEST),
        await failed(made, age, delivered=KEPT - LONGEST + MOMENT),
    ]
    await removing.remove()

    assert [await has_prompt(made, job) for job in found] == [True, False]


async def test_a_prompt_stays_for_a_day_after_the_settlement(made: Served) -> None:
    found = [
        await failed(made, 5 * DAY, settled=ENDED_FOR),
        await failed(made, 5 * DAY, settled=ENDED_FOR + MOMENT),
    ]
    await keeping(made, days=1).remove()
    assert [await has_prompt(made, job) for job in found] == [True, False]
    made.clock.now += MOMENT
    await keeping(made, days=1).remove()

    assert not await has_prompt(made, found[0])


async def test_others_write_between_two_slices(
    made: Served, removing: OldPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_prompts, "SLICE", 2)
    monkeypatch.setattr(old_prompts, "PAUSE", 1000.0)
    found = [await failed(made, KEPT + DAY, delivered=KEPT + each * MOMENT) for each in (3, 2, 1)]
    task = asyncio.create_task(_remove(removing))
    async with asyncio.timeout(20):
        while await has_prompt(made, found[1]):
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)

    assert [await has_prompt(made, each) for each in found] == [False, False, True]
    await ends_soon(task, lambda: True)


async def _remove(removing: OldPrompts) -> None:
    await removing.remove()


async def test_the_rows_are_searched_a_minute_after_the_start_and_then_every_hour(
    removing: OldPrompts, sleeps: Sleeps
) -> None:
    await ends_soon(asyncio.create_task(removing.run()), lambda: len(sleeps.seconds) > 2)

    assert sleeps.seconds[:3] == [60.0, 3600.0, 3600.0]


async def test_without_the_duty_nothing_is_removed(made: Served, sleeps: Sleeps) -> None:
    """A process that takes over looks within a minute."""
    job = await failed(made, KEPT + DAY)
    services = replace(made.services, policies=Policies(keep_prompts_days=10))
    removing = OldPrompts(without_duties(services))
    await ends_soon(asyncio.create_task(removing.run()), lambda: len(sleeps.seconds) > 2)

    assert sleeps.seconds[:3] == [60.0] * 3
    assert await has_prompt(made, job)


@pytest.mark.usefixtures("short_waits")
async def test_after_a_failure_of_the_database_a_minute_passes(
    made: Served,
    removing: OldPrompts,
    sleeps: Sleeps,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with unwritable(tmp_path / "easel.db"):
        await ends_soon(asyncio.create_task(removing.run()), lambda: len(sleeps.seconds) > 2)

    assert sleeps.seconds[:3] == [60.0] * 3
    assert "old prompts not removed" not in caplog.text  # the database has logged the cause


async def test_after_an_unexpected_error_an_hour_passes(
    made: Served,
    removing: OldPrompts,
    sleeps: Sleeps,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = await failed(made, KEPT + DAY)
    async with refusing(tmp_path / "easel.db", "UPDATE ON jobs"):
        await ends_soon(asyncio.create_task(removing.run()), lambda: len(sleeps.seconds) > 2)

    assert sleeps.seconds[:3] == [60.0, 3600.0, 3600.0]
    assert "old prompts not removed, retrying in an hour" in caplog.messages
    assert await has_prompt(made, job)
