"""Another program with the same token and another database."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.app import App
from bot.backoff import utc_now
from bot.clock import ClockWatch
from bot.jobs import JobStatus
from bot.sandbox.discord.components import walk
from bot.sandbox.http.faults import AnswerAfter
from bot.second_copy import CopyWatch
from tests.support.easel import Stage, registered, text_of

LINE = "another program uses this bot's token"


@asynccontextmanager
async def second(at: Stage, empty: Path) -> AsyncIterator[App]:
    """Run another Easel beside the first, with the same token."""
    folder = at.folder / "second"
    folder.mkdir()
    shutil.copyfile(empty, folder / "easel.db")
    async with at.easel(database_url=f"sqlite:///{folder / 'easel.db'}") as app:
        await registered(app)  # which needs no connection
        await at.discord.connected(sessions=2)
        yield app


async def last_seen(app: App) -> Any:  # noqa: ANN401  # a part of the report
    part: Any = (await app.report.report())[1]["second_copy"]
    return part["last_seen"]


async def test_a_second_copy_is_noticed_and_one_of_both_draws(
    at: Stage, migrated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel() as one, second(at, migrated) as two:
        await at.imagine("a fox")
        await at.result("a fox")
        async with asyncio.timeout(30):
            while LINE not in caplog.text:  # the slower copy may reply after the result
                await asyncio.sleep(0.02)
        seen = [await last_seen(one), await last_seen(two)]

    assert len(at.created()) == 1
    assert len([m for m in at.discord.channel_messages(at.channel) if m.pictures()]) == 1
    assert seen.count(None) == 1  # the faster one has noticed nothing yet
    assert caplog.text.count(LINE) == 1


async def test_a_button_of_an_unknown_job_on_a_new_message_is_noticed(
    at: Stage, migrated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        old = await at.said("Drawing")
    shutil.copyfile(migrated, at.path)  # as after the restore of a backup
    at.clock.move(minutes=5)
    async with at.easel() as app:
        pressed = await at.discord.click(at.ada, old, str(old.buttons()[0]["custom_id"]))
        assert "no job with this id" in text_of(await pressed.answered())
        assert await last_seen(app) is None
        assert LINE not in caplog.text

        at.clock.move(minutes=5)
        await at.imagine("a hare")
        new = await at.said("a hare")
        of_another = str(new.buttons()[0]["custom_id"])[:-16] + "abcdefghabcdefgh"
        (button,) = (each for each in walk(new.tree) if "custom_id" in each)
        button["custom_id"] = of_another
        pressed = await at.discord.click(at.ada, new, of_another)
        await pressed.answered()
        assert await last_seen(app) is not None

    assert caplog.text.count(LINE) == 1


@pytest.mark.long
async def test_a_reply_that_discord_py_repeats_is_no_second_copy(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """40060 is then the answer to the second attempt of this program."""
    at.discord.faults.add("POST", r".*/callback", AnswerAfter(502, "oops"))
    async with at.easel() as app:
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await at.discord.wait_for_message(lambda message: "Queued" in message.text())
        at.clock.move(seconds=20)
        await at.result("a fox")
        (job,) = await at.settled()
        assert await last_seen(app) is None

    assert job.status is JobStatus.SUCCEEDED
    assert LINE not in caplog.text


@pytest.mark.parametrize("shared", [False, True])
def test_a_reply_of_another_program_on_the_same_database_is_no_evidence(
    shared: bool, caplog: pytest.LogCaptureFixture
) -> None:
    watch = CopyWatch(utc_now, ClockWatch(utc_now), shared=shared)
    watch.count_attempt("/api/v10/interactions/1/token/callback")

    assert watch.replied_elsewhere(1)
    assert (watch.last_seen is None) is shared
    assert (LINE in caplog.text) is not shared
