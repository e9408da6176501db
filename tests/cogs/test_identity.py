"""Identity: nothing that a member can write or send twice is taken for the bot's own."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from bot.jobs import JobStatus
from bot.sandbox.http.faults import Answer, ResetAfter
from bot.store.database import Database
from cogs.ui.panel import cancel_id
from cogs.ui.result import mark
from tests.support.delivery import drawing, one_each, posts_to, results_in
from tests.support.easel import Stage
from tests.support.rows import one

ORIGINAL = r"/api/v10/webhooks/\d+/[^/]+/messages/@original"


@pytest.mark.long
@pytest.mark.parametrize(
    "forged",
    [
        "a hare, job {job}",
        "-# Qwen · job {job}",
        "a hare\n-# Qwen · job {job}",
        "see https://cdn.invalid/easel-{job}-1.png",
        "easel:cancel:{job}",
    ],
)
async def test_a_prompt_with_the_id_of_a_job_is_not_taken_for_the_jobs_result(
    at: Stage, forged: str
) -> None:
    """The id is public: the Cancel button of the status message has it."""
    async with at.easel():
        await drawing(at, 1)
        (job,) = await at.jobs()
        asked = await at.imagine(forged.format(job=job.id), by=at.ben, model="skills")
        assert asked.message is not None
        await at.discord.wait_for_message(lambda it: bool(it.pictures()), 30)
        at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}))
        await at.finish()
        (job,) = await at.settled()
        (other,) = await at.jobs(at.ben)

    one_each(results_in(at, at.channel), [job, other])


@pytest.mark.long
async def test_a_result_of_another_is_not_taken_for_that_of_a_job_without_a_secret(
    at: Stage,
) -> None:
    """Versions before the secrets recognised their results by the names of the files."""
    async with at.easel():
        await drawing(at, 1)
        (job,) = await at.jobs()
        with closing(sqlite3.connect(at.path)) as file, file:
            file.execute("UPDATE jobs SET secret = NULL WHERE id = ?", [job.id])
        await at.imagine("a hare", by=at.ben, model="skills")
        await at.discord.wait_for_message(lambda it: bool(it.pictures()), 30)
        at.discord.faults.add("POST", posts_to(at.channel), Answer(503, {}))
        await at.finish()
        (job,) = await at.settled()
        (other,) = await at.jobs(at.ben)

    one_each(results_in(at, at.channel), [job, other])


async def test_results_of_older_versions_are_recognised_by_their_words(database: Database) -> None:
    job = await one(database)

    assert mark(job) == f"job {job.id}"
    assert mark(replace(job, overdue_at=job.created_at)) == f"late, job {job.id}"


async def test_a_post_that_arrived_is_found_by_the_secret_of_the_job(at: Stage) -> None:
    async with at.easel():
        await drawing(at, 1)
        at.discord.faults.add("POST", posts_to(at.channel), ResetAfter())
        await at.finish()
        (job,) = await at.settled()

    (result,) = results_in(at, at.channel)
    assert result.id == job.result_message_id
    ids = [component["id"] for component in result.components[0]["components"]]
    assert job.secret in ids
    assert job.id not in result.text()


async def test_an_interaction_that_arrives_twice_makes_one_job(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        asked = await at.imagine("a fox")
        at.discord.send_again(asked)
        async with asyncio.timeout(20):
            while "arrived twice" not in caplog.text:
                await asyncio.sleep(0.02)
        await at.result("a fox")
        (job,) = await at.settled()

    assert len(at.oxen.generations) == 1
    assert await at.balance() == -(job.cost or 0)


async def test_another_reply_to_the_interaction_is_not_adopted(at: Stage) -> None:
    """The reply was lost, and Discord shows a message without the job's own button."""
    foreign = {"id": "123", "components": [{"type": 10, "id": 1, "content": "No."}]}
    at.discord.faults.add("POST", r"/api/v10/interactions/.*", ResetAfter())
    at.discord.faults.add("GET", ORIGINAL, Answer(200, foreign), times=None)
    async with at.easel():
        await at.discord.command(at.ada, at.channel, "imagine", {"prompt": "a fox"})
        async with asyncio.timeout(20):
            while not await at.jobs():
                await asyncio.sleep(0.02)
        at.clock.move(seconds=16)
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert job.route.status_message_id is None
    assert at.oxen.generations == {}
    assert cancel_id(job.id) not in str(foreign)
