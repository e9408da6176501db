"""Every delivery ends: in one message at the first destination that accepts it, or in none."""

import asyncio
from datetime import timedelta

import pytest

from bot.backoff import Backoff
from bot.jobs import JobStatus
from bot.sandbox.discord import ChannelKind
from bot.sandbox.http.faults import (
    Answer,
    AnswerAfter,
    Fault,
    Hold,
    Reset,
    ResetAfter,
)
from bot.worker import deliver
from cogs.delivery import timeouts
from tests.support.delivery import (
    FOLLOW_UPS,
    OPEN_DM,
    REPLIES,
    SEND,
    add,
    attempted,
    direct,
    drawing,
    one_each,
    results_in,
    unfinished,
)
from tests.support.easel import Stage

VIA = {"Via": "1.1 google"}

REFUSALS = [
    Answer(403, {"code": 50001, "message": "Missing Access"}),
    Answer(404, {"code": 10003, "message": "Unknown Channel"}),
    Answer(400, {"code": 50035, "message": "Invalid Form Body"}),
    Answer(413, {"code": 40005, "message": "Request entity too large"}),
    Answer(413, "<html>Too large</html>"),
]
TRANSIENT: list[Fault] = [
    Answer(403, {"code": 40333, "message": "internal network error"}),
    Answer(403, {"code": 40004, "message": "Send messages has been temporarily disabled"}),
    Answer(400, {"code": 130000, "message": "API resource is currently overloaded"}),
    Answer(403, {"error": "blocked"}),  # JSON of a firewall
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


@pytest.fixture
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry every two seconds: one of many jobs may meet many faults, and would wait a minute."""
    two = timedelta(seconds=2)
    monkeypatch.setattr(deliver, "RETRIES", Backoff(first=two, longest=two))


@pytest.mark.long
@pytest.mark.usefixtures("short_backoff")
async def test_transient_failures_of_the_channel_end_in_one_post(at: Stage) -> None:
    at.fails = True  # discord.py cannot read some of the answers
    async with at.easel():
        await drawing(at, len(TRANSIENT))
        rules = add(at, "POST", SEND, TRANSIENT)
        await at.finish()
        found = await at.settled(len(TRANSIENT), timeout=45)

    assert [rule.hits for rule in rules] == [1] * len(TRANSIENT)
    one_each(results_in(at, at.channel), found)
    assert direct(at) == []


@pytest.mark.long
@pytest.mark.usefixtures("short_backoff")
async def test_transient_failures_of_a_private_reply_end_in_the_reply(at: Stage) -> None:
    at.fails = True  # discord.py cannot read some of the answers
    async with at.easel():
        await drawing(at, len(TRANSIENT), private=True)
        rules = add(at, "PATCH", REPLIES, TRANSIENT)
        await at.finish()
        found = await at.settled(len(TRANSIENT), timeout=45)

    assert [rule.hits for rule in rules] == [1] * len(TRANSIENT)
    assert all(job.result_message_id == job.route.status_message_id for job in found)
    assert results_in(at, at.channel) == direct(at) == []


@pytest.mark.long
@pytest.mark.usefixtures("short_backoff")
async def test_transient_failures_of_direct_messages_end_in_one_message(at: Stage) -> None:
    at.fails = True  # discord.py cannot read some of the answers
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


@pytest.mark.long
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
        at.discord.faults.add("POST", FOLLOW_UPS, fault, times=None)
        at.oxen.finish(others[0])
        found = await at.settled(2)
        at.oxen.manual = False
        await at.imagine("a secret", private=True)
        await at.settled(3)

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
        refusing = ("POST", SEND), ("PATCH", REPLIES), ("POST", FOLLOW_UPS), ("POST", OPEN_DM)
        for method, path in refusing:
            at.discord.faults.add(method, path, REFUSALS[0], times=None)
        await at.finish()
        (job,) = await at.settled()
        requests = len(at.discord.requests)
        at.clock.move(hours=1)
        await asyncio.sleep(2.5)  # longer than the housekeeping waits

    assert (job.status, job.result_message_id) == (JobStatus.SUCCEEDED, None)
    assert isinstance(REFUSALS[0].body, dict)
    assert REFUSALS[0].body["message"] in str(job.delivery_error)
    assert len(at.discord.requests) == requests
    assert "undeliverable: every destination refused" in caplog.text
    assert unfinished(at) == []
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
    at.fails = True  # discord.py cannot read one of the answers
    async with at.easel():
        await drawing(at, 1, private=private)
        request = ("PATCH", REPLIES) if private else ("POST", SEND)
        rule = at.discord.faults.add(*request, fault, times=None)
        await at.finish()
        waits = []
        for attempt in range(1, 4):
            await rule.reached(hits=attempt)
            job = await attempted(at, attempt)
            assert job.deliver_after is not None
            waits.append(job.deliver_after - at.clock())
            at.clock.move(seconds=waits[-1].total_seconds())
        rule.remove()
        at.clock.move(minutes=10)
        (job,) = await at.settled()

    assert waits[-1] > timedelta(seconds=6)
    assert job.result_message_id is not None


@pytest.mark.long
@pytest.mark.parametrize("private", [False, True])
async def test_retry_after_is_obeyed(at: Stage, private: bool) -> None:
    async with at.easel():
        await drawing(at, 1, private=private)
        request = ("PATCH", REPLIES) if private else ("POST", SEND)
        slow = at.discord.faults.add(*request, Answer(429, "<html>", {"Retry-After": "300"}))
        await at.finish()
        await slow.reached()
        async with asyncio.timeout(20):
            while (job := (await at.jobs())[0]).deliver_after is None:
                await asyncio.sleep(0.05)
        wait = job.deliver_after - at.clock()
        at.clock.move(minutes=5)
        await at.settled()

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
        (job,) = await at.settled()

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
        (job,) = await at.settled()

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
        (job,) = await at.settled()

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
        (job,) = await at.settled()
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
        (job,) = await at.settled()

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
        await at.settled()

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
        await at.settled(1)
        assert rule.hits == 1
        at.oxen.manual = False
        await at.imagine("an owl")
        found = await at.settled(2)

    one_each(results_in(at, at.channel), found)


async def test_a_long_rate_limit_postpones_the_job(at: Stage) -> None:
    """A wait inside discord.py would end as a timeout with an unknown outcome."""
    slow = Answer(429, {"message": "slow", "retry_after": 300.0, "global": False}, VIA)
    async with at.easel():
        await drawing(at, 1)
        add(at, "POST", SEND, [slow])
        await at.finish()
        async with asyncio.timeout(20):
            while not (job := (await at.jobs())[0]).deliver_after:
                await asyncio.sleep(0.05)
        assert timedelta(seconds=280) < job.deliver_after - at.clock() <= timedelta(seconds=300)
        at.clock.move(minutes=6)
        found = await at.settled(1)

    one_each(results_in(at, at.channel), found)
