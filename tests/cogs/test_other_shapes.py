"""A result in another shape after a refusal: smaller, without its prompt, or told by a link."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.delivery import NotDelivered
from bot.jobs import Job, Notify, Picture
from bot.sandbox.http.faults import Answer, HoldLost
from bot.store.database import Database
from cogs.delivery import discord_delivery, fallback, posts, timeouts
from cogs.ui.wording import HiddenPrompt
from tests.support.delivering import MINUTE, Delivering, delivering, fail, message, with_route
from tests.support.files import picture

POSTS = r"/api/v10/channels/\d+/messages"
USER = r"/api/v10/users/\d+"
OPEN_DM = r"/api/v10/users/@me/channels"
PAGE = Answer(429, "<html>Too many</html>")  # of a proxy
BLOCKED = Answer(400, {"code": 200000, "message": "Blocked by AutoMod"})


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Delivering]:
    async with delivering(database, tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "fault",
    [Answer(413, "<html>"), Answer(400, {"code": 40005, "message": "Too large"})],
    ids=["proxy", "Discord"],
)
async def test_a_refused_size_is_halved(
    by: Delivering, fault: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, discord_delivery.__name__)
    by.on.fake.faults.add("POST", POSTS, fault)
    data = picture(size=(200, 150))
    job, _ = await by.on.status()
    posted = message(by, await by.deliver(job, await by.store.store(data)))

    (file,) = posted.files
    assert len(file.data) <= len(data) // 2
    assert "Shrunk to fit the upload limit" in posted.text()
    assert f"upload too large, shrinking to {len(data) // 2} bytes" in caplog.messages


async def test_the_smaller_of_both_limits_holds(
    by: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = picture(size=(200, 150))
    stored = await by.store.store(data)
    job, _ = await by.on.status()
    small = with_route(job, upload_limit=len(data) // 2)
    posted = message(by, await by.deliver(small, stored))
    assert len(posted.files[0].data) <= len(data) // 2

    job, _ = await by.on.status()
    monkeypatch.setattr(fallback, "SMALLEST_LIMIT", 1024)
    await unanswered(by, job, stored, monkeypatch)
    posted = message(by, await by.deliver(job, stored, number=2))
    assert len(posted.files[0].data) <= len(data) // 2


async def test_after_an_upload_without_an_answer_the_next_one_is_half_a_mebibyte_at_least(
    by: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await by.store.store(picture(size=(600, 400)))
    assert 512 < stored.size // 1024 < 1024
    job, _ = await by.on.status()
    await unanswered(by, job, stored, monkeypatch)
    searched = len(by.on.sent("GET"))
    posted = message(by, await by.deliver(job, stored, number=2))

    (copy,) = by.store.disk.rglob(f"{stored.sha256}-*")
    assert copy.stem == f"{stored.sha256}-{512 * 1024}"
    assert posted.files[0].data == copy.read_bytes()
    path = f"/channels/{by.on.channel.id}/messages"
    assert path in by.on.sent("GET")[searched:]  # the post may have arrived


async def test_after_a_failure_with_an_answer_the_upload_is_not_halved(by: Delivering) -> None:
    stored = await by.store.store(picture(size=(600, 400)))
    assert stored.size > 512 * 1024
    by.on.fake.faults.add("POST", POSTS, Answer(503, {"code": 0, "message": "busy"}))
    job, _ = await by.on.status()
    with pytest.raises(NotDelivered, match="busy"):
        await by.deliver(job, stored)
    posted = message(by, await by.deliver(job, stored, number=2))

    assert len(posted.files[0].data) >= stored.size
    assert "Shrunk" not in posted.text()


async def unanswered(
    by: Delivering, job: Job, stored: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let an upload arrive and have no answer in time, nor any effect."""
    lost = by.on.fake.faults.add("POST", POSTS, HoldLost())
    with monkeypatch.context() as patched:
        size = stored.size / (128 * 1024)  # in seconds, which a time-out adds
        patched.setattr(timeouts, "SEND_TIMEOUT", 2.0 - size)
        with pytest.raises(NotDelivered, match="TimeoutError"):
            await by.deliver(job, stored)
    assert lost.hits == 1
    lost.remove()


async def test_a_refused_prompt_is_hidden_in_this_and_all_later_attempts(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, discord_delivery.__name__)
    for fault in (BLOCKED, PAGE):
        by.on.fake.faults.add("POST", POSTS, fault)
    job, _ = await by.on.status()
    with pytest.raises(NotDelivered):
        await by.deliver(job)
    posted = message(by, await by.deliver(job, number=2))

    assert "fox" not in posted.text()
    assert HiddenPrompt.AUTOMOD in posted.text()
    lines = [each for each in caplog.messages if "hiding" in each]
    assert lines == ["Discord refuses the words of the prompt, hiding them"]


async def test_a_prompt_that_is_refused_twice_is_a_refused_destination(by: Delivering) -> None:
    by.on.fake.faults.add("POST", POSTS, BLOCKED, times=2)
    job, status = await by.on.status()
    shown = message(by, await by.deliver(job))

    assert shown is status
    assert "fox" not in status.text()


async def test_a_link_that_is_refused_is_tried_once(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, posts.__name__)
    refused = by.on.fake.faults.add("POST", OPEN_DM, PAGE, times=None)
    job, _ = await by.on.status()
    posted = message(by, await by.deliver(with_route(job, notify=Notify.DIRECT)))

    assert posted.channel is by.on.channel
    assert refused.hits == 1
    (line,) = caplog.messages
    assert line.startswith("direct message about a result not sent: 429")


async def test_no_link_leads_to_a_message_that_only_its_member_sees(by: Delivering) -> None:
    job, _ = await by.on.status(private=True)
    await by.deliver(with_route(job, notify=Notify.DIRECT))

    assert by.direct() == []


@pytest.mark.parametrize(
    ("answer", "works"),
    [
        (Answer(404, {"code": 10013, "message": "Unknown User"}), True),
        (Answer(503, {"code": 0, "message": "no"}), False),
        (PAGE, False),
    ],
    ids=["refused", "busy", "proxy"],
)
async def test_a_failure_counts_while_discord_answers(
    by: Delivering, answer: Answer, works: bool
) -> None:
    """Three failures lead to the reply after four minutes."""
    by.on.fake.faults.add("POST", POSTS, PAGE, times=None)
    by.on.fake.faults.add("GET", USER, answer, times=None)
    job, status = await by.on.status()
    job = replace(job, delivery_started_at=by.on.now())
    number = await fail(by, job, 1, 0, 1, 2)
    if not works:
        await fail(by, job, number, 4)
        return
    by.on.moved = 4 * MINUTE
    assert message(by, await by.deliver(job, number=number)) is status
