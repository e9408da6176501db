"""One attempt at a delivery: what Discord gets, and what is stored of the outcome."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.delivery import NotDelivered, Shown, Undeliverable
from bot.errors import Reason
from bot.jobs import TOKEN_MARGIN, Job, JobStatus, Picture, PictureKind
from bot.store import generations, jobs, settlement
from bot.store.backends import open_database
from bot.worker.deliver import Deliverer
from bot.worker.leases import SILENCE, LeaseLost, Leases
from tests.support.clock import Moment
from tests.support.outcomes import Outcomes
from tests.support.parts import Served
from tests.support.rows import NOW, new_job, one
from tests.support.services import services_on

SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def failed(made: Served, *, token_until: datetime = NOW - HOUR, token: str = "") -> Job:
    """Store a failed job, whose token has expired unless a test says otherwise."""
    new = new_job(at=NOW - 2 * HOUR)
    route = replace(
        new.route,
        token_expires_at=token_until,
        interaction_token=token or new.route.interaction_token,
    )
    job = await one(made.database, replace(new, route=route))
    async with made.database.transaction() as tx:
        return await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)


async def drawn(made: Served, number: int, *, count: int) -> Job:
    job = await made.running(["gen_1"], count=count)
    async with made.database.transaction() as tx:
        if not number:
            return await settlement.fail(tx, job.id, NOW, reason=Reason.NO_PICTURE)
        (generation,) = await generations.of_job(tx, job.id)
        return await settlement.succeed(
            *(tx, job, NOW),
            cost=None,
            pictures=[Picture(f"{each:064}", PictureKind.PNG, 9, 1, 1) for each in range(number)],
            ends={generation.id: JobStatus.SUCCEEDED},
        )


async def attempt(deliverer: Deliverer, made: Served, job: Job) -> Job:
    """Make an attempt; return the stored job."""
    await deliverer.deliver(await made.job(job), lambda: None)
    return await made.job(job)


async def test_a_message_that_shows_the_result_is_stored(
    made: Served, deliverer: Deliverer, discord: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    made.clock.now += SECOND
    job = await attempt(deliverer, made, await failed(made))

    assert (job.delivered_at, job.result_message_id, job.result_channel_id) == (
        *(made.clock.now, 50, 20),
    )
    assert job.delivery_error is None
    assert "delivered as message 50" in caplog.messages
    await attempt(deliverer, made, job)
    assert len(discord.attempts) == 1  # nothing is left to deliver


async def test_a_result_without_a_destination_is_done_with(
    made: Served, deliverer: Deliverer, discord: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    token = "secret-token"
    discord.shown = Undeliverable(f"{token} " + 600 * "x")
    job = await attempt(deliverer, made, await failed(made, token=token))

    assert (job.delivered_at, job.result_message_id, job.result_channel_id) == (NOW, None, None)
    assert job.delivery_error == "… " + 498 * "x"
    assert "delivered as message" not in caplog.text


@pytest.mark.parametrize(
    ("chance", "retry_after", "wait"),
    [
        (SECOND, None, SECOND),
        (MOMENT, None, MOMENT),
        (timedelta(0), None, 2 * SECOND),
        (-SECOND, None, 2 * SECOND),
        (2 * SECOND - MOMENT, None, 2 * SECOND - MOMENT),
        (2 * SECOND + MOMENT, None, 2 * SECOND),
        (SECOND, 0.0, SECOND),
        (SECOND, 5.0, 5 * SECOND),
    ],
)
async def test_the_last_chance_to_use_a_token_is_not_missed(
    made: Served,
    deliverer: Deliverer,
    discord: Outcomes,
    chance: timedelta,
    retry_after: float | None,
    wait: timedelta,
) -> None:
    """Unless Discord asks for a pause."""
    discord.shown = NotDelivered("busy", retry_after)
    job = await failed(made, token_until=NOW + TOKEN_MARGIN + chance)
    job = await attempt(deliverer, made, job)

    assert job.deliver_after == NOW + wait


async def test_the_waits_between_attempts_double_up_to_ten_minutes(
    made: Served, deliverer: Deliverer, discord: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    discord.shown = NotDelivered("busy")
    job = await failed(made)
    waits = []
    for _ in range(11):
        job = await attempt(deliverer, made, job)
        assert job.deliver_after is not None
        waits.append((job.deliver_after - made.clock.now).total_seconds())
        made.clock.now = job.deliver_after

    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert "delivery failed, retrying in 0:08:32: busy" in caplog.messages
    assert [each.again for each in discord.attempts] == [False] + 10 * [True]
    assert b"easel_delivery_retries_total 11.0" in made.services.metrics.text(None)


async def test_what_an_attempt_has_shown_before_it_failed_is_stored(
    made: Served, deliverer: Deliverer, discord: Outcomes
) -> None:
    discord.shown = NotDelivered("the status message is left", shown=Shown(51, 0))
    job = await attempt(deliverer, made, await failed(made))
    assert (job.delivered_at, job.result_message_id, job.result_channel_id) == (None, 51, 0)
    assert job.delivery_error == "the status message is left"
    discord.shown = NotDelivered("busy")
    made.clock.now += HOUR
    job = await attempt(deliverer, made, job)

    assert (job.result_message_id, job.result_channel_id) == (51, 0)
    assert job.delivery_attempts == 2


async def test_an_unexpected_error_is_logged_and_the_delivery_retried(
    made: Served, deliverer: Deliverer, discord: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    discord.shown = KeyError("no author")
    job = await attempt(deliverer, made, await failed(made))

    assert (job.deliver_after, job.delivery_error) == (NOW + 2 * SECOND, "KeyError")
    (line,) = [each for each in caplog.records if each.exc_info]
    assert line.getMessage() == "unexpected error in a delivery, retrying"


@pytest.mark.parametrize(
    ("pictures", "count", "missing"), [(1, 3, 2), (2, 2, 0), (3, 2, 0), (0, 2, 0)]
)
async def test_the_pictures_that_were_not_made_are_counted_if_any_was(
    made: Served, deliverer: Deliverer, discord: Outcomes, pictures: int, count: int, missing: int
) -> None:
    job = await drawn(made, pictures, count=count)
    await deliverer.deliver(job, lambda: None)
    (made_attempt,) = discord.attempts

    assert (len(made_attempt.pictures), made_attempt.missing) == (pictures, missing)


async def test_a_result_is_delivered_with_the_job_that_it_comes_from(
    made: Served, deliverer: Deliverer, discord: Outcomes
) -> None:
    source = await failed(made)
    job = await one(made.database, replace(new_job(), source_job_id=source.id))
    async with made.database.transaction() as tx:
        job = await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)
    await deliverer.deliver(job, lambda: None)
    await deliverer.deliver(source, lambda: None)

    first, second = [each.job.source for each in discord.attempts]
    assert first is not None
    assert (first.id, second) == (source.id, None)


async def test_a_delivery_gives_way_to_commands(
    made: Served, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.precedence.LONGEST", 30.0)
    job = await failed(made)
    with made.services.precedence.command():
        delivering = asyncio.create_task(deliverer.deliver(job, lambda: None))
        await asyncio.sleep(0.03)
        assert (await made.job(job)).delivery_attempts == 0
    await delivering

    assert (await made.job(job)).delivered_at == NOW


async def steps() -> None:
    """Let each task go on until it waits for the database, or for a turn."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_two_deliveries_at_most_wait_for_the_database(
    made: Served, deliverer: Deliverer
) -> None:
    """A command that comes later waits for these two alone."""
    found = [await failed(made) for _ in range(3)]
    counts: list[int] = []

    async def command() -> None:
        async with made.database.transaction() as tx:
            stored = [await jobs.get(tx, job.id) for job in found]
            counts.append(sum(job.delivery_attempts for job in stored if job))

    async with asyncio.TaskGroup() as group, made.database.transaction():
        for job in found:
            group.create_task(deliverer.deliver(job, lambda: None))
        await steps()
        group.create_task(command())
        await steps()

    assert counts == [2]


@pytest.mark.long
async def test_nothing_is_posted_under_a_lease_that_may_have_ended(
    postgres_url: str, tmp_path: Path, discord: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(postgres_url) as database:
        services = replace(services_on(database, tmp_path, Moment()), delivery=discord)
        deliverer = Deliverer(services, Leases(services))
        job = await one(database)
        async with database.transaction() as tx:
            job = await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)
        monkeypatch.setattr("bot.worker.deliver.elapsed", lambda: 100.0)
        monkeypatch.setattr("bot.worker.leases.elapsed", lambda: 101.0 + SILENCE)
        with pytest.raises(LeaseLost):
            await deliverer.deliver(job, lambda: None)
        async with database.reading() as view:
            stored = await jobs.get(view, job.id)

    assert stored is not None
    assert (discord.attempts, stored.delivery_error) == ([], None)
