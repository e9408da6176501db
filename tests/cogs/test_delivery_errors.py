"""Errors of Discord at rare moments of a delivery: each is retried, or surely final."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from bot import discord_session
from bot.backoff import Backoff
from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.http.faults import Answer, Hold, HoldLost, ResetAfter
from bot.store import tables
from bot.worker import housekeeping
from cogs.delivery import fallback
from tests.support.delivery import (
    REPLIES,
    add,
    attempted,
    direct,
    drawing,
    one_each,
    posts_to,
    results_in,
    until,
)
from tests.support.easel import Stage
from tests.support.rows import one

pytestmark = pytest.mark.long

CALLBACK = r"/api/v10/interactions/.*/callback"
ORIGINAL = r"/api/v10/webhooks/\d+/[^/]+/messages/@original"
TOKEN_EXPIRED = Answer(401, {"code": 50027, "message": "Invalid Webhook Token"})
TOO_MANY = Answer(429, "<html>Too many</html>")  # of a proxy: discord.py raises an error at once
FORBIDDEN = Answer(403, {"code": 50013, "message": "Missing Permissions"})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for due work often, so that a test moves the clock and need not wait."""
    monkeypatch.setattr(housekeeping, "INTERVAL", timedelta(seconds=0.3))


def searches(at: Stage) -> int:
    """Return how often the channel was searched for a message."""
    path = f"/api/v10/channels/{at.channel.id}/messages"
    return sum(each.method == "GET" and each.path == path for each in at.discord.requests)


async def test_a_post_that_the_end_of_the_connection_cut_off_says_nothing_about_the_channel(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit is one failure here: while Discord works, it abandons the delivery."""
    monkeypatch.setattr(fallback, "FAILURES_IN_A_ROW", 1)
    monkeypatch.setattr(fallback, "SHORTEST_ROW", timedelta(0))
    monkeypatch.setattr(fallback, "ABANDON_AFTER", timedelta(0))
    soon = Backoff(first=timedelta(seconds=0.1), longest=timedelta(seconds=0.1))
    monkeypatch.setattr(discord_session, "RECONNECTS", soon)
    async with at.easel():
        lost = at.discord.faults.add("POST", posts_to(at.channel), HoldLost())
        await at.imagine("a fox")
        await lost.reached()
        before = {session.id for session in at.discord.gateway.live}
        await at.discord.dispatch_malformed("INTERACTION_CREATE", {})  # ends the client
        waiting = await attempted(at)
        lost.remove()
        async with asyncio.timeout(20):
            while {session.id for session in at.discord.gateway.live} <= before:
                await asyncio.sleep(0.02)
        at.clock.move(seconds=10)
        (job,) = await at.settled()

    assert waiting.delivered_at is None
    assert "Session is closed" not in caplog.text
    assert "unexpected error in a delivery" not in caplog.text
    assert "delivery abandoned" not in caplog.text
    one_each(results_in(at, at.channel), [job])
    assert job.result_message_id != job.route.status_message_id


async def test_a_channel_that_surely_does_not_have_the_result_is_not_searched_again(
    at: Stage,
) -> None:
    """discord.py repeated the post, which was refused, and a search found nothing."""
    async with at.easel():
        await drawing(at, 1)
        add(at, "POST", posts_to(at.channel), [Answer(502, "<html>Bad gateway</html>")])
        refused = at.discord.faults.add("POST", posts_to(at.channel), FORBIDDEN, times=None)
        failed = at.discord.faults.add("PATCH", REPLIES, TOO_MANY)
        await at.finish()
        await attempted(at)
        assert (failed.hits, searches(at)) == (1, 1)
        at.clock.move(seconds=10)
        (job,) = await at.settled()

    assert refused.hits == 2
    assert searches(at) == 1
    assert job.result_message_id == job.route.status_message_id
    one_each(results_in(at, at.channel), [job])
    assert direct(at) == []


async def test_after_a_restart_a_reply_that_nobody_knows_is_not_searched(at: Stage) -> None:
    held = at.discord.faults.add("POST", CALLBACK, Hold())
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await held.reached()
    held.remove()
    at.clock.move(minutes=16)
    unseen = at.discord.faults.add("GET", posts_to(at.channel), FORBIDDEN, times=None)
    lost = at.discord.faults.add("POST", posts_to(at.channel), HoldLost())
    async with at.easel():
        await lost.reached()
    lost.remove()
    unseen.remove()
    at.clock.move(minutes=1)
    async with at.easel():
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.AWAY)
    assert job.route.status_message_id is None
    assert not [each.path for each in at.discord.requests if each.path.endswith("/None")]
    told = [each for each in at.discord.channel_messages(at.channel) if "offline" in each.text()]
    assert [each.id for each in told] == [job.result_message_id]
    assert direct(at) == []


async def test_a_job_without_a_status_message_shows_its_state_nowhere(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs")
    async with at.app() as app:  # opened, and not logged in
        job = await one(app.services.database, message_id=None)
        await app.services.delivery.show(job)
        assert "status message" not in caplog.text

        known = replace(job, route=replace(job.route, status_message_id=40))
        await app.services.delivery.show(known)
        assert "status message not edited: not logged in to Discord" in caplog.text


async def test_a_cancel_that_cannot_be_shown_now_is_shown_later(at: Stage) -> None:
    async with at.easel():
        await drawing(at, 1)
        (job,) = await at.jobs()
        failing = at.discord.faults.add("PATCH", REPLIES, TOO_MANY, times=None)
        await at.command("cancel", job=job.id)
        waiting = await attempted(at)
        (status,) = at.discord.channel_messages(at.channel)
        assert "Canceled" not in status.text()
        failing.remove()
        at.clock.move(seconds=10)
        (job,) = await at.settled()

    assert (waiting.status, waiting.delivered_at) == (JobStatus.CANCELED, None)
    assert "429" in (waiting.delivery_error or "")
    assert "Canceled" in status.text()
    assert job.result_message_id == job.route.status_message_id == status.id
    assert at.discord.channel_messages(at.channel) == [status]


async def test_a_cancel_that_discord_refuses_to_show_is_not_tried_again(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await drawing(at, 1)
        (job,) = await at.jobs()
        (status,) = at.discord.channel_messages(at.channel)
        at.discord.world.delete(status)
        await at.command("cancel", job=job.id)
        (job,) = await at.settled()

    assert (job.status, job.result_message_id) == (JobStatus.CANCELED, None)
    assert job.delivery_attempts == 1
    assert not job.delivery_error
    assert "delivery failed" not in caplog.text
    assert at.discord.channel_messages(at.channel) == direct(at) == []


async def answer_lost(at: Stage) -> None:
    """Request a picture whose reply arrives without a confirmation, and let the grace pass."""
    lost = at.discord.faults.add("POST", CALLBACK, ResetAfter())
    await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
    await lost.reached()
    await until(at, lambda job: job.status is JobStatus.QUEUED)
    at.clock.move(seconds=16)


async def test_a_reply_is_found_in_the_channel_if_the_token_expired_by_discords_clock(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    expired = at.discord.faults.add("GET", ORIGINAL, TOKEN_EXPIRED, times=None)
    async with at.easel():
        await answer_lost(at)
        (job,) = await at.settled()

    assert expired.hits == 1
    assert job.status is JobStatus.SUCCEEDED
    assert job.route.status_message_id is not None
    assert "reply not reconciled" not in caplog.text
    one_each(at.discord.channel_messages(at.channel), [job])  # the reply was deleted


async def test_a_search_for_the_reply_that_fails_is_repeated(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure taken for "not found" would fail the job."""
    at.discord.faults.add("GET", ORIGINAL, TOKEN_EXPIRED, times=None)
    failed = at.discord.faults.add("GET", posts_to(at.channel), Answer(503, "<html>"))
    async with at.easel():
        await answer_lost(at)
        await failed.reached()
        async with asyncio.timeout(20):
            while "reply not reconciled, retrying" not in caplog.text:
                await asyncio.sleep(0.02)
        at.clock.move(seconds=10)
        (job,) = await at.settled()

    assert failed.hits == 1
    assert (job.status, job.reason) == (JobStatus.SUCCEEDED, None)
    one_each(at.discord.channel_messages(at.channel), [job])


async def test_a_failure_of_a_job_without_a_secret_is_found_by_its_small_print(at: Stage) -> None:
    """A version without secrets has stored the job; the nonce has expired by the search."""
    at.oxen.fail_next()
    async with at.easel():
        await drawing(at, 1)
        async with at.database() as database, database.transaction() as tx:
            await tx.execute(update(tables.jobs).values(secret=None))
        held = at.discord.faults.add("POST", posts_to(at.channel), Hold())
        await at.finish()
        await held.reached()
    held.remove()
    at.clock.move(hours=1)
    async with at.easel():
        (job,) = await at.settled()

    assert (job.status, job.secret) == (JobStatus.FAILED, None)
    (told,) = at.discord.channel_messages(at.channel)
    assert told.id == job.result_message_id
    assert told.text().splitlines()[-1].endswith(f"job {job.id}")
