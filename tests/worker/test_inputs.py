"""The wait of a job between two downloads of its inputs."""

import asyncio
from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.discord import Upload
from bot.sandbox.http.faults import Answer
from tests.support.easel import Stage
from tests.support.files import picture

CDN = r"/ephemeral-attachments/.*"


@pytest.mark.long
async def test_a_failed_download_waits_and_is_the_reason_if_the_job_expires(at: Stage) -> None:
    at.discord.faults.add("GET", CDN, Answer(503, "busy"), times=None)
    async with at.easel():
        await at.edit(Upload("cat.png", picture()))
        async with asyncio.timeout(20):
            while (job := (await at.jobs())[0]).submit_after is None:
                await asyncio.sleep(0.05)
        assert (job.status, job.reason) == (JobStatus.QUEUED, Reason.INPUT)
        assert timedelta(0) < job.submit_after - at.clock() < timedelta(minutes=1)
        at.clock.move(minutes=31)
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert at.created() == []
    assert await at.balance() == 0
