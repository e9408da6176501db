"""One attempt at a delivery: what Discord gets, and what is stored of the outcome."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.delivery import NotDelivered, ReplyUnknown, Shown, Undeliverable
from bot.errors import Reason
from bot.jobs import TOKEN_MARGIN, Job, JobStatus, Picture, PictureKind
from bot.services import Services
from bot.store import generations, jobs, settlement
from bot.store.backends import open_database
from bot.worker.deliver import REPLY_GRACE, Deliverer
from bot.worker.leases import SILENCE, LeaseLost, Leases
from tests.support.outcomes import Outcomes
from tests.support.parts import Moment, Parts
from tests.support.rows import NOW, add, new_job, one
from tests.support.services import services_on

SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def discord() -> Outcomes:
    return Outcomes()


@pytest.fixture
def services(made: Parts, discord: Outcomes) -> Services:
    return replace(made.services, delivery=discord)


@pytest.fixture
def deliverer(services: Services) -> Deliverer:
    return Deliverer(services, Leases(services))


async def failed(made: Parts, *, token_until: datetime = NOW - HOUR, token: str = "") -> Job:
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


async def drawn(made: Parts, number: int, *, count: int) -> Job:
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


async def attempt(deliverer: Deliverer, made: Parts, job: Job) -> Job:
    """Make an attempt; return the stored job."""
    await deliverer.deliver(await made.job(job), lambda: None)
    return await made.job(job)


async def test_a_message_that_shows_the_result_is_stored(
    made: Parts, deliverer: Deliverer, discord: Outcomes, caplog: pytest.LogCaptureFixture
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
    made: Parts, deliverer: Deliverer, discord: Outcomes, caplog: pytest.LogCaptureFixture
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
    made: Parts,
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
    made: Parts, deliverer: Deliverer, discord: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    discord.shown = NotDelivered("busy")
    job = await failed(made)
    waits = []
    for _ in range(11):
        job = await attempt(deliverer, made, job)
        assert job.deliver_after is not None
        waits.append((job.deliver_after - NOW).total_seconds())

    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert "delivery failed, retrying in 0:08:32: busy" in caplog.messages
    assert [each.again for each in discord.attempts] == [False] + 10 * [True]
    assert b"easel_delivery_retries_total 11.0" in made.services.metrics.text(None)


async def test_what_an_attempt_has_shown_before_it_failed_is_stored(
    made: Parts, deliverer: Deliverer, discord: Outcomes
) -> None:
    discord.shown = NotDelivered("the status message is left", shown=Shown(51, 0))
    job = await attempt(deliverer, made, await failed(made))
    assert (job.delivered_at, job.result_message_id, job.result_channel_id) == (None, 51, 0)
    assert job.delivery_error == "the status message is left"
    discord.shown = NotDelivered("busy")
    job = await attempt(deliverer, made, job)

    assert (job.result_message_id, job.result_channel_id) == (51, 0)


async def test_an_unexpected_error_is_logged_and_the_delivery_retried(
    made: Parts, deliverer: Deliverer, discord: Outcomes, caplog: pytest.LogCaptureFixture
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
    made: Parts, deliverer: Deliverer, discord: Outcomes, pictures: int, count: int, missing: int
) -> None:
    job = await drawn(made, pictures, count=count)
    await deliverer.deliver(job, lambda: None)
    (made_attempt,) = discord.attempts

    assert (len(made_attempt.pictures), made_attempt.missing) == (pictures, missing)


async def test_a_result_is_delivered_with_the_job_that_it_comes_from(
    made: Parts, deliverer: Deliverer, discord: Outcomes
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
    made: Parts, deliverer: Deliverer, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.precedence.LONGEST", 30.0)
    job = await failed(made)
    with services.precedence.command():
        delivering = asyncio.create_task(deliverer.deliver(job, lambda: None))
        await asyncio.sleep(0.03)
        assert (await made.job(job)).delivery_attempts == 0
    await delivering

    assert (await made.job(job)).delivered_at == NOW


async def canceled(made: Parts, *, age: timedelta, message_id: int | None = None) -> Job:
    async with made.database.transaction() as tx:
        job = await add(tx, new_job(at=NOW - age), message_id=message_id)
        return await settlement.cancel(tx, job.id, NOW)


async def test_the_reply_of_a_canceled_job_is_searched_for(
    made: Parts, deliverer: Deliverer, discord: Outcomes
) -> None:
    discord.reply = 60
    job = await attempt(deliverer, made, await canceled(made, age=SECOND))

    assert job.route.status_message_id == discord.attempts[0].job.route.status_message_id == 60
    assert job.delivered_at == NOW


@pytest.mark.parametrize(("age", "attempts"), [(REPLY_GRACE - MOMENT, 0), (REPLY_GRACE, 1)])
async def test_a_reply_that_is_not_found_may_be_on_the_way_for_fifteen_seconds(
    made: Parts, deliverer: Deliverer, discord: Outcomes, age: timedelta, attempts: int
) -> None:
    job = await attempt(deliverer, made, await canceled(made, age=age))

    assert len(discord.attempts) == attempts
    error = None if attempts else "the reply may still be on the way"
    assert (job.delivery_error, job.delivered_at is None) == (error, not attempts)
    assert job.route.status_message_id is None


async def test_a_reply_that_nobody_can_find_any_more_holds_nothing_back(
    made: Parts, deliverer: Deliverer, discord: Outcomes
) -> None:
    discord.reply = ReplyUnknown()
    job = await attempt(deliverer, made, await canceled(made, age=SECOND))

    assert job.delivered_at == NOW


async def test_a_known_reply_and_that_of_another_end_are_not_searched_for(
    made: Parts, deliverer: Deliverer, discord: Outcomes
) -> None:
    known = await canceled(made, age=SECOND, message_id=40)
    async with made.database.transaction() as tx:
        other = await add(tx, new_job(2), message_id=None)
        other = await settlement.fail(tx, other.id, NOW, reason=Reason.REJECTED)
    for job in (known, other):
        await attempt(deliverer, made, job)

    assert (len(discord.attempts), discord.searches) == (2, [])


async def test_the_usual_time_is_shown_while_a_job_runs(
    made: Parts, deliverer: Deliverer, discord: Outcomes
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
    made: Parts, deliverer: Deliverer, discord: Outcomes
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
    made: Parts, deliverer: Deliverer, discord: Outcomes
) -> None:
    job = await one(made.database)
    await deliverer.show_final_status(job)

    ((shown, _),) = discord.edits
    assert shown.final_status_sent
    assert (await made.job(job)).final_status_sent


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
