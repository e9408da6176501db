"""What became of the answer to a command, where that is not simply known."""

import asyncio
import gc
import logging
import sqlite3
from contextlib import closing

import pytest

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.sandbox.http.faults import Answer, AnswerAfter, Fault, Hold, HoldBefore, Reset
from tests.support.easel import Stage, registered, text_of
from tests.test_trouble import locked

pytestmark = pytest.mark.long

CALLBACK = r".*/callback"


async def test_a_job_whose_answer_cannot_be_stored_goes_on_and_is_not_denied(at: Stage) -> None:
    """Its member sees "Queued": told that nothing was charged, they would ask, and pay, twice."""
    held = at.discord.faults.add("POST", CALLBACK, Hold())
    async with at.easel():
        asked = await at.imagine("a fox")
        await held.reached()
        async with locked(at):
            held.release()
            await asyncio.sleep(2.5)  # it has been tried to store it
        at.clock.move(seconds=20)
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert asked.followups == []
    assert len(at.created()) == 1


async def test_a_job_whose_answer_was_refused_is_canceled_when_that_can_be_stored(
    at: Stage,
) -> None:
    """An apology would be taken for the answer of the job, which would then be drawn."""
    at.fails = True  # a refused reply is a bug of Easel
    other = sqlite3.connect(at.path, isolation_level=None)
    refusals = [Answer(400, {"code": 50035, "message": "Invalid Form Body"})]

    def refuse_and_lock(_: str, path: str) -> Answer | None:
        if not path.endswith("/callback") or not refusals:
            return None
        other.execute("BEGIN IMMEDIATE")
        return refusals.pop()

    async with at.easel() as app:
        await registered(app)  # which is written too, and would meet the lock
        at.discord.faults.chooser = refuse_and_lock
        with closing(other):
            await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
            await asyncio.sleep(3)  # it has been tried to store it
            other.execute("ROLLBACK")
        at.clock.move(seconds=40)
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert at.created() == []
    assert await at.balance() == 0


async def test_a_refused_reply_is_reported_to_member_and_operator(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Silence would leave a member with “The application did not respond”."""
    at.fails = True
    refused = Answer(400, {"code": 50035, "message": "Invalid Form Body"})
    rule = at.discord.faults.add("POST", CALLBACK, refused)
    async with at.easel():
        asked = await at.imagine("a fox")
        (job,) = await at.settled()

    assert rule.hits == 1
    assert "Something went wrong" in text_of(asked)
    assert f"interaction {asked.id} failed" in caplog.text
    assert (job.status, job.result_message_id) == (JobStatus.CANCELED, None)
    assert at.created() == []
    assert await at.balance() == 0


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("minutes", [1, 16])
async def test_a_canceled_job_whose_reply_was_lost_is_not_retried_for_ever(
    at: Stage, private: bool, minutes: int
) -> None:
    """There is no message to show the cancel: after the grace, or when nobody can find one."""
    lost = at.discord.faults.add("POST", CALLBACK, Reset())
    async with at.easel():
        await at.discord.command(
            at.ada, at.channel, "imagine", {"prompt": "a fox", "private": private}
        )
        await lost.reached()
        (job,) = await at.jobs()
        await at.command("cancel", job=job.id)
        at.clock.move(minutes=minutes)
        (job,) = await at.settled()
        searches = originals(at)
        at.clock.move(minutes=30)
        await asyncio.sleep(2.5)  # a turn of the housekeeping
        assert originals(at) == searches

    assert (job.status, job.result_message_id) == (JobStatus.CANCELED, None)
    assert job.delivery_attempts <= 3
    assert await at.balance() == 0


def originals(at: Stage) -> int:
    return sum("/messages" in each.path and each.method == "GET" for each in at.discord.requests)


async def ended_while_answering(at: Stage, fault: Fault, **options: bool) -> None:
    """A restart after 16 minutes: the interaction's token is of no use any more."""
    met = at.discord.faults.add("POST", CALLBACK, fault)
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox", **options})
        await met.reached()
    met.remove()
    at.clock.move(minutes=16)


async def told_and_failed(at: Stage) -> Job:
    (job,) = await at.settled()
    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.AWAY)
    assert await at.balance() == 0
    assert at.created() == []
    return job


async def test_an_answer_that_stands_in_the_channel_is_found_after_a_long_downtime(
    at: Stage,
) -> None:
    await ended_while_answering(at, Hold())
    async with at.easel():
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert "Queued" not in "".join(m.text() for m in at.discord.channel_messages(at.channel))


@pytest.mark.parametrize("fault", [Hold(), Reset()], ids=str)
async def test_a_private_answer_in_doubt_is_not_met_with_silence(at: Stage, fault: Fault) -> None:
    await ended_while_answering(at, fault, private=True)
    async with at.easel():
        await told_and_failed(at)

    (told,) = at.discord.channel_messages(at.discord.dm_channel(at.ada))
    assert "The bot was offline when this job was due to start" in told.text()


async def test_where_the_answer_cannot_be_searched_for_its_member_is_told_in_the_channel(
    at: Stage,
) -> None:
    await ended_while_answering(at, Hold())
    refused = Answer(403, {"code": 50001, "message": "Missing Access"})
    at.discord.faults.add("GET", r"/api/v10/channels/\d+/messages", refused, times=None)
    async with at.easel():
        job = await told_and_failed(at)

    told = await at.said("The bot was offline when this job was due to start")
    assert told.id == job.result_message_id
    assert told.channel is at.channel


async def test_a_proxys_404_does_not_say_that_there_is_no_answer(at: Stage) -> None:
    held = at.discord.faults.add("POST", CALLBACK, Hold())
    page = at.discord.faults.add("GET", ".*/@original", Answer(404, "<html>not found</html>"))
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await held.reached()
    held.remove()
    at.clock.move(seconds=20)
    async with at.easel():
        await at.result("a fox")
        (job,) = await at.settled()

    assert page.hits == 1
    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    "second",
    [Answer(429, "<html>slow down</html>"), Answer(403, "<html>blocked</html>")],
    ids=str,
)
async def test_a_refusal_of_the_second_try_says_nothing_of_the_first(
    at: Stage, second: Answer
) -> None:
    at.discord.faults.add("POST", CALLBACK, AnswerAfter(502, "<html>bad gateway</html>"))
    refused = at.discord.faults.add("POST", CALLBACK, second)
    async with at.easel():
        await at.imagine("a fox")
        await refused.reached()
        await asyncio.sleep(0.3)  # the refusal is read
        at.clock.move(seconds=20)
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.created()) == 1


async def test_an_interaction_that_discord_does_not_know_any_more_is_one_line(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = Answer(404, {"code": 10062, "message": "Unknown interaction"})
    callback = at.discord.faults.add("POST", CALLBACK, refusal, times=None)
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "usage", {})
        async with asyncio.timeout(20):
            while "expired before the reply" not in caplog.text:
                await asyncio.sleep(0.01)

    assert callback.hits == 1
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []


@pytest.mark.parametrize("late", [False, True])
async def test_who_cancels_before_the_answer_is_confirmed_sees_it_canceled(
    at: Stage, late: bool
) -> None:
    """The answer stands there, or comes only when the job is canceled already."""
    held = at.discord.faults.add("POST", CALLBACK, HoldBefore() if late else Hold())
    async with at.easel():
        asked = await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await held.reached()
        (job,) = await at.jobs()
        await at.command("cancel", job=job.id)
        await asyncio.sleep(0.5)
        held.release()
        await at.settled()

    assert asked.message is not None
    assert "Canceled" in asked.message.text()
    assert asked.message.buttons() == []
    assert at.created() == []


UNREADABLE = [
    AnswerAfter(204),
    AnswerAfter(200, "<html>accepted</html>", {"Content-Type": "text/html"}),
    AnswerAfter(200, {}),
]


@pytest.mark.parametrize("fault", UNREADABLE, ids=str)
async def test_a_confirmation_that_cannot_be_read_is_looked_up(at: Stage, fault: Fault) -> None:
    """“Please try again” would make the member pay twice: the job goes on."""
    met = at.discord.faults.add("POST", CALLBACK, fault)
    async with at.easel():
        asked = await at.imagine("a fox")
        await met.reached()
        await asyncio.sleep(0.3)
        at.clock.move(seconds=20)
        await at.result("a fox")
        (job,) = await at.settled()
        met = at.discord.faults.add("POST", CALLBACK, fault)
        used = await at.command("jobs")
        await met.reached()
        await asyncio.sleep(0.3)

    assert job.status is JobStatus.SUCCEEDED
    assert asked.followups == used.followups == []
    assert "Your jobs" in text_of(used)
    assert len(at.created()) == 1


async def test_a_reply_that_never_arrived_is_withdrawn_without_a_word(at: Stage) -> None:
    """Discord's webhook of the interaction is unknown at first, which says nothing."""
    lost = at.discord.faults.add("POST", CALLBACK, Answer(204))
    unknown = at.discord.faults.add(
        "GET", ".*/@original", Answer(404, {"code": 10015, "message": "Unknown Webhook"}), None
    )
    async with at.easel():
        asked = await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        await lost.reached()
        at.clock.move(seconds=20)
        await unknown.reached()
        (job,) = await at.jobs()
        assert job.status is JobStatus.QUEUED
        at.clock.move(minutes=1)
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert asked.message is None
    assert asked.followups == []
    assert at.created() == []
    assert await at.balance() == 0


@pytest.mark.parametrize("fault", [Hold(), Answer(502, "<html>Bad gateway</html>")])
async def test_a_reply_that_the_stop_cuts_off_is_a_line_of_the_log(
    at: Stage, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    """After a 502, discord.py repeats the request, although the connections are closed then."""
    caplog.set_level(logging.INFO)
    async with at.easel() as app:
        await registered(app)
        cut_off = at.discord.faults.add("POST", CALLBACK, fault, times=None)
        await at.discord.command(at.ada, at.channel, "help", {})
        await cut_off.reached()
    async with asyncio.timeout(20):
        while "ended with the shutdown" not in caplog.text:
            await asyncio.sleep(0.05)
    gc.collect()

    assert "never retrieved" not in caplog.text
    assert "Traceback" not in caplog.text
