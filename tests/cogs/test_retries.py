"""Retries of a delivery by the age: searches, fallbacks and the end after a day."""

import asyncio
from datetime import timedelta

import pytest

from bot.backoff import Backoff
from bot.jobs import Job
from bot.sandbox.http.faults import (
    Answer,
    AnswerAfter,
    Hold,
    HoldBefore,
)
from bot.worker import deliver
from cogs.delivery import fallback, timeouts
from cogs.ui.wording import Refusal
from tests.support.delivery import (
    REPLIES,
    SEND,
    add,
    direct,
    drawing,
    one_each,
    posts_to,
    results_in,
)
from tests.support.easel import Stage

# Attempts that follow one another at 0, 2, 6, 14, 30, 62, 126 and 254 seconds.
FOURTH, SIXTH, EIGHTH = 4, 6, 8


def soon(monkeypatch: pytest.MonkeyPatch, reply: int = 10, next: int = 40, end: int = 150) -> None:
    """Shorter ages, in seconds, so that a test need not make every attempt of a day."""
    ages = {"REPLY_AFTER": reply, "FALL_BACK_AFTER": next, "ABANDON_AFTER": end}
    ages["SHORTEST_ROW"] = reply
    for name, seconds in ages.items():
        monkeypatch.setattr(fallback, name, timedelta(seconds=seconds))


async def retry(at: Stage, most: int, *, settled: bool = True) -> Job:
    """Move the clock to each attempt until the job is delivered, or `most` have been made."""
    async with asyncio.timeout(50):
        while True:
            (job,) = await at.jobs()
            if job.delivered_at or (not settled and job.delivery_attempts >= most):
                return job
            assert job.delivery_attempts <= most
            if job.deliver_after and job.deliver_after > at.clock():
                at.clock.move(seconds=(job.deliver_after - at.clock()).total_seconds())
            await asyncio.sleep(0.05)


def age(job: Job) -> timedelta:
    """Return the time from the first attempt to the end of a delivery."""
    assert job.delivered_at is not None
    assert job.delivery_started_at is not None
    return job.delivered_at - job.delivery_started_at


@pytest.mark.long
async def test_a_failing_channel_falls_back_to_the_reply_while_the_token_is_valid(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None)
        await at.finish()
        job = await retry(at, FOURTH)

    assert job.result_message_id == job.route.status_message_id
    one_each(results_in(at, at.channel), [job])
    assert direct(at) == []
    assert job.delivery_error is None


@pytest.mark.long
async def test_a_failing_channel_falls_back_to_the_member_after_the_token_expired(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)
        at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None)
        at.discord.faults.add("PATCH", posts_to(at.channel) + r"/\d+", Answer(503, {}), times=None)
        await at.finish()
        job = await retry(at, SIXTH)

    one_each(direct(at), [job])
    assert results_in(at, at.channel) == []


@pytest.mark.long
async def test_a_failing_channel_is_left_also_if_the_members_account_is_gone(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discord answers: the refusal of the member's account says nothing about an outage."""
    soon(monkeypatch)
    gone = Answer(404, {"code": 10013, "message": "Unknown User"})
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)
        at.discord.faults.add("GET", r"/api/v10/users/\d+", gone, times=None)
        at.discord.faults.add("*", posts_to(at.channel) + r"(/\d+)?", Answer(503, {}), times=None)
        await at.finish()
        job = await retry(at, EIGHTH)

    assert job.result_message_id is None
    assert job.delivery_attempts <= EIGHTH
    assert direct(at) == []


@pytest.mark.long
@pytest.mark.parametrize("longest", [1, 30])
async def test_the_longest_wait_of_the_backoff_moves_no_fallback(
    at: Stage, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    """The ages are the real ones: the first attempt after 4 minutes falls back."""
    backoff = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=longest))
    monkeypatch.setattr(deliver, "RETRIES", backoff)
    async with at.easel():
        await drawing(at, 1)
        at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None)
        await at.finish()
        job = await retry(at, 10)

    assert job.result_message_id == job.route.status_message_id
    assert fallback.REPLY_AFTER <= age(job) < fallback.REPLY_AFTER + timedelta(minutes=1)


@pytest.mark.long
async def test_the_age_of_a_delivery_survives_a_restart(at: Stage) -> None:
    async with at.easel():
        await drawing(at, 1)
        at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None)
        await at.finish()
        await retry(at, 1, settled=False)
    at.clock.move(minutes=5)
    restarted_at = at.clock()
    async with at.easel():
        job = await retry(at, 10)

    assert job.result_message_id == job.route.status_message_id
    assert job.delivered_at is not None
    assert job.delivered_at - restarted_at < fallback.REPLY_AFTER < age(job)


@pytest.mark.parametrize("hours", [1, 3])
async def test_a_direct_message_sent_before_a_restart_is_not_sent_again(
    at: Stage, hours: int
) -> None:
    """After the nonce has expired: before and after the age at which the search comes first."""
    async with at.easel(job_timeout=3600):
        await drawing(at, 1, private=True)
        at.clock.move(minutes=16)
        held = at.discord.faults.add("POST", SEND, Hold())
        await at.finish()
        await held.reached()
    held.remove()
    at.clock.move(hours=hours)
    async with at.easel(job_timeout=3600):
        (job,) = await at.settled()

    one_each(direct(at), [job])


@pytest.mark.long
async def test_a_direct_message_of_a_fallback_before_a_restart_is_found_before_the_channel_is_tried(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)
        failing = [
            at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None),
            at.discord.faults.add(
                "PATCH", posts_to(at.channel) + r"/\d+", Answer(503, {}), times=None
            ),
        ]
        held = at.discord.faults.add("POST", posts_to(at.discord.dm_channel(at.ada)), Hold())
        await at.finish()
        await retry(at, SIXTH, settled=False)
        await held.reached()
    for rule in (*failing, held):
        rule.remove()
    async with at.easel(job_timeout=3600):
        job = await retry(at, EIGHTH)

    one_each(direct(at), [job])
    assert results_in(at, at.channel) == []


@pytest.mark.long
async def test_a_delivery_that_always_fails_is_abandoned_and_show_says_so(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    at.ada.accepts_dms = False
    async with at.easel(job_timeout=3600):
        await drawing(at, 1, private=True)
        at.clock.move(minutes=16)
        at.discord.faults.add("POST", SEND, Answer(503, {}), times=None)
        await at.finish()
        waiting = await retry(at, 2, settled=False)
        asked = await at.command("show", job=waiting.id)
        pending = await at.discord.wait_for_message(lambda it: waiting.id in it.text())
        job = await retry(at, EIGHTH)
        await at.command("show", job=job.id)
        await at.discord.wait_for_message(lambda it: "is stored here" in it.text())

    assert asked.user is at.ada
    assert "The result is not posted yet" in pending.text()
    assert (job.delivery_attempts, job.result_message_id) == (EIGHTH, None)
    assert job.delivery_error == Refusal.ABANDONED
    assert await at.balance() == -7500


async def test_show_quotes_the_refusals_of_discord(at: Stage) -> None:
    at.ada.accepts_dms = False
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)
        at.discord.delete_channel(at.channel)
        await at.finish()
        (job,) = await at.settled()
        await at.command("show", job=job.id, where=at.discord.dm_channel(at.ada))
        shown = await at.discord.wait_for_message(lambda it: "is stored here" in it.text())

    assert "Discord refused the message in the channel with “Unknown Channel”" in shown.text()
    assert (
        "Discord refused the direct message with “Cannot send messages to this user”"
        in shown.text()
    )


@pytest.mark.long
async def test_an_outage_of_discord_causes_no_fallback(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch, 0, 0, 0)
    async with at.easel():
        await drawing(at, 1)
        out = at.discord.faults.add("*", r"/api/v10/(?!gateway).*", Answer(503, {}), times=None)
        monkeypatch.setattr(timeouts, "SEND_TIMEOUT", 1.0)
        await at.finish()
        await retry(at, 5, settled=False)
        out.remove()
        job = await retry(at, 7)

    one_each(results_in(at, at.channel), [job])
    assert job.result_message_id != job.route.status_message_id


@pytest.mark.long
async def test_a_channel_that_may_have_the_result_and_cannot_be_searched_is_asked_by_the_nonce(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fallback could double the result; a post with the same nonce returns the first."""
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        taken = at.discord.faults.add("POST", posts_to(at.channel), AnswerAfter(503, {}))
        at.discord.faults.add("GET", posts_to(at.channel), Answer(503, {}), times=None)
        await at.finish()
        job = await retry(at, EIGHTH)

    assert taken.hits == 1
    one_each(results_in(at, at.channel), [job])
    assert direct(at) == []


@pytest.mark.long
async def test_the_channel_is_searched_before_the_fallback(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        failures = [Answer(503, {})] * (FOURTH - 1)
        add(at, "POST", posts_to(at.channel), [*failures, AnswerAfter(503, {})])
        await at.finish()
        job = await retry(at, FOURTH)

    assert job.result_message_id != job.route.status_message_id
    one_each(results_in(at, at.channel), [job])


@pytest.mark.long
async def test_a_later_destination_that_may_have_the_result_is_searched_first(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel works again, after an edit of the reply whose outcome is unknown."""
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        monkeypatch.setattr(timeouts, "SEND_TIMEOUT", 1.0)
        failing = at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None)
        held = at.discord.faults.add("PATCH", REPLIES, Hold())
        await at.finish()
        await retry(at, FOURTH, settled=False)
        await held.reached()
        failing.remove()
        job = await retry(at, FOURTH + 1)

    assert job.result_message_id == job.route.status_message_id
    one_each(results_in(at, at.channel), [job])


@pytest.mark.long
async def test_an_upload_that_times_out_is_shrunk(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback, "SMALLEST_LIMIT", 16 * 1024)
    async with at.easel():
        await at.imagine("a detailed fox in a garden")
        whole = await at.result("detailed fox")
        monkeypatch.setattr(timeouts, "SEND_TIMEOUT", 1.0)
        slow = at.discord.faults.add("POST", SEND, HoldBefore())
        await at.imagine("a detailed fox in a garden again")
        shrunk = await at.result("garden again")
        await at.settled(2)

    assert slow.hits == 1
    assert "Shrunk" not in whole.text()
    assert "Shrunk to fit the upload limit" in shrunk.text()


@pytest.mark.long
async def test_a_result_without_pictures_is_found(at: Stage) -> None:
    """The search also works after the nonce has expired."""
    async with at.easel():
        await drawing(at, 1)
        add(at, "POST", SEND, [Answer(503, {}), AnswerAfter(503, {})])
        await at.finish()
        await retry(at, 1, settled=False)
        for path in (at.folder / "pictures").rglob("*.png"):
            path.unlink()
        await retry(at, 2, settled=False)
        at.clock.move(hours=1)
        job = await retry(at, 3)

    gone = [it for it in at.discord.channel_messages(at.channel) if "no longer stored" in it.text()]
    one_each(gone, [job])


async def test_a_post_that_discord_py_repeated_is_found_after_a_refusal(at: Stage) -> None:
    """discord.py repeats a post after a 5xx: the refusal answers the repeated post."""
    gone = Answer(403, {"code": 50013, "message": "Missing Permissions"})
    async with at.easel():
        await drawing(at, 1)
        add(at, "POST", SEND, [AnswerAfter(502, "<html>Bad gateway</html>"), gone])
        await at.finish()
        found = await at.settled(1)

    one_each(results_in(at, at.channel), found)
    assert direct(at) == []
