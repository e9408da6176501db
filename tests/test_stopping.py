"""SIGTERM and Ctrl-C: nothing new is begun, what is on its way ends, and nothing is lost."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.app import DRAIN_SECONDS
from bot.jobs import JobStatus
from bot.sandbox.demo.process import BotProcess, run_bot
from bot.sandbox.discord import Upload, User
from bot.sandbox.http.faults import Hold, HoldBefore, Rule
from tests.support.decoders import stopped
from tests.support.easel import KEY, TOKEN, Stage, text_of
from tests.support.files import jpeg_of_scans

pytestmark = pytest.mark.long

SEND = r"/api/v10/channels/\d+/messages"


@asynccontextmanager
async def process(at: Stage) -> AsyncIterator[BotProcess]:
    """The bot as its own process, on the stage's file."""
    settings = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": at.discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": at.oxen.url,
        "PRIVATE_HOSTS": at.private_hosts,
        "DATABASE_URL": f"sqlite:///{at.path}",
    }
    async with run_bot(at.folder, settings) as bot:
        await at.discord.connected(60)
        await at.discord.commands_registered()
        yield bot


def log_of(at: Stage) -> str:
    return (at.folder / "easel.log").read_text()


async def told(at: Stage, text: str) -> None:
    """Wait until the log says so."""
    async with asyncio.timeout(20):
        while text not in log_of(at):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_an_idle_bot_ends_at_once_and_in_order(at: Stage, name: str) -> None:
    async with process(at) as bot:
        began = time.monotonic()
        bot.send(signal.Signals[name])
        code = await asyncio.wait_for(bot.ended(), 20)

    assert code == 0
    assert time.monotonic() - began < DRAIN_SECONDS
    assert "Traceback" not in log_of(at)
    assert "WARNING" not in log_of(at)


@pytest.mark.parametrize("fault", [Hold(), HoldBefore()], ids=str)
async def test_a_request_that_is_on_its_way_is_answered_and_stored(
    at: Stage, fault: Hold | HoldBefore
) -> None:
    at.oxen.manual = True
    held = at.oxen.faults.add("POST", "/api/ai/queue", fault)
    async with process(at) as bot:
        await at.imagine("a fox")
        await held.reached()
        bot.terminate()
        await told(at, "stopping")
        held.release()
        code = await asyncio.wait_for(bot.ended(), 20)
    (job,) = await at.jobs()

    assert code == 0
    assert job.status is JobStatus.RUNNING
    assert "Traceback" not in log_of(at)
    async with process(at):
        await at.finish()
        await at.settled()
    assert len(at.oxen.generations) == 1


async def test_a_result_that_is_being_posted_is_noted(at: Stage) -> None:
    held = at.discord.faults.add("POST", SEND, Hold())
    async with process(at) as bot:
        await at.imagine("a fox")
        await held.reached()
        bot.terminate()
        await told(at, "stopping")
        held.release()
        await asyncio.wait_for(bot.ended(), 20)
    (job,) = await at.jobs()

    assert job.delivered_at is not None


async def test_a_cancel_closes_discord_after_the_deliveries(at: Stage) -> None:
    """The worker waits for blocks of the database, and its deliveries go on meanwhile."""
    held = at.discord.faults.add("POST", SEND, Hold())
    async with at.app() as app:
        running = asyncio.create_task(app.run())
        await at.discord.connected()
        await at.discord.commands_registered()
        await at.imagine("a fox")
        await held.reached()
        async with app.services.database.reading():
            running.cancel()
            await asyncio.sleep(0.1)  # in which a session that is closed too early would end
            held.release()
            (job,) = await at.settled()
        await asyncio.wait({running})

    assert job.delivery_attempts == 1
    assert job.delivery_error is None


async def test_what_takes_too_long_is_found_again(at: Stage) -> None:
    """It ends within ten seconds all the same."""
    held = at.oxen.faults.add("POST", "/api/ai/queue", HoldBefore())
    async with process(at) as bot:
        await at.imagine("a fox")
        await held.reached()
        began = time.monotonic()
        bot.terminate()
        code = await asyncio.wait_for(bot.ended(), 20)
    assert code == 0
    assert time.monotonic() - began < 10
    assert "Traceback" not in log_of(at)
    held.remove()

    async with process(at):
        (job,) = await at.settled()
    assert job.status in {JobStatus.SUCCEEDED, JobStatus.FAILED}
    assert len(at.oxen.generations) <= 1


def slow_to_decode() -> bytes:
    """Return a picture that takes a second, in which a test finds the decoder."""
    return jpeg_of_scans(99, (4000, 4000))


async def test_a_decode_is_ended_at_once(at: Stage) -> None:
    async with process(at) as bot:
        await at.edit(Upload("cat.jpg", slow_to_decode()))
        await stopped(bot.pid)
        began = time.monotonic()
        bot.terminate()
        code = await asyncio.wait_for(bot.ended(), 20)
    assert code == 0
    assert time.monotonic() - began < DRAIN_SECONDS
    assert "Traceback" not in log_of(at)
    (job,) = await at.jobs()
    assert job.status is JobStatus.QUEUED


def attempts_of(at: Stage) -> int:
    """Return the number of attempts to decode that are counted on the disk."""
    return sum(path.stat().st_size for path in (at.folder / "pictures" / "attempts").glob("*"))


async def test_a_picture_that_kills_the_bot_is_not_begun_for_ever(at: Stage) -> None:
    for start in range(2):
        async with process(at) as bot:
            if not start:
                await at.edit(Upload("cat.jpg", slow_to_decode()))
            pid = await stopped(bot.pid)
            async with asyncio.timeout(20):
                while attempts_of(at) <= start:
                    await asyncio.sleep(0.01)
            bot.send(signal.SIGKILL)
            await bot.ended()
        os.kill(pid, signal.SIGKILL)  # a decoder that is not stopped ends after its bot
    async with process(at):
        await at.said("`cat.jpg` is damaged")
        (job,) = await at.settled()

    assert job.status is JobStatus.FAILED
    assert await at.balance() == 0


async def held_submit(at: Stage, by: User | None = None) -> Rule:
    held = at.oxen.faults.add("POST", "/api/ai/queue", HoldBefore())
    await at.imagine("a fox", by=by)
    await held.reached()
    return held


async def test_a_second_signal_is_obeyed_at_once(at: Stage) -> None:
    async with process(at) as bot:
        await held_submit(at)
        bot.terminate()
        await told(at, "stopping")
        began = time.monotonic()
        bot.terminate()
        code = await asyncio.wait_for(bot.ended(), 20)

    assert code == 0
    assert time.monotonic() - began < DRAIN_SECONDS
    assert "Traceback" not in log_of(at)


async def test_meanwhile_nothing_new_is_begun(at: Stage) -> None:
    async with at.easel() as app:
        held = await held_submit(at)
        app.stop()
        refused = await at.imagine("a hare", by=at.ben)
        held.release()

    assert "is restarting" in text_of(refused)
    assert await at.jobs(at.ben) == []


async def test_a_queued_job_waits_for_the_next_start(at: Stage) -> None:
    async with at.easel() as app:
        held = [await held_submit(at) for _ in range(3)]
        held.append(await held_submit(at, at.discord.add_user("Cleo")))  # all places are taken
        await at.imagine("a hare", by=at.ben)
        app.stop()
        for each in held:
            each.release()
    (job,) = await at.jobs(at.ben)

    assert job.status is JobStatus.QUEUED


async def test_a_second_bot_on_the_same_file_names_the_first(at: Stage, tmp_path: Path) -> None:
    async with process(at):
        second = tmp_path / "second"
        second.mkdir()
        settings = {
            "DISCORD_TOKEN": TOKEN,
            "OXEN_API_KEY": KEY,
            "DATABASE_URL": f"sqlite:///{at.path}",
        }
        async with run_bot(second, settings) as bot:
            code = await asyncio.wait_for(bot.ended(), 20)
            said = (second / "easel.log").read_text()

    assert code == 2
    assert said.startswith("easel: DATABASE_URL: ")
    assert "process" in said
    assert said.count("\n") == 1
