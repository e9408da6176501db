"""Many jobs at once: each piece of work is done once, whatever ends while the rows are read."""

import asyncio
import logging

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Upload
from bot.sandbox.http.faults import Answer, Hold
from tests.support.easel import Stage
from tests.support.files import picture

pytestmark = pytest.mark.long

JOBS = 16


async def test_nothing_is_begun_again_from_a_row_read_before_it_ended(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    file = Upload("garden.png", picture())
    async with at.easel():
        await asyncio.gather(*(at.edit(file, prompt=f"fox {number}") for number in range(JOBS)))
        found = await at.settled(JOBS, timeout=45)

    posts = [each for each in at.discord.requests if each.path.endswith("/messages")]
    assert {job.status for job in found} == {JobStatus.SUCCEEDED}
    assert {job.delivery_attempts for job in found} == {1}
    assert sum(each.method == "POST" for each in posts) == JOBS
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_job_whose_late_word_is_being_said_is_submitted_afterwards(at: Stage) -> None:
    """It comes due just then, and was neither sent nor left behind."""
    body = {"error": {"message": "Rate limit exceeded"}}
    at.oxen.faults.add("POST", "/api/ai/queue", Answer(429, body, {"Retry-After": "870"}))
    async with at.easel():
        await at.imagine(private=True)
        await _queued_again(at)
        word = at.discord.faults.add("PATCH", r".*/messages/\d+", Hold())
        at.clock.move(minutes=14, seconds=10)
        await word.reached()
        at.clock.move(seconds=30)  # while it is being said
        await asyncio.sleep(2.5)  # until the worker has looked
        word.release()
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.oxen.generations) == 1


async def _queued_again(at: Stage) -> None:
    async with asyncio.timeout(20):
        while (await at.jobs())[0].submit_after is None:
            await asyncio.sleep(0.02)
