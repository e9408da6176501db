"""The status messages of the worker's jobs: edited, searched for, and what they show."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.delivery import ReplyUnknown
from bot.errors import Reason
from bot.jobs import Job, JobStatus, Picture, PictureKind
from bot.store import generations, settlement
from bot.worker.deliver import REPLY_GRACE, Deliverer
from tests.support.outcomes import Outcomes
from tests.support.parts import Served
from tests.support.rows import NOW, add, new_job, one

SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def attempt(deliverer: Deliverer, made: Served, job: Job) -> Job:
    """Make an attempt; return the stored job."""
    await deliverer.deliver(await made.job(job), lambda: None)
    return await made.job(job)


async def canceled(made: Served, *, age: timedelta, message_id: int | None = None) -> Job:
    async with made.database.transaction() as tx:
        job = await add(tx, new_job(at=NOW - age), message_id=message_id)
        return await settlement.cancel(tx, job.id, NOW)


async def test_the_reply_of_a_canceled_job_is_searched_for(
    made: Served, deliverer: Deliverer, discord: Outcomes
) -> None:
    discord.reply = 60
    job = await attempt(deliverer, made, await canceled(made, age=SECOND))

    assert job.route.status_message_id == discord.attempts[0].job.route.status_message_id == 60
    assert job.delivered_at == NOW


@pytest.mark.parametrize(("age", "attempts"), [(REPLY_GRACE - MOMENT, 0), (REPLY_GRACE, 1)])
async def test_a_reply_that_is_not_found_may_be_on_the_way_for_fifteen_seconds(
    made: Served, deliverer: Deliverer, discord: Outcomes, age: timedelta, attempts: int
) -> None:
    job = await attempt(deliverer, made, await canceled(made, age=age))

    assert len(discord.attempts) == attempts
    error = None if attempts else "the reply may still be on the way"
    assert (job.delivery_error, job.delivered_at is None) == (error, not attempts)
    assert job.route.status_message_id is None


async def test_a_reply_that_nobody_can_find_any_more_holds_nothing_back(
    made: Served, deliverer: Deliverer, discord: Outcomes
) -> None:
    discord.reply = ReplyUnknown()
    job = await attempt(deliverer, made, await canceled(made, age=SECOND))

    assert job.delivered_at == NOW


async def test_a_known_reply_and_that_of_another_end_are_not_searched_for(
    made: Served, deliverer: Deliverer, discord: Outcomes
) -> None:
    known = await canceled(made, age=SECOND, message_id=40)
    async with made.database.transaction() as tx:
        other = await add(tx, new_job(2), message_id=None)
        other = await settlement.fail(tx, other.id, NOW, reason=Reason.REJECTED)
    for job in (known, other):
        await attempt(deliverer, made, job)

    assert (len(discord.attempts), discord.searches) == (2, [])


async def test_the_usual_time_is_shown_while_a_job_runs(
    made: Served, deliverer: Deliverer, discord: Outcomes
) -> None:
    made.clock.now += 10 * SECOND
    for number in range(10):
        job = await made.running([f"gen_{number}"], at=NOW)
        async with made.database.transaction() as tx:
            (generation,) = await generations.of_job(tx, job.id)
            await settlement.succeed(
                *(tx, job, made.clock.now),
                cost=None,
                pictures=[Picture(64 * "e", PictureKind.PNG, 9, 1, 1)],
                ends={generation.id: JobStatus.SUCCEEDED},
            )
    running = await made.running(["gen_11"])
    queued = replace(running, status=JobStatus.QUEUED)
    for job in (running, queued):
        assert await deliverer.show(job)

    usual, none = [wait.usual for _, wait in discord.edits]
    assert usual is not None
    assert (usual.median, none) == (10 * SECOND, None)


async def test_a_place_that_discord_did_not_confirm_is_shown_again(
    made: Served, deliverer: Deliverer, discord: Outcomes
) -> None:
    job = await one(made.database)
    places = deliverer.places

    async def due() -> list[str]:
        async with made.database.reading() as view:
            found = await places.changed(view, made.clock.now, created_after=NOW - HOUR)
        return [each.id for each in found]

    made.clock.now += 3 * SECOND
    assert await due() == [job.id]
    discord.answers = False
    assert not await deliverer.show(job)
    made.clock.now += 30 * SECOND
    assert await due() == [job.id]
    discord.answers = True
    assert await deliverer.show(job)
    made.clock.now += 30 * SECOND
    assert await due() == []
    assert [wait.place for _, wait in discord.edits] == [1, 1]


async def test_the_last_edit_is_noted_first(
    made: Served, deliverer: Deliverer, discord: Outcomes
) -> None:
    job = await one(made.database)
    await deliverer.show_final_status(job)

    ((shown, _),) = discord.edits
    assert shown.final_status_sent
    assert (await made.job(job)).final_status_sent
