"""Every delivery ends: at its first way that is open, once, or kept; whatever Discord answers."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

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
from cogs.delivery import fallback, timeouts
from tests.support.easel import Stage

pytestmark = pytest.mark.long

SEND = r"/api/v10/channels/\d+/messages"
ANSWERS = r"/api/v10/webhooks/.*"
OPEN_DM = r"/api/v10/users/@me/channels"
VIA = {"Via": "1.1 google"}

CLOSED = [
    Answer(403, {"code": 50001, "message": "Missing Access"}),
    Answer(404, {"code": 10003, "message": "Unknown Channel"}),
    Answer(400, {"code": 50035, "message": "Invalid Form Body"}),
    Answer(413, {"code": 40005, "message": "Request entity too large"}),
    Answer(413, "<html>Too large</html>"),
]
PASSING: list[Fault] = [
    Answer(400, "<html>Bad request</html>"),  # none of these is Discord's own word
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
    """Jobs that run until `Stage.finish`, and whose messages say so."""
    at.oxen.manual = True
    for number in range(count):
        await at.imagine(f"fox {number}", **options)
    await at.oxen.created(count, timeout=20)
    async with asyncio.timeout(20):
        while {job.status for job in await at.jobs()} != {JobStatus.RUNNING}:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)  # their messages are edited


def one_each(messages: list[Message], jobs: list[Job]) -> None:
    assert sorted(message.id for message in messages) == sorted(
        job.result_message_id or 0 for job in jobs
    )


async def test_what_passes_at_the_channel_is_posted_there_once(at: Stage) -> None:
    async with at.easel():
        await drawing(at, len(PASSING))
        rules = add(at, "POST", SEND, PASSING)
        await at.finish()
        found = await at.settled(len(PASSING), timeout=45)

    assert [rule.hits for rule in rules] == [1] * len(PASSING)
    one_each(results_in(at, at.channel), found)
    assert direct(at) == []


async def test_what_passes_at_a_private_answer_becomes_the_result_there(at: Stage) -> None:
    async with at.easel():
        await drawing(at, len(PASSING), private=True)
        rules = add(at, "PATCH", ANSWERS, PASSING)
        await at.finish()
        found = await at.settled(len(PASSING), timeout=45)

    assert [rule.hits for rule in rules] == [1] * len(PASSING)
    assert all(job.result_message_id == job.route.status_message_id for job in found)
    assert results_in(at, at.channel) == direct(at) == []


async def test_what_passes_at_a_direct_message_is_sent_there_once(at: Stage) -> None:
    async with at.easel(job_timeout=3600):
        await drawing(at, len(PASSING), private=True)
        at.clock.move(minutes=16)
        rules = add(at, "POST", SEND, PASSING)
        rules += add(at, "POST", OPEN_DM, [Answer(503, {}), Reset()])
        rules += add(at, "GET", rf"/api/v10/users/{at.ada.id}", [Answer(502, ""), Answer(429, {})])
        await at.finish()
        found = await at.settled(len(PASSING), timeout=45)

    assert {rule.hits for rule in rules} == {1}
    one_each(direct(at), found)
    assert at.discord.channel_messages(at.channel) == []


@pytest.mark.parametrize("fault", CLOSED, ids=str)
async def test_what_closes_a_way_for_good_leads_to_the_next(
    at: Stage, caplog: pytest.LogCaptureFixture, fault: Answer
) -> None:
    """The channel, then the answer, then the member; a private job never has a channel."""
    caplog.set_level("INFO", "cogs")
    where = rf"/api/v10/channels/{at.channel.id}/messages"
    async with at.easel():
        await drawing(at, 2)
        channel = at.discord.faults.add("POST", where, fault, times=None)
        one, *others = at.oxen.generations
        at.oxen.finish(one)
        async with asyncio.timeout(20):
            while not any(job.delivered_at for job in await at.jobs()):
                await asyncio.sleep(0.05)
        answer = at.discord.faults.add("PATCH", ANSWERS, fault, times=None)
        at.oxen.finish(others[0])
        found = await at.settled(2, timeout=20)
        at.oxen.manual = False
        await at.imagine("a secret", private=True)
        await at.settled(3, timeout=20)

    in_answer = {job.route.status_message_id for job in found} & {
        job.result_message_id for job in found
    }
    assert len(in_answer) == 1
    assert [message.id in in_answer for message in results_in(at, at.channel)] == [True]
    assert len(direct(at)) == 2
    assert channel.hits <= 2 * 12
    assert answer.hits <= 2 * 12
    closed = [
        record.getMessage()
        for record in caplog.records
        if "refused:" in record.message and "destination" in record.message
    ]
    assert any("channel" in line for line in closed)
    assert any("reply" in line for line in closed)


@pytest.mark.parametrize("private", [False, True])
async def test_where_all_ways_are_closed_it_is_kept_and_the_log_tells(
    at: Stage, caplog: pytest.LogCaptureFixture, private: bool
) -> None:
    async with at.easel():
        await drawing(at, 1, private=private)
        for method, path in (("POST", SEND), ("PATCH", ANSWERS), ("POST", OPEN_DM)):
            at.discord.faults.add(method, path, CLOSED[0], times=None)
        await at.finish()
        (job,) = await at.settled()
        asked = len(at.discord.requests)
        at.clock.move(hours=1)
        await asyncio.sleep(2.5)  # the chores have come round

    assert (job.status, job.result_message_id) == (JobStatus.SUCCEEDED, None)
    assert len(at.discord.requests) == asked
    assert "undeliverable: every destination refused" in caplog.text
    assert await at.balance() == -7500


@pytest.mark.parametrize(
    ("private", "fault"),
    [
        (False, Answer(503, {})),  # discord.py itself tries it again where there is a webhook
        (False, Answer(200, "not JSON")),
        (True, Answer(200, "not JSON")),
        (True, Answer(429, "<html>")),
    ],
    ids=str,
)
async def test_what_never_passes_is_tried_ever_more_seldom(
    at: Stage, fault: Answer, private: bool
) -> None:
    async with at.easel():
        await drawing(at, 1, private=private)
        way = ("PATCH", ANSWERS) if private else ("POST", SEND)
        rule = at.discord.faults.add(*way, fault, times=None)
        await at.finish()
        waits = []
        for tries in range(1, 4):
            await rule.reached(hits=tries, timeout=30)
            async with asyncio.timeout(30):
                while (job := (await at.jobs())[0]).delivery_attempts < tries or not (
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
        way = ("PATCH", ANSWERS) if private else ("POST", SEND)
        slow = at.discord.faults.add(*way, Answer(429, "<html>", {"Retry-After": "300"}))
        await at.finish()
        await slow.reached()
        async with asyncio.timeout(10):
            while (job := (await at.jobs())[0]).deliver_after is None:
                await asyncio.sleep(0.05)
        wait = job.deliver_after - at.clock()
        at.clock.move(minutes=5)
        await at.settled(timeout=20)

    assert timedelta(seconds=270) < wait < timedelta(seconds=310)


async def test_an_answer_that_never_comes_is_given_up_and_what_it_posted_is_found(
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


async def test_a_private_answer_that_never_comes_back_is_given_up_and_found_changed(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "SEND_TIMEOUT", 2.0)
    async with at.easel():
        await drawing(at, 1, private=True)
        held = at.discord.faults.add("PATCH", ANSWERS, Hold())
        await at.finish()
        (job,) = await at.settled(timeout=30)

    assert held.hits == 1
    assert job.result_message_id == job.route.status_message_id
    assert results_in(at, at.channel) == direct(at) == []


@pytest.mark.parametrize("minutes", [0, 16])
async def test_a_result_comes_though_a_moderator_has_removed_its_status(
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


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("minutes", [0, 20])
async def test_a_server_that_threw_the_bot_out_is_left_in_peace(
    at: Stage, private: bool, minutes: int
) -> None:
    """The answer while its token lives, then the member, who may share no server with it."""
    async with at.easel(job_timeout=3600):
        await drawing(at, 1, private=private)
        at.ada.accepts_dms = False
        at.discord.remove_bot(at.server)
        at.clock.move(minutes=minutes)
        await at.finish()
        (job,) = await at.settled(timeout=20)
        asked = len(at.discord.requests)
        at.clock.move(hours=2)
        await asyncio.sleep(2.5)

    kept = job.route.status_message_id if not minutes else None
    assert (job.status, job.result_message_id) == (JobStatus.SUCCEEDED, kept)
    assert len(at.discord.requests) == asked
    assert direct(at) == []
    assert await at.balance() == -7500


@pytest.mark.parametrize("kind", [ChannelKind.PUBLIC_THREAD, ChannelKind.PRIVATE_THREAD])
@pytest.mark.parametrize("private", [False, True])
async def test_of_a_locked_thread_the_parent_or_the_member_gets_the_result(
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


async def test_of_a_channel_that_is_gone_the_member_gets_the_result(at: Stage) -> None:
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.discord.delete_channel(at.channel)
        at.clock.move(minutes=16)
        await at.finish()
        await at.settled(timeout=20)

    assert len(direct(at)) == 1


async def test_a_wait_for_everything_that_was_cut_short_stops_nothing_else(at: Stage) -> None:
    """discord.py holds back all requests in a global limit, and lets none go on ever again where
    the one that waits for its end is cancelled."""
    everything = Answer(429, {"message": "slow", "retry_after": 20.0, "global": True}, VIA)
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)  # the status is from now on changed as a message of the bot's
        (rule,) = add(at, "DELETE", rf"{SEND}/\d+", [everything])
        await at.finish()
        await at.settled(1, timeout=20)
        assert rule.hits == 1
        at.oxen.manual = False
        await at.imagine("an owl")
        found = await at.settled(2, timeout=20)

    one_each(results_in(at, at.channel), found)


async def test_a_long_pause_is_kept_by_the_job_and_holds_up_no_other(at: Stage) -> None:
    """Were it slept away inside discord.py, it would be cut short as a request in doubt."""
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


async def try_again(at: Stage, tried: int, *, settled: bool = True) -> Job:
    """Move the clock from try to try until the job is delivered, or was tried so often."""
    async with asyncio.timeout(50):
        while True:
            (job,) = await at.jobs()
            if job.delivered_at or (not settled and job.delivery_attempts >= tried):
                return job
            assert job.delivery_attempts <= tried
            if job.deliver_after and job.deliver_after > at.clock():
                at.clock.move(seconds=(job.deliver_after - at.clock()).total_seconds())
            await asyncio.sleep(0.05)


def posts_to(channel: Channel) -> str:
    return rf"/api/v10/channels/{channel.id}/messages"


async def test_a_channel_that_never_works_is_left_for_the_answer_while_that_lives(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None)
        await at.finish()
        job = await try_again(at, FOURTH)

    assert job.result_message_id == job.route.status_message_id
    one_each(results_in(at, at.channel), [job])
    assert direct(at) == []
    assert job.delivery_error is None


async def test_a_channel_that_never_works_is_left_for_the_member_when_the_answer_is_over(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    async with at.easel(job_timeout=3600):
        await drawing(at, 1)
        at.clock.move(minutes=16)
        at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None)
        at.discord.faults.add("PATCH", posts_to(at.channel) + r"/\d+", Answer(503, {}), times=None)
        await at.finish()
        job = await try_again(at, SIXTH)

    one_each(direct(at), [job])
    assert results_in(at, at.channel) == []


async def test_where_no_way_ever_works_it_is_kept_and_its_member_can_read_why(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    at.ada.accepts_dms = False
    async with at.easel(job_timeout=3600):
        await drawing(at, 1, private=True)
        at.clock.move(minutes=16)
        at.discord.faults.add("POST", SEND, Answer(503, {}), times=None)
        await at.finish()
        waiting = await try_again(at, 2, settled=False)
        told = await at.command("show", job=waiting.id)
        pending = await at.discord.wait_for_message(lambda it: waiting.id in it.text())
        job = await try_again(at, EIGHTH)
        await at.command("show", job=job.id)
        await at.discord.wait_for_message(lambda it: "is stored here" in it.text())

    assert told.user is at.ada
    assert "The result is not posted yet" in pending.text()
    assert (job.delivery_attempts, job.result_message_id) == (EIGHTH, None)
    assert await at.balance() == -7500


async def test_the_reason_why_it_is_kept_is_discords_own(at: Stage) -> None:
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


async def test_while_nothing_of_discord_works_no_way_is_left(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch, 0, 0, 0)
    async with at.easel():
        await drawing(at, 1)
        out = at.discord.faults.add("*", r"/api/v10/(?!gateway).*", Answer(503, {}), times=None)
        monkeypatch.setattr(timeouts, "SEND_TIMEOUT", 1.0)
        await at.finish()
        await try_again(at, 5, settled=False)
        out.remove()
        job = await try_again(at, 7)

    one_each(results_in(at, at.channel), [job])
    assert job.result_message_id != job.route.status_message_id


async def test_a_channel_that_may_have_it_and_cannot_be_searched_is_not_left(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the result would be there twice. It is kept at last."""
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        taken = at.discord.faults.add("POST", posts_to(at.channel), AnswerAfter(503, {}))
        at.discord.faults.add("GET", posts_to(at.channel), Answer(503, {}), times=None)
        await at.finish()
        job = await try_again(at, EIGHTH)

    assert taken.hits == 1
    assert job.result_message_id is None
    assert len(results_in(at, at.channel)) == 1
    assert direct(at) == []


async def test_what_the_channel_took_in_its_last_try_is_found_before_it_is_left(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        failures = [Answer(503, {})] * (FOURTH - 1)
        add(at, "POST", posts_to(at.channel), [*failures, AnswerAfter(503, {})])
        await at.finish()
        job = await try_again(at, FOURTH)

    assert job.result_message_id != job.route.status_message_id
    one_each(results_in(at, at.channel), [job])


async def test_what_a_later_way_may_have_is_looked_for_before_an_earlier_one_is_tried(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel works again, after the answer was changed without saying so."""
    soon(monkeypatch)
    async with at.easel():
        await drawing(at, 1)
        monkeypatch.setattr(timeouts, "SEND_TIMEOUT", 1.0)
        closed = at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}), times=None)
        held = at.discord.faults.add("PATCH", ANSWERS, Hold())
        await at.finish()
        await try_again(at, FOURTH, settled=False)
        await held.reached()
        closed.remove()
        job = await try_again(at, FOURTH + 1)

    assert job.result_message_id == job.route.status_message_id
    one_each(results_in(at, at.channel), [job])


async def test_what_takes_too_long_to_upload_is_sent_smaller(
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


async def test_a_result_without_pictures_is_found_too(at: Stage) -> None:
    """Long after Discord has forgotten the nonce."""
    async with at.easel():
        await drawing(at, 1)
        add(at, "POST", SEND, [Answer(503, {}), AnswerAfter(503, {})])
        await at.finish()
        await try_again(at, 1, settled=False)
        for path in (at.folder / "pictures").rglob("*.png"):
            path.unlink()
        await try_again(at, 2, settled=False)
        at.clock.move(hours=1)
        job = await try_again(at, 3)

    gone = [it for it in at.discord.channel_messages(at.channel) if "no longer stored" in it.text()]
    one_each(gone, [job])


async def test_what_was_taken_before_it_was_refused_is_found(at: Stage) -> None:
    """discord.py sends it again by itself after a 5xx; the refusal is of that."""
    gone = Answer(403, {"code": 50013, "message": "Missing Permissions"})
    async with at.easel():
        await drawing(at, 1)
        add(at, "POST", SEND, [AnswerAfter(502, "<html>Bad gateway</html>"), gone])
        await at.finish()
        found = await at.settled(1, timeout=20)

    one_each(results_in(at, at.channel), found)
    assert direct(at) == []
