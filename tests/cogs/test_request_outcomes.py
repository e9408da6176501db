"""The reply to a request: confirmed, withdrawn, or left to the worker, by its outcome."""

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.errors import UserError
from bot.jobs import Job, JobStatus, Notify
from bot.sandbox.discord.permissions import ATTACH_FILES, EVERYONE
from bot.sandbox.http.faults import Answer, AnswerAfter, Hold, ResetAfter
from bot.store import members, sqlite
from bot.store.database import Database
from bot.store.sqlite import SQLiteDatabase
from cogs import _request
from cogs._replies import REPLY_TIMEOUT
from cogs._request import RefusedByAutoMod, request_job
from tests.support.serving import Serving, serving

CALLBACK = r"/api/v10/interactions/.*/callback"
REFUSED = Answer(403, {"code": 50013, "message": "Missing Permissions"})
REPLIED = Answer(400, {"code": 40060, "message": "Already acknowledged"})


async def request(
    by: Serving,
    **changes: Any,  # noqa: ANN401  # arguments of the request
) -> discord.Interaction[Any]:
    interaction = by.received(by.interaction())
    given: dict[str, Any] = {"prompt": "a fox", "options": {}, "model": None, **changes}
    await request_job(interaction, by.studio, **given)
    return interaction


async def jobs(by: Serving) -> list[Job]:
    async with by.services.database.reading() as view:
        return await members.recent_of(view, by.ada.id, 10)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    own = [each for each in caplog.records if each.name.startswith("cogs.")]
    return [each.getMessage() for each in own if each.levelno >= logging.WARNING]


async def test_a_reply_that_arrives_is_confirmed(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    await request(by)
    (job,) = await jobs(by)
    (message,) = by.fake.channel_messages(by.channel)

    assert (job.status, job.route.status_message_id) == (JobStatus.QUEUED, message.id)
    assert message.ephemeral_to is None
    assert lines(caplog) == []


async def test_a_private_request_is_shown_to_its_member_alone(by: Serving) -> None:
    await request(by, private=True)
    (job,) = await jobs(by)

    assert job.route.private
    assert by.fake.world.messages[job.route.status_message_id or 0].ephemeral_to is by.ada


@pytest.mark.parametrize(
    ("chosen", "private", "expected"),
    [
        (Notify.PRIVATE, None, True),
        (Notify.PRIVATE, False, False),
        (Notify.PING, True, True),
        (Notify.SILENT, None, False),
    ],
)
async def test_a_request_that_does_not_say_otherwise_follows_the_members_choice(
    by: Serving, chosen: Notify, private: bool | None, expected: bool
) -> None:
    await by.studio.preferences.choose_notify(by.ada.id, chosen)
    await request(by, private=private)
    (job,) = await jobs(by)

    assert job.route.private is expected


async def test_a_refused_reply_withdraws_the_job(by: Serving) -> None:
    by.fake.faults.add("POST", CALLBACK, REFUSED)
    with pytest.raises(discord.Forbidden):
        await request(by)
    (job,) = await jobs(by)

    assert job.status is JobStatus.CANCELED
    assert job.route.status_message_id is None


async def test_words_that_auto_mod_refuses_twice_are_a_sentence(by: Serving) -> None:
    blocked = Answer(400, {"code": 200000, "message": "Blocked"})
    by.fake.faults.add("POST", CALLBACK, blocked, times=2)
    with pytest.raises(RefusedByAutoMod):
        await request(by)
    (job,) = await jobs(by)
    assert job.status is JobStatus.CANCELED

    by.fake.faults.add("POST", CALLBACK, blocked)  # the second one hides the prompt
    await request(by)
    (message,) = by.fake.channel_messages(by.channel)
    assert "fox" not in message.text()


@pytest.mark.parametrize(
    "fault",
    [
        AnswerAfter(200, "<html>"),
        ResetAfter(),
        AnswerAfter(429, "<html>"),
        REPLIED,
        Answer(403, "<html>", {"Content-Type": "text/html"}),
    ],
    ids=repr,
)
async def test_a_reply_in_doubt_is_left_to_the_worker(
    by: Serving, fault: Answer | AnswerAfter | ResetAfter, caplog: pytest.LogCaptureFixture
) -> None:
    by.fake.faults.add("POST", CALLBACK, fault, times=None)
    await request(by)
    (job,) = await jobs(by)

    assert (job.status, job.route.status_message_id) == (JobStatus.QUEUED, None)
    (line,) = lines(caplog)
    assert line.startswith("outcome of a reply unknown, will look it up: ")


async def test_a_reply_without_an_answer_is_waited_for_ten_seconds(
    by: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert REPLY_TIMEOUT == 10
    monkeypatch.setattr(_request, "REPLY_TIMEOUT", 0.1)
    held = by.fake.faults.add("POST", CALLBACK, Hold())
    await request(by)
    held.remove()
    (job,) = await jobs(by)

    assert (job.status, job.route.status_message_id) == (JobStatus.QUEUED, None)
    assert lines(caplog) == ["outcome of a reply unknown, will look it up: TimeoutError()"]


async def test_a_reply_that_another_program_has_sent_withdraws_the_job(by: Serving) -> None:
    by.fake.faults.add("POST", CALLBACK, REPLIED)
    interaction = by.received(by.interaction())
    by.studio.copies.count_attempt(f"/interactions/{interaction.id}/token/callback")
    with pytest.raises(discord.HTTPException):
        await request_job(interaction, by.studio, prompt="a fox", options={}, model=None)
    (job,) = await jobs(by)

    assert job.status is JobStatus.CANCELED


@pytest.mark.parametrize(
    ("faults", "warned"),
    [
        ([Answer(403, {"code": 50013, "message": "no"}, held=True)], False),
        ([Answer(400, {"code": 200000, "message": "no"}, held=True)] * 2, False),
        ([Hold()], True),
    ],
    ids=["refused", "refused by AutoMod", "arrived"],
)
async def test_an_outcome_that_cannot_be_stored_is_left_to_the_worker(
    empty_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    faults: Sequence[Answer | Hold],
    warned: bool,
) -> None:
    """The member is warned of few credits only after a reply that has surely arrived."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(empty_file, isolation_level=None, check_same_thread=False)
    async with (
        SQLiteDatabase(empty_file) as database,
        serving(database, empty_file.parent, allowance=1) as by,
    ):
        held = [by.fake.faults.add("POST", CALLBACK, each) for each in faults]
        asked = asyncio.create_task(request(by))
        await held[0].reached()
        with closing(other):
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            for each in held:
                each.release()
            interaction = await asked
            other.execute("ROLLBACK")
        (job,) = await jobs(by)
        warnings = [each for each in by.fake.world.messages.values() if each.ephemeral_to]

    assert (job.status, job.route.status_message_id) == (JobStatus.QUEUED, None)
    assert "could not store the outcome of a reply, will look it up" in lines(caplog)
    assert len(warnings) == warned
    assert interaction.response.is_done() is warned


async def test_a_member_is_warned_after_the_reply_alone(database: Database, tmp_path: Path) -> None:
    async with serving(database, tmp_path, allowance=1) as by:
        by.fake.faults.add("POST", CALLBACK, AnswerAfter(200, "<html>"))
        await request(by)
        assert by.sent("POST")[1:] == []
    async with serving(database, tmp_path, allowance=1) as by:
        await request(by)
        (warning,) = [each for each in by.fake.world.messages.values() if each.ephemeral_to]

    assert warning.ephemeral_to is by.ada
    assert "100 %" in warning.text()


async def test_a_notice_is_given_once_although_the_reply_is_refused(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(database, tmp_path, budget=1) as by:
        by.fake.faults.add("POST", CALLBACK, REFUSED)
        with pytest.raises(discord.Forbidden):
            await request(by)

    assert lines(caplog) == ["budget of the bot nearly used: 0.001 of 0.001 credits"]


async def test_an_interaction_that_arrives_twice_is_answered_once(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    made = by.interaction()
    for _ in range(2):
        interaction = by.received(made)
        await request_job(interaction, by.studio, prompt="a fox", options={}, model=None)

    assert len(await jobs(by)) == 1
    assert by.sent("POST") == [f"/interactions/{made.id}/{made.token}/callback"]
    assert lines(caplog) == [f"interaction {made.id} arrived twice: its job exists already"]


async def test_a_refused_request_sends_no_reply(by: Serving) -> None:
    with pytest.raises(UserError):
        await request(by, model="none such")

    assert await jobs(by) == []
    assert by.sent("POST") == []


async def test_the_first_view_names_what_the_bot_lacks(by: Serving) -> None:
    by.fake.set_bot_permissions(by.channel, EVERYONE & ~ATTACH_FILES)
    await request(by)
    (message,) = by.fake.channel_messages(by.channel)

    assert "Attach Files" in message.text()
    assert not (await jobs(by))[0].route.postable
