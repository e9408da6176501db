"""Destinations that cannot be searched: posted to again, left, or given up, without a double."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.delivery import Shown, Undeliverable
from bot.jobs import Job
from bot.sandbox.http.faults import Answer, AnswerAfter
from bot.store.database import Database
from cogs.delivery.fallback import ABANDON_AFTER, FALL_BACK_AFTER, LOOKUP_AFTER
from cogs.ui.wording import Refusal
from tests.support.delivering import MINUTE, Delivering, delivering, fail, message, with_route

POSTS = r"/api/v10/channels/\d+/messages"
OWN = r"/api/v10/channels/\d+/messages/\d+"
HOOKS = r"/api/v10/webhooks/.*"
USER = r"/api/v10/users/\d+"
BUSY = Answer(503, {"code": 0, "message": "busy"})
LOST = AnswerAfter(503, {"code": 0, "message": "lost"})
PAGE = Answer(429, "<html>Too many</html>")  # of a proxy


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Delivering]:
    async with delivering(database, tmp_path) as made:
        yield made


async def begun(by: Delivering, *, private: bool = False) -> Job:
    """Return a job whose delivery begins now."""
    job, _ = await by.on.status(private=private)
    return replace(job, delivery_started_at=by.on.now())


def posts(by: Delivering) -> int:
    return sum(path == f"/channels/{by.on.channel.id}/messages" for path in by.on.sent("POST"))


async def test_a_channel_in_doubt_is_left_for_the_member_alone(by: Delivering) -> None:
    """The public reply would be a second result that others see."""
    by.on.fake.faults.add("POST", POSTS, LOST)
    by.on.fake.faults.add("GET", POSTS, BUSY, times=None)
    job = await begun(by)
    job = with_route(job, token_expires_at=by.on.now() + timedelta(hours=1))
    number = await fail(by, job, 1, 0, 3, 6)
    assert posts(by) == 1
    by.on.moved = LOOKUP_AFTER
    shown = await by.deliver(job, number=number)

    assert message(by, shown).ephemeral_to is by.on.ada
    assert posts(by) == 1


async def test_a_private_reply_that_keeps_failing_is_left_after_two_hours(by: Delivering) -> None:
    job = await begun(by, private=True)
    job = with_route(job, token_expires_at=by.on.now() + timedelta(hours=3))
    by.on.fake.faults.add("GET", HOOKS, PAGE, times=None)
    by.on.fake.faults.add("PATCH", HOOKS, PAGE, times=None)
    number = await fail(by, job, 2, 0, 3, 6, 119)
    by.on.moved = FALL_BACK_AFTER
    shown = await by.deliver(job, number=number)

    assert message(by, shown).channel is by.on.fake.dm_channel(by.on.ada)


async def test_a_failing_channel_is_left_for_the_reply_after_four_minutes(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    by.on.fake.faults.add("POST", POSTS, PAGE, times=None)
    job = await begun(by)
    number = await fail(by, job, 1, 0, 1, 2, 3.5)
    by.on.moved = 4 * MINUTE
    shown = await by.deliver(job, number=number)

    assert shown == Shown(job.route.status_message_id or 0, by.on.channel.id)
    assert "destination channel keeps failing, falling back: " in caplog.text


async def test_a_post_that_arrived_is_found_before_the_fallback(by: Delivering) -> None:
    job = await begun(by)
    by.on.fake.faults.add("POST", POSTS, PAGE, times=3)
    number = await fail(by, job, 1, 0, 1, 2)
    by.on.fake.faults.add("POST", POSTS, LOST)
    by.on.moved = 4 * MINUTE
    shown = await by.deliver(job, number=number)

    found = message(by, shown)
    assert found.channel is by.on.channel
    assert found.nonce == job.id
    assert by.delivered() == {"channel": 1}


async def test_an_outage_of_discord_ends_a_row_of_failures(by: Delivering) -> None:
    job = await begun(by)
    by.on.fake.faults.add("POST", POSTS, PAGE, times=None)
    number = await fail(by, job, 1, 0, 1, 2)
    outage = by.on.fake.faults.add("GET", USER, BUSY, times=None)
    number = await fail(by, job, number, 3)
    outage.remove()

    number = await fail(by, job, number, 3.2, 3.5, 4)  # a row of three begins again
    by.on.moved = 4.2 * MINUTE
    shown = await by.deliver(job, number=number)
    assert shown == Shown(job.route.status_message_id or 0, by.on.channel.id)


async def test_after_a_day_a_delivery_is_abandoned(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    job = await begun(by)
    job = with_route(job, token_expires_at=by.on.now(), status_message_id=None, private=True)
    by.on.fake.faults.add("POST", POSTS, PAGE, times=None)
    last = ABANDON_AFTER / MINUTE
    number = await fail(by, job, 1, 0, 60, last - 1)
    by.on.moved = ABANDON_AFTER
    found = await by.deliver(job, number=number)

    assert found == Undeliverable(Refusal.ABANDONED)
    assert "delivery abandoned after 24 h; result stays in /history: " in caplog.text
    assert by.delivered() == {"undeliverable": 1}


async def test_a_channel_that_cannot_be_read_has_no_result(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal of the search by Discord itself is an answer."""
    caplog.set_level("INFO", "cogs.delivery.destinations")
    by.on.fake.faults.add("GET", POSTS, Answer(403, {"code": 50001, "message": "no"}))
    job = await begun(by)
    shown = await by.deliver(job, number=2)

    assert message(by, shown).nonce == job.id
    assert "destination channel cannot be searched: 403" in caplog.text
