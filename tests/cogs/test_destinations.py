"""Every delivery ends: in one message at the first destination that accepts it, or in none."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from bot.backoff import Backoff
from bot.jobs import Job, JobStatus
from bot.sandbox.discord import Channel, ChannelKind, Message
from bot.sandbox.http.faults import (
    Answer,
    AnswerAfter,
    Fault,
    Hold,
    HoldBefore,
    Reset,
    ResetAfter,
    Rule,
)
from bot.worker import deliver
from cogs.delivery import fallback, timeouts
from tests.support.easel import Stage

SEND = r"/api/v10/channels/\d+/messages"
REPLIES = r"/api/v10/webhooks/.*"
OPEN_DM = r"/api/v10/users/@me/channels"
VIA = {"Via": "1.1 google"}

REFUSALS = [
    Answer(403, {"code": 50001, "message": "Missing Access"}),
    Answer(404, {"code": 10003, "message": "Unknown Channel"}),
    Answer(400, {"code": 50035, "message": "Invalid Form Body"}),
    Answer(413, {"code": 40005, "message": "Request entity too large"}),
    Answer(413, "<html>Too large</html>"),
]
TRANSIENT: list[Fault] = [
    Answer(400, "<html>Bad request</html>"),  # no answer of Discord itself
    Answer(403, "<html>Forbidden</html>"),
    Answer(404, "<html>Not found</html>"),
    Answer(429, {"message": "slow", "retry_after": 0.1, "global": False}, VIA),
    Answer(429, {"message": "slow", "retry_after": 0.1, "global": False}),
    Answer(429, "<html>Too many</html>", {"Retry-After": "1"}),
    Answer(429, "<html>Too many</html>", VIA),
    Answer(500, {"code": 0, "message": "500: Internal Server Error"}),
    Answer(502, "<html>Bad gateway</html>"),
    Answer(503, "<html>Unavailable</html>"),
    Answer(504, ""),
    Answer(200, "<html>not JSON</html>"),
    AnswerAfter(500, ""),
    AnswerAfter(502, "<html>Bad gateway</html>"),
    AnswerAfter(503, "<html>Unavailable</html>"),
    AnswerAfter(504, ""),
    AnswerAfter(200, "<html>not JSON</html>"),
    AnswerAfter(200, {}),
    Reset(),
    ResetAfter(),
]


def results_in(at: Stage, channel: Channel) -> list[Message]:
    return [message for message in at.discord.channel_messages(channel) if message.pictures()]


def direct(at: Stage) -> list[Message]:
    return results_in(at, at.discord.dm_channel(at.ada))


def add(at: Stage, method: str, path: str, faults: Sequence[Fault]) -> list[Rule]:
    return [at.discord.faults.add(method, path, fault) for fault in faults]


async def drawing(at: Stage, count: int, **options: Any) -> None:  # noqa: ANN401
    """Start jobs that run until `Stage.finish`, and wait for their status messages."""
    at.oxen.manual = True
    for number in range(count):
        await at.imagine(f"fox {number}", **options)
    await at.oxen.created(count, timeout=20)
    async with asyncio.timeout(20):
        while {job.status for job in await at.jobs()} != {JobStatus.RUNNING}:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)  # the status messages are edited


def one_each(messages: list[Message], jobs: list[Job]) -> None:
    assert sorted(message.id for message in messages) == sorted(
        job.result_message_id or 0 for job in jobs
    )


@pytest.mark.long
async def test_transient_failures_of_the_channel_end_in_one_post(at: Stage) -> None:
    async with at.easel():
        await drawing(at, len(TRANSIENT))
        rules = add(at, "POST", SEND, TRANSIENT)
        await at.finish()
        found = await at.settled(len(TRANSIENT), timeout=45)

    assert [rule.hits for rule in rules] == [1] * len(TRANSIENT)
    one_each(results_in(at, at.channel), found)
    assert direct(at) == []


@pytest.mark.long
async def test_transient_failures_of_a_private_reply_end_in_the_reply(at: Stage) -> None:
    async with at.easel():
        await drawing(at, len(TRANSIENT), private=True)
        rules = add(at, "PATCH", REPLIES, TRANSIENT)
        await at.finish()
        found = await at.settled(len(TRANSIENT), timeout=45)

    assert [rule.hits for rule in rules] == [1] * len(TRANSIENT)
    assert all(job.result_message_id == job.route.status_message_id for job in found)
    assert results_in(at, at.channel) == direct(at) == []


@pytest.mark.long
async def test_transient_failures_of_direct_messages_end_in_one_message(at: Stage) -> None:
    async with at.easel(job_timeout=3600):
        await drawing(at, len(TRANSIENT), private=True)
        at.clock.move(minutes=16)
        rules = add(at, "POST", SEND, TRANSIENT)
        rules += add(at, "POST", OPEN_DM, [Answer(503, {}), Reset()])
        rules += add(at, "GET", rf"/api/v10/users/{at.ada.id}", [Answer(502, ""), Answer(429, {})])
        await at.finish()
        found = await at.settled(len(TRANSIENT), timeout=45)

    assert {rule.hits for rule in rules} == {1}
    one_each(direct(at), found)
    assert at.discord.channel_messages(at.channel) == []


@pytest.mark.parametrize("fault", REFUSALS, ids=str)
async def test_a_permanent_refusal_leads_to_the_next_destination(
    at: Stage, caplog: pytest.LogCaptureFixture, fault: Answer
) -> None:
    """The channel, then the reply, then the member; a private job never goes to a channel."""
    caplog.set_level("INFO", "cogs")
    path = rf"/api/v10/channels/{at.channel.id}/messages"
    async with at.easel():
        await drawing(at, 2)
        channel = at.discord.faults.add("POST", path, fault, times=None)
        one, *others = at.oxen.generations
        at.oxen.finish(one)
        async with asyncio.timeout(20):
            while not any(job.delivered_at for job in await at.jobs()):
                await asyncio.sleep(0.05)
        reply = at.discord.faults.add("PATCH", REPLIES, fault, times=None)
        at.oxen.finish(others[0])
        found = await at.settled(2, timeout=20)
        at.oxen.manual = False
        await at.imagine("a secret", private=True)
        await at.settled(3, timeout=20)

    in_reply = {job.route.status_message_id for job in found} & {
        job.result_message_id for job in found
    }
    assert len(in_reply) == 1
    assert [message.id in in_reply for message in results_in(at, at.channel)] == [True]
    assert len(direct(at)) == 2
    assert channel.hits <= 2 * 12
    assert reply.hits <= 2 * 12
    refused = [
        record.getMessage()
        for record in caplog.records
        if "refused:" in record.message and "destination" in record.message
    ]
    assert any("channel" in line for line in refused)
    assert any("reply" in line for line in refused)


@pytest.mark.long
@pytest.mark.parametrize("private", [False, True])
async def test_a_result_that_every_destination_refuses_is_undeliverable(
    at: Stage, caplog: pytest.LogCaptureFixture, private: bool
) -> None:
    async with at.easel():
        await drawing(at, 1, private=private)
        for method, path in (("POST", SEND), ("PATCH", REPLIES), ("POST", OPEN_DM)):
            at.discord.faults.add(method, path, REFUSALS[0], times=None)
        await at.finish()
        (job,) = await at.settled()
        requests = len(at.discord.requests)
        at.clock.move(hours=1)
        await asyncio.sleep(2.5)  # longer than the housekeeping waits

    assert (job.status, job.result_message_id) == (JobStatus.SUCCEEDED, None)
    assert len(at.discord.requests) == requests
    assert "undeliverable: every destination refused" in caplog.text
    assert await at.balance() == -7500


@pytest.mark.long
@pytest.mark.parametrize(
    ("private", "fault"),
    [
        (False, Answer(503, {})),  # discord.py itself retries a webhook
        (False, Answer(200, "not JSON")),
        (True, Answer(200, "not JSON")),
        (True, Answer(429, "<html>")),
    ],
    ids=str,
)
async def test_retries_back_off(at: Stage, fault: Answer, private: bool) -> None:
    async with at.easel():
        await drawing(at, 1, private=private)
        request = ("PATCH", REPLIES) if private else ("POST", SEND)
        rule = at.discord.faults.add(*request, fault, times=None)
        await at.finish()
        waits = []
        for attempt in range(1, 4):
            await rule.reached(hits=attempt, timeout=30)
            async with asyncio.timeout(30):
                while (job := (await at.jobs())[0]).delivery_attempts < attempt or not (
                    job.deliver_after and job.deliver_after > at.clock()
                ):
                    await asyncio.sleep(0.05)
            waits.append(job.deliver_after - at.clock())
            at.clock.move(seconds=waits[-1].total_seconds())
        rule.remove()
        at.clock.move(minutes=10)
        (job,) = await at.settled(timeout=20)

    assert waits[-1] > timedelta(seconds=6)
    assert job.result_message_id is not None


@pytest.mark.parametrize("private", [False, True])
async def test_retry_after_is_obeyed(at: Stage, private: bool) -> None:
    async with at.easel():
        await drawing(at, 1, private=private)
        request = ("PATCH", REPLIES) if private else ("POST", SEND)
        slow = at.discord.faults.add(*request, Answer(429, "<html>", {"Retry-After": "300"}))
        await at.finish()
        await slow.reached()
        async with asyncio.timeout(10):
            while (job := (await at.jobs())[0]).deliver_after is None:
                await asyncio.sleep(0.05)
        wait = job.deliver_after - at.clock()
        at.clock.move(minutes=5)
        await at.settled(timeout=20)

    assert timedelta(seconds=270) < wait < timedelta(seconds=310)


@pytest.mark.long
async def test_a_post_without_a_response_times_out_and_is_found(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "SEND_TIMEOUT", 2.0)
    async with at.easel():
        await drawing(at, 1)
        held = at.discord.faults.add("POST", SEND, Hold())
        await at.finish()
        (job,) = await at.settled(timeout=30)

    assert held.hits == 1
    one_each(results_in(at, at.channel), [job])


@pytest.mark.long
async def test_an_edit_without_a_response_times_out_and_is_found(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "SEND_TIMEOUT", 2.0)
    async with at.easel():
        await drawing(at, 1, private=True)
        held = at.discord.faults.add("PATCH", REPLIES, Hold())
        await at.finish()
        (job,) = await at.settled(timeout=30)

    assert held.hits == 1
    assert job.result_message_id == job.route.status_message_id
    assert results_in(at, at.channel) == direct(at) == []


@pytest.mark.parametrize("minutes", [0, 16])
async def test_a_result_is_posted_after_a_moderator_deleted_the_status_message(
    at: Stage, minutes: int
) -> None:
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        (status,) = at.discord.channel_messages(at.channel)
        at.discord.world.delete(status)
        at.clock.move(minutes=minutes)
        await at.finish()
        (job,) = await at.settled(timeout=20)

    one_each(results_in(at, at.channel), [job])
    assert direct(at) == []


@pytest.mark.long
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("minutes", [0, 20])
async def test_nothing_is_retried_in_a_server_that_removed_the_bot(
    at: Stage, private: bool, minutes: int
) -> None:
    """The reply while the token is valid, then the member, who may share no server with the bot."""
    async with at.easel(job_timeout=3600):
        await drawing(at, 1, private=private)
        at.ada.accepts_dms = False
        at.discord.remove_bot(at.server)
        at.clock.move(minutes=minutes)
        await at.finish()
        (job,) = await at.settled(timeout=20)
        requests = len(at.discord.requests)
        at.clock.move(hours=2)
        await asyncio.sleep(2.5)

    shown = job.route.status_message_id if not minutes else None
    assert (job.status, job.result_message_id) == (JobStatus.SUCCEEDED, shown)
    assert len(at.discord.requests) == requests
    assert direct(at) == []
    assert await at.balance() == -7500


@pytest.mark.parametrize("kind", [ChannelKind.PUBLIC_THREAD, ChannelKind.PRIVATE_THREAD])
@pytest.mark.parametrize("private", [False, True])
async def test_a_result_of_a_locked_thread_goes_to_the_parent_channel_or_the_member(
    at: Stage, kind: ChannelKind, private: bool
) -> None:
    thread = at.discord.add_channel(at.server, "foxes", kind=kind, parent=at.channel)
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        await at.command("imagine", where=thread, prompt="a fox", private=private)
        await at.oxen.created()
        at.discord.archive_thread(thread, locked=True)
        at.clock.move(minutes=16)
        await at.finish()
        (job,) = await at.settled(timeout=20)

    in_parent = kind is ChannelKind.PUBLIC_THREAD and not private
    assert job.status is JobStatus.SUCCEEDED
    assert len(results_in(at, at.channel)) == in_parent
    assert len(direct(at)) == (not in_parent)
    assert results_in(at, thread) == []


async def test_a_result_of_a_deleted_channel_goes_to_the_member(at: Stage) -> None:
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.discord.delete_channel(at.channel)
        at.clock.move(minutes=16)
        await at.finish()
        await at.settled(timeout=20)

    assert len(direct(at)) == 1


@pytest.mark.long
async def test_a_request_cancelled_in_a_global_limit_blocks_no_other(at: Stage) -> None:
    """The workaround for discord.py, which would hold back all later requests for ever."""
    everything = Answer(429, {"message": "slow", "retry_after": 20.0, "global": True}, VIA)
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)  # the reply is now a message of the bot's own
        (rule,) = add(at, "DELETE", rf"{SEND}/\d+", [everything])
        await at.finish()
        await at.settled(1, timeout=20)
        assert rule.hits == 1
        at.oxen.manual = False
        await at.imagine("an owl")
        found = await at.settled(2, timeout=20)

    one_each(results_in(at, at.channel), found)


async def test_a_long_rate_limit_postpones_the_job(at: Stage) -> None:
    """A wait inside discord.py would end as a timeout with an unknown outcome."""
    slow = Answer(429, {"message": "slow", "retry_after": 300.0, "global": False}, VIA)
    async with at.easel():
        await drawing(at, 1)
        add(at, "POST", SEND, [slow])
        await at.finish()
        async with asyncio.timeout(5):
            while not (job := (await at.jobs())[0]).deliver_after:
                await asyncio.sleep(0.05)
        assert timedelta(seconds=280) < job.deliver_after - at.clock() <= timedelta(seconds=300)
        at.clock.move(minutes=6)
        found = await at.settled(1, timeout=20)

    one_each(results_in(at, at.channel), found)


# Attempts that follow one another at 0, 2, 6, 14, 30, 62, 126 and 254 seconds.
FOURTH, SIXTH, EIGHTH = 4, 6, 8


def soon(monkeypatch: pytest.MonkeyPatch, reply: int = 10, next: int = 40, end: int = 150) -> None:
    """Shorter ages, in seconds, so that a test need not make every attempt of a day."""
    ages = {"REPLY_AFTER": reply, "FALL_BACK_AFTER": next, "ABANDON_AFTER": end}
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


def posts_to(channel: Channel) -> str:
    return rf"/api/v10/channels/{channel.id}/messages"


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
@pytest.mark.parametrize("longest", [1, 30])
async def test_the_longest_wait_of_the_backoff_moves_no_fallback(
    at: Stage, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    """By the real ages: after 4 minutes, at the next attempt."""
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
        (job,) = await at.settled(timeout=20)

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
        await held.reached(timeout=20)
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
    assert await at.balance() == -7500


async def test_show_quotes_the_refusals_of_discord(at: Stage) -> None:
    at.ada.accepts_dms = False
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)
        at.discord.delete_channel(at.channel)
        await at.finish()
        (job,) = await at.settled(timeout=20)
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
async def test_a_channel_that_may_have_the_result_and_cannot_be_searched_is_not_left(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fallback could double the result; the delivery is abandoned in the end."""
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        taken = at.discord.faults.add("POST", posts_to(at.channel), AnswerAfter(503, {}))
        at.discord.faults.add("GET", posts_to(at.channel), Answer(503, {}), times=None)
        await at.finish()
        job = await retry(at, EIGHTH)

    assert taken.hits == 1
    assert job.result_message_id is None
    assert len(results_in(at, at.channel)) == 1
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
        shrunk = await at.result("garden again", timeout=20)
        await at.settled(2)

    assert slow.hits == 1
    assert "Shrunk" not in whole.text()
    assert "Shrunk to fit the upload limit" in shrunk.text()


@pytest.mark.long
async def test_a_result_without_pictures_is_found(at: Stage) -> None:
    """Also after the nonce has expired."""
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
    """discord.py repeats a post after a 5xx by itself: the refusal is the repeat's."""
    gone = Answer(403, {"code": 50013, "message": "Missing Permissions"})
    async with at.easel():
        await drawing(at, 1)
        add(at, "POST", SEND, [AnswerAfter(502, "<html>Bad gateway</html>"), gone])
        await at.finish()
        found = await at.settled(1, timeout=20)

    one_each(results_in(at, at.channel), found)
    assert direct(at) == []
