"""Replies to results, as a client without a gateway hears them: which ones request a picture."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bot.jobs import JobStatus, Notify
from bot.sandbox.discord import Upload
from bot.sandbox.discord.permissions import (
    ADMINISTRATOR,
    ATTACH_FILES,
    SEND_MESSAGES,
    USE_APPLICATION_COMMANDS,
)
from bot.sandbox.http.faults import Answer, AnswerAfter, Reset
from bot.store import jobs
from bot.store.database import Database
from cogs import replying
from cogs.replying import AT_ONCE, IN_ALL
from cogs.ui import wording
from tests.support.files import picture
from tests.support.hearing import Hearing, Reading, told
from tests.support.serving import serving

POSTS = r"/api/v10/channels/\d+/messages"
NEUTRAL = wording.Replying.NEUTRAL


@pytest.fixture
async def hear(database: Database, tmp_path: Path) -> AsyncIterator[Hearing]:
    async with serving(database, tmp_path) as by:
        made = Hearing(by)
        await made.begin()
        yield made
        await made.cog.cog_unload()


async def test_a_reply_that_mentions_the_bot_requests_a_change(hear: Hearing) -> None:
    said = await hear.say("add snow")
    (job,) = await hear.requested()

    assert (job.request.prompt, job.source_job_id) == ("add snow", hear.job.id)
    assert (job.origin_id, job.of_message) == (said.id, True)
    status = hear.by.fake.world.messages[job.route.status_message_id or 0]
    assert status.nonce == f"{job.id}-status"
    assert status.reference is not None
    assert status.reference.id == said.id
    assert status.pings == []
    assert await told(hear) == []


async def test_the_mention_is_no_part_of_the_text(hear: Hearing) -> None:
    bot = hear.by.fake.bot_user.id
    await hear.say("", content=f"add <@!{bot}> snow <@{bot}>")
    (job,) = await hear.requested()

    assert job.request.prompt == "add   snow"


@pytest.mark.parametrize(
    "changes",
    [
        {"content": "add snow"},
        {"webhook_id": "5"},
        {"type": 0},
        {"message_reference": None},
        {"author": {"id": "5", "username": "x", "discriminator": "0", "avatar": None, "bot": True}},
    ],
    ids=str,
)
async def test_what_nobody_meant_so_requests_nothing(
    hear: Hearing, changes: dict[str, Any]
) -> None:
    changes = {name: value for name, value in changes.items() if value is not None}
    lost: dict[str, Any] = {} if changes else {"message_reference": {"type": 0, "channel_id": "1"}}
    await hear.say("add snow", **changes, **lost)

    assert await hear.requested() == []
    assert await told(hear) == []


async def test_in_direct_messages_no_mention_is_needed(hear: Hearing) -> None:
    channel = hear.by.fake.dm_channel(hear.by.ada)
    source, result = await hear.by.result(where=channel)
    hear.by.server = hear.by.fake.add_guild("Other")
    await hear.say("", to=result, content="add snow")
    made = [each for each in await hear.requested() if each.id != source.id]

    assert [each.request.prompt for each in made] == ["add snow"]


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        ("1: add snow", "add snow"),
        ("2: add snow", "add snow"),
        ("2:\nadd snow\nand wind", "add snow\nand wind"),
        ("16:9 please", "16:9 please"),
        ("1000: add snow", "1000: add snow"),
    ],
)
async def test_a_number_chooses_a_picture(hear: Hearing, words: str, prompt: str) -> None:
    await hear.begin(pictures=2)
    await hear.say(words)
    (job,) = [each for each in await hear.requested() if each.source_job_id == hear.job.id]

    assert job.request.prompt == prompt
    assert f"-{2 if words[0] == '2' else 1}.png" in job.inputs[0].name


@pytest.mark.parametrize(
    ("words", "note"),
    [
        ("", wording.Replying.NO_INSTRUCTION),
        ("1:", wording.Replying.NO_INSTRUCTION),
        ("1:   ", wording.Replying.NO_INSTRUCTION),
        ("2: add snow", wording.Replying.WRONG_NUMBER.one),
        ("0: add snow", wording.Replying.WRONG_NUMBER.one),
    ],
)
async def test_a_reply_that_cannot_be_a_request_gets_a_note(
    hear: Hearing, words: str, note: str
) -> None:
    await hear.say(words)

    assert await told(hear) == [note]
    assert await hear.requested() == []


async def test_who_may_not_use_the_command_may_not_reply(hear: Hearing) -> None:
    ben = hear.by.fake.add_user("Ben")
    hear.by.fake.set_channel_permissions(hear.by.channel, ben, deny=USE_APPLICATION_COMMANDS)
    await hear.say("add snow", by=ben)
    assert await told(hear) == [NEUTRAL]
    assert await hear.requested(ben) == []

    hear.by.fake.set_permissions(hear.by.server, ben, ADMINISTRATOR)
    await hear.say("add snow", by=ben)
    assert len(await hear.requested(ben)) == 1


async def test_a_hidden_or_deleted_result_is_not_edited(hear: Hearing) -> None:
    await hear.say("add snow", referenced_message=None)
    assert await told(hear) == [NEUTRAL]
    async with hear.by.services.database.transaction() as tx:
        await jobs.hide(tx, hear.job.id, hear.by.now())
    hear.by.moved += timedelta(seconds=15)  # a member gets one note in this time
    await hear.say("add snow")  # the requester sees the job, and its message is gone

    assert await told(hear) == [NEUTRAL, NEUTRAL]
    assert await hear.requested() == []


async def test_a_reply_to_another_message_of_the_bot_gets_a_note(hear: Hearing) -> None:
    other = await hear.by.post("a status message")
    bens = await hear.by.fake.say(hear.by.fake.add_user("Ben"), hear.by.channel, "look")
    await hear.say("add snow", to=bens)
    assert await told(hear) == []
    await hear.say("add snow", to=other)

    assert await told(hear) == [wording.Replying.NO_RESULT]
    assert await hear.requested() == []


@pytest.mark.parametrize(
    ("lost", "note"),
    [
        (SEND_MESSAGES, []),
        (ATTACH_FILES, [wording.Replying.CANNOT_POST.format(permissions="Attach Files")]),
    ],
)
async def test_nothing_is_made_where_the_bot_may_not_post(
    hear: Hearing, lost: int, note: list[str]
) -> None:
    hear.by.fake.set_channel_permissions(hear.by.channel, hear.by.fake.bot_user, deny=lost)
    await hear.say("add snow")

    assert await told(hear) == note
    assert await hear.requested() == []


async def test_a_refused_status_message_withdraws_the_job(
    hear: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, replying.__name__)
    hear.by.fake.faults.add("POST", POSTS, Answer(403, {"code": 50013, "message": "no"}))
    await hear.say("add snow")
    (job,) = await hear.requested()

    assert job.status is JobStatus.CANCELED
    assert caplog.messages[0].startswith("status message refused, job withdrawn: 403")


@pytest.mark.parametrize(
    "fault",
    [
        AnswerAfter(503, {"code": 0, "message": "no"}),
        AnswerAfter(200, "<html>"),
        Answer(403, "<html>", {"Content-Type": "text/html"}),
        Reset(),
    ],
    ids=repr,
)
async def test_a_status_message_in_doubt_is_left_to_the_worker(
    hear: Hearing, fault: Answer | AnswerAfter | Reset, caplog: pytest.LogCaptureFixture
) -> None:
    hear.by.fake.faults.add("POST", POSTS, fault)
    await hear.say("add snow")
    (job,) = await hear.requested()

    assert (job.status, job.route.status_message_id) == (JobStatus.QUEUED, None)
    (line,) = [each for each in caplog.records if each.name == replying.__name__]
    assert line.levelname == "WARNING"
    assert line.getMessage().startswith("outcome of a reply unknown, will look it up: ")


async def test_the_same_reply_twice_makes_one_job(
    hear: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    message = await hear.say("add snow")
    await hear.cog.on_message(message)

    assert len(await hear.requested()) == 1
    assert f"reply {message.id} arrived twice: its job exists already" in caplog.text


async def test_a_choice_of_private_results_makes_nothing_private_in_a_server(
    hear: Hearing,
) -> None:
    await hear.by.studio.preferences.choose_notify(hear.by.ada.id, Notify.PRIVATE)
    await hear.say("add snow")
    (job,) = await hear.requested()

    assert (job.route.private, job.route.notify) == (False, Notify.PING)


@pytest.fixture
async def reading(hear: Hearing, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reading]:
    monkeypatch.setattr(replying, "REPLY_TIMEOUT", 120.0)
    made = Reading(hear)
    yield made
    await made.end()


async def test_a_member_has_three_replies_read_at_once(hear: Hearing, reading: Reading) -> None:
    assert AT_ONCE == 3
    await reading.begin(2)
    await hear.say("add snow")
    assert len(await hear.requested()) == 3
    await reading.begin(1)
    await hear.say("add wind")
    assert await told(hear) == [wording.Replying.TOO_FAST]
    assert len(await hear.requested()) == 4

    await reading.end()
    await reading.begin(2)
    await hear.say("add rain")
    assert len(await hear.requested()) == 7
    await reading.end()
    assert not hear.cog._reading  # nobody is remembered


async def test_the_replies_of_all_members_that_are_read_at_once_are_bounded(
    hear: Hearing, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert IN_ALL == 100
    monkeypatch.setattr(replying, "IN_ALL", 2)
    ben = hear.by.fake.add_user("Ben")
    await reading.begin(1)
    await hear.say("add snow", by=ben)
    assert len(await hear.requested(ben)) == 1
    await reading.begin(1)
    await hear.say("add wind", by=ben)
    assert len(await hear.requested(ben)) == 1
    assert await told(hear) == []

    await reading.end()
    await hear.say("add rain", by=ben)
    assert len(await hear.requested(ben)) == 2


async def test_an_error_that_nothing_foresaw_is_a_note_and_a_line(
    hear: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    async with hear.by.services.database.transaction() as tx:
        await tx.execute(text("UPDATE jobs SET options = '{'"))  # which nothing can read
    message = await hear.say("add snow")
    assert await told(hear) == [wording.BUG]
    (line,) = [each for each in caplog.records if each.name == replying.__name__]
    assert (line.levelname, line.getMessage()) == ("ERROR", f"reply {message.id} failed")


async def test_who_is_not_served_gets_no_answer(database: Database, tmp_path: Path) -> None:
    async with serving(database, tmp_path, servers=frozenset({5})) as by:
        hear = Hearing(by)
        await hear.begin()
        await hear.say("")
        assert await told(hear) == []
        assert await hear.requested() == []


async def test_references_are_the_files_of_the_reply(hear: Hearing) -> None:
    await hear.say("add snow", files=(Upload("cat.png", picture()),))
    assert len(await told(hear)) == 1  # the model takes one picture
