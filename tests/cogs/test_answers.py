"""What became of the answer to a command, where that is not simply known."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from bot.jobs import JobStatus
from bot.sandbox.faults import Answer, Hold
from tests.easel import Stage
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
    other = sqlite3.connect(at.path, isolation_level=None)
    refusals = [Answer(400, {"code": 50035, "message": "Invalid Form Body"})]

    def refuse_and_lock(_: str, path: str) -> Answer | None:
        if not path.endswith("/callback") or not refusals:
            return None
        other.execute("BEGIN IMMEDIATE")
        return refusals.pop()

    async with at.easel():
        at.discord.faults.chooser = refuse_and_lock
        with closing(other):
            await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
            await asyncio.sleep(3)  # it has been tried to store it
            other.execute("ROLLBACK")
        at.clock.move(seconds=20)
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert at.created() == []
    assert await at.balance() == 0
