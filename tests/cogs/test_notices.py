"""The notice that a result waits, sent to the requester alone after every destination refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.delivery import Undeliverable
from bot.sandbox.http.faults import Answer, AnswerAfter
from bot.store.database import Database
from tests.support.delivering import Delivering, delivering

POSTS = r"/api/v10/channels/\d+/messages"
HOOKS = r"/api/v10/webhooks/.*"
FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"
NO_POST = Answer(403, {"code": 50013, "message": "Missing Permissions"})
EXPLICIT = Answer(400, {"code": 20009, "message": "Explicit"})
LOST = AnswerAfter(502, {"code": 0, "message": "Bad Gateway"})


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Delivering]:
    async with delivering(database, tmp_path) as made:
        yield made


async def test_the_member_is_told_where_an_undeliverable_result_waits(by: Delivering) -> None:
    """In the status message; else privately where the files alone were refused, once."""
    file = await by.picture()
    for path in (POSTS, FOLLOW_UPS):
        by.on.fake.faults.add("POST", path, EXPLICIT)
    by.on.fake.faults.add("PATCH", HOOKS, EXPLICIT)
    job, status = await by.on.status(private=True)
    assert isinstance(await by.deliver(job, file), Undeliverable)
    assert f"See `/show` with the job `{job.id}`" in status.text()
    assert by.direct() == []

    for path in (POSTS, FOLLOW_UPS, FOLLOW_UPS):
        by.on.fake.faults.add("POST", path, EXPLICIT)
    by.on.fake.faults.add("PATCH", HOOKS, EXPLICIT, times=None)
    job, status = await by.on.status(private=True)
    assert isinstance(await by.deliver(job, file), Undeliverable)
    (notice,) = by.direct()
    assert (notice.nonce, notice.pings) == (f"{job.id}-stored", [])
    assert "See `/show`" in notice.text()
    assert status.deleted


async def test_a_member_who_refuses_all_messages_gets_no_notice(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs.delivery.notices")
    by.on.ada.accepts_dms = False
    by.on.fake.faults.add("*", HOOKS, NO_POST, times=None)
    job, _ = await by.on.status(private=True)
    opened = len(by.on.sent("POST"))
    assert isinstance(await by.deliver(job), Undeliverable)

    # a follow-up, its notice, the opening of direct messages, and one message there
    posts = [path for path in by.on.sent("POST")[opened:] if path.startswith("/channels/")]
    assert len(posts) == 1
    (line,) = [each for each in caplog.messages if "notice" in each]
    assert line.startswith("notice of an undeliverable result not sent: 403")


async def test_a_notice_that_is_refused_everywhere_leaves_the_result_in_show(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs.delivery.notices")
    file = await by.picture()
    for fault in (EXPLICIT, NO_POST):
        for path in (POSTS, FOLLOW_UPS):
            by.on.fake.faults.add("POST", path, fault)
    by.on.fake.faults.add("PATCH", HOOKS, EXPLICIT, times=None)
    job, _ = await by.on.status(private=True)

    assert isinstance(await by.deliver(job, file), Undeliverable)
    assert by.direct() == []
    lines = [each for each in caplog.messages if "notice of an undeliverable result" in each]
    assert len(lines) == 2
    assert all("Missing Permissions" in each for each in lines)


async def test_a_notice_whose_answer_is_lost_is_not_sent_twice(by: Delivering) -> None:
    """A follow-up has no nonce, so that a repeat after an unknown outcome doubles it."""
    file = await by.picture()
    for path in (POSTS, FOLLOW_UPS):
        by.on.fake.faults.add("POST", path, EXPLICIT)
    by.on.fake.faults.add("PATCH", HOOKS, EXPLICIT, times=None)
    lost = by.on.fake.faults.add("POST", FOLLOW_UPS, LOST)
    job, _ = await by.on.status(private=True)

    assert isinstance(await by.deliver(job, file), Undeliverable)
    said = [each for each in by.on.fake.world.messages.values() if "See `/show`" in each.text()]
    assert [each.ephemeral_to for each in said] == [by.on.ada, None]  # then a direct message
    assert lost.hits == 1
    assert said[1:] == by.direct()
