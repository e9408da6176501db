"""The turns of the deletions: how much each erases, when one waits, and what is journaled."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.observability.logs import redact
from bot.pictures.erasures import ERASED
from bot.store import pictures as picture_rows
from bot.store.erasure import ENDED_FOR
from bot.store.pictures import Role
from bot.worker import erasing
from bot.worker.erasing import RETRY, WAIT, Eraser
from tests.support.clock import Sleeps
from tests.support.duties import without_duties
from tests.support.erasing import ADA, BEN, failed, left, pending, request, turns
from tests.support.files import picture
from tests.support.outcomes import Outcomes
from tests.support.parts import Served, ends_soon, unreadable, unwritable
from tests.support.pseudonyms import KEY
from tests.support.rows import NOW
from tests.support.statements import statements

MOMENT = timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bot.worker.erasing")


@pytest.fixture
def eraser(made: Served, discord: Outcomes) -> Eraser:
    made.database.use_pseudonyms(KEY)
    return Eraser(replace(made.services, delivery=discord))


async def test_slices_follow_each_other_without_a_pause_until_nothing_is_left(
    made: Served,
    eraser: Eraser,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(erasing, "SLICE", 2)
    found = await failed(made, 3)
    made.clock.now += MOMENT
    await request(made)
    numbers = []
    for _ in range(2):
        assert await turns(eraser, 1) == [0.0]
        numbers.append(len(await left(made, found)))
    assert numbers == [1, 0]
    assert await pending(made) == [ADA]
    assert await turns(eraser, 1) == [0.0]
    assert (tmp_path / "easel.db-wal").stat().st_size == 0  # it had pages with the words
    assert await turns(eraser, 1) == [WAIT]

    assert await pending(made) == []
    assert caplog.messages == [f"data of a member deleted: {KEY.of(ADA)}"]


async def test_members_take_turns(
    made: Served, eraser: Eraser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "SLICE", 1)
    found = [await failed(made, 2, of=member) for member in (ADA, BEN)]
    made.clock.now += MOMENT
    for member in (ADA, BEN):
        await request(made, of=member)
    await turns(eraser, 1)

    assert [len(await left(made, each)) for each in found] == [1, 1]


async def test_what_is_under_way_is_waited_for(made: Served, eraser: Eraser) -> None:
    job = await made.running(["gen_1"], at=NOW - MOMENT)
    await request(made)

    assert await turns(eraser, 1) == [WAIT]
    assert await left(made, [job]) == [job.id]
    assert await pending(made) == [ADA]


async def test_a_message_that_is_not_deleted_is_tried_again_after_half_a_minute(
    made: Served, eraser: Eraser, discord: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, other = await failed(made, 2)
    made.clock.now += MOMENT
    await request(made, with_results=True)
    discord.stuck = [stuck.id]
    assert await turns(eraser, 2) == [0.0, WAIT]
    assert await left(made, [stuck, other]) == [stuck.id]
    made.clock.now += RETRY - MOMENT
    await turns(eraser, 1)
    assert len(discord.removed) == 2
    discord.stuck = []
    made.clock.now += MOMENT
    await turns(eraser, 1)

    assert [each.id for each in discord.removed] == [stuck.id, other.id, stuck.id]
    assert await left(made, [stuck, other]) == []
    assert caplog.messages.count("result not removed: busy") == 1


@pytest.mark.parametrize(("later", "stays"), [(ENDED_FOR, True), (ENDED_FOR + MOMENT, False)])
async def test_a_day_later_the_data_goes_without_the_message(
    made: Served, eraser: Eraser, discord: Outcomes, later: timedelta, stays: bool
) -> None:
    (job,) = await failed(made, 1)
    await request(made, with_results=True)
    discord.stuck = [job.id]
    made.clock.now += later
    await turns(eraser, 2)

    assert bool(await left(made, [job])) is stays
    assert await pending(made) == ([ADA] if stays else [])


async def test_with_many_stuck_messages_their_member_waits(
    made: Served, eraser: Eraser, discord: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "SLICE", 1)
    monkeypatch.setattr(erasing, "MOST_STUCK", 2)
    found = await failed(made, 3)
    of_ben = await failed(made, 1, of=BEN)
    made.clock.now += MOMENT
    await request(made, with_results=True)
    discord.stuck = [job.id for job in found]
    assert await turns(eraser, 3) == [0.0, WAIT, WAIT]
    assert [each.id for each in discord.removed] == [found[0].id, found[1].id]
    await request(made, of=BEN)
    await turns(eraser, 1)
    assert await left(made, of_ben) == []  # others go on
    made.clock.now += RETRY - MOMENT
    await turns(eraser, 2)
    assert len(discord.removed) == 2
    discord.stuck = []
    made.clock.now += MOMENT
    assert await turns(eraser, 5) == [0.0] * 4 + [WAIT]
    assert await pending(made) == []


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(("place", "lines"), [("database", 0), ("journal", 1)])
async def test_a_deletion_that_fails_is_tried_again_after_half_a_minute(
    made: Served,
    eraser: Eraser,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    place: str,
    lines: int,
) -> None:
    """Of an error of the database, the log has the cause already."""
    found = await failed(made, 1)
    made.clock.now += MOMENT
    await request(made)
    if place == "database":
        async with unwritable(tmp_path / "easel.db"):
            assert await turns(eraser, 2) == [WAIT, WAIT]
    else:
        journal = tmp_path / ERASED
        journal.touch()  # where the folder has to be
        assert await turns(eraser, 2) == [WAIT, WAIT]
        journal.unlink()
    assert caplog.messages.count("deletion of a member's data failed, retrying") == lines
    made.clock.now += RETRY - MOMENT
    assert await turns(eraser, 1) == [WAIT]
    assert await left(made, found) != []
    made.clock.now += MOMENT
    assert await turns(eraser, 1) == [0.0]

    assert await left(made, found) == []


async def test_four_messages_are_deleted_at_once(
    made: Served, eraser: Eraser, discord: Outcomes
) -> None:
    await failed(made, 6)
    made.clock.now += MOMENT
    await request(made, with_results=True)
    discord.open.clear()
    turn = asyncio.create_task(turns(eraser, 1))
    async with asyncio.timeout(20):
        while len(discord.removed) < 4:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert len(discord.removed) == 4
    discord.open.set()
    assert await turn == [0.0]

    assert len(discord.removed) == 6


@pytest.mark.parametrize("without", ["the duty", "a key"])
async def test_the_task_rests(made: Served, sleeps: Sleeps, eraser: Eraser, without: str) -> None:
    """And works as soon as nothing is missing."""
    found = await failed(made, 1)
    made.clock.now += MOMENT
    await request(made)
    resting = eraser
    if without == "the duty":
        resting = Eraser(without_duties(made.services))
    else:
        made.database.use_pseudonyms(None)
    await ends_soon(asyncio.create_task(resting.run()), lambda: len(sleeps.seconds) > 2)
    assert sleeps.seconds[:3] == [WAIT] * 3
    assert await left(made, found) != []
    made.database.use_pseudonyms(KEY)
    task = asyncio.create_task(eraser.run())
    async with asyncio.timeout(20):
        while await pending(made):
            await asyncio.sleep(0.001)
    await ends_soon(task, lambda: True)


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(("cause", "is_logged"), [("no database", False), ("an odd row", True)])
async def test_the_task_goes_on_after_an_error(
    made: Served,
    eraser: Eraser,
    sleeps: Sleeps,
    caplog: pytest.LogCaptureFixture,
    cause: str,
    is_logged: bool,
) -> None:
    """Of an error of the database, the log has the cause already."""
    await request(made)
    async with AsyncExitStack() as failing:
        if cause == "no database":
            await failing.enter_async_context(unreadable(made.database))
        else:
            await failing.enter_async_context(odd_request(made))
        running = asyncio.create_task(eraser.run())
        async with asyncio.timeout(20):
            while len(sleeps.seconds) < 3:
                await asyncio.sleep(0.001)
    assert sleeps.seconds[:3] == [RETRY.total_seconds()] * 3
    async with asyncio.timeout(20):
        while await pending(made):
            await asyncio.sleep(0.001)
    await ends_soon(running, lambda: True)

    logged = caplog.messages.count("deletion of a member's data failed, retrying")
    assert bool(logged) is is_logged


@asynccontextmanager
async def odd_request(made: Served) -> AsyncIterator[None]:
    """Let the time of all requests be one that cannot be read."""
    async with made.database.transaction() as tx:
        moment = await tx.scalar(text("SELECT requested_at FROM erasures"))
        await tx.execute(text("UPDATE erasures SET requested_at = 'odd'"))
    yield
    async with made.database.transaction() as tx:
        await tx.execute(text("UPDATE erasures SET requested_at = :moment"), {"moment": moment})


async def test_a_deletion_gives_way_to_commands(
    made: Served, eraser: Eraser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.precedence.LONGEST", 30.0)
    found = await failed(made, 1)
    made.clock.now += MOMENT
    await request(made)
    with made.services.precedence.command():
        turn = asyncio.create_task(turns(eraser, 1))
        await asyncio.sleep(0.03)
        assert await left(made, found) != []
    await turn

    assert await left(made, found) == []


async def test_a_picture_that_is_about_to_get_a_job_is_waited_for(
    made: Served, eraser: Eraser
) -> None:
    store, retention = made.services.pictures, made.services.retention
    (job,) = await failed(made, 1)
    stored = await store.store(picture())
    async with made.database.transaction() as tx:
        await picture_rows.attach(tx, job.id, Role.OUTPUT, [stored], NOW)
    made.clock.now += MOMENT
    await request(made)
    async with retention.holding() as hold:
        hold(stored)
        assert await turns(eraser, 2) == [WAIT, WAIT]
        assert await left(made, [job]) == [job.id]
        assert len(await store.files()) == 1
    made.clock.now += RETRY
    assert await turns(eraser, 1) == [0.0]

    assert await left(made, [job]) == []
    assert await store.files() == []


async def test_between_two_turns_there_is_a_pause(made: Served, eraser: Eraser) -> None:
    with statements() as executed:
        task = asyncio.create_task(eraser.run())
        async with asyncio.timeout(20):
            while not executed:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.03)
        await ends_soon(task, lambda: True)

    assert sum("FROM erasures" in each for each in executed) == 1


async def test_no_line_of_the_log_has_words_that_are_deleted(made: Served) -> None:
    lines: list[str] = []
    discord = Outcomes(
        removing=lambda job: lines.append(redact(f"not removed: {job.request.prompt}", ()))
    )
    made.database.use_pseudonyms(KEY)
    eraser = Eraser(replace(made.services, delivery=discord))
    await failed(made, 1, prompt="a zebra that walks secretly")
    made.clock.now += MOMENT
    await request(made, with_results=True)
    await turns(eraser, 1)

    assert len(lines) == 1
    assert "zebra" not in lines[0]
    assert "zebra" in redact("a zebra that walks secretly", ())  # of another task
