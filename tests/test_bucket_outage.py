"""The whole bot, while the bucket of the pictures is away."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.jobs import JobStatus
from bot.pictures.store import UNFINISHED
from bot.sandbox.discord import Upload
from tests.support.bucket import SECRET, Bucket
from tests.support.easel import Stage
from tests.support.files import picture

WAITS = "job waits for the database or the pictures, retrying"
PICTURE = "/[0-9a-f]{2}/[0-9a-f]{64}"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)


async def another_wait(caplog: pytest.LogCaptureFixture) -> None:
    seen = caplog.text.count(WAITS)
    await until(lambda: caplog.text.count(WAITS) > seen)


def temporary(at: Stage) -> list[Path]:
    return list(at.folder.rglob(f"*{UNFINISHED}"))


async def test_a_job_with_an_input_is_served_from_a_bucket(at: Stage, bucket: Bucket) -> None:
    async with at.easel(pictures_url=bucket.url):
        await at.edit(Upload("in.png", picture()))
        shown = await at.result("make it blue")
        (job,) = await at.settled()
        await at.command("show", job=job.id)
        await at.discord.wait_for_message(
            lambda it: it.ephemeral_to is at.ada and bool(it.pictures())
        )

    assert job.status is JobStatus.SUCCEEDED
    assert len(shown.pictures()) == 1
    assert len(bucket.keys) == 2
    assert temporary(at) == []
    assert not (at.folder / "pictures").exists()


@pytest.mark.long
async def test_a_start_does_not_wait_for_the_bucket(
    at: Stage, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.server.stop()
    async with at.easel(pictures_url=bucket.url):
        assert "started without the stored pictures: PICTURES_URL: " in caplog.text
        await at.imagine("a fox")
        await until(lambda: WAITS in caplog.text)
        bucket.server.start()
        await at.result("a fox")


@pytest.mark.long
async def test_a_result_waits_for_the_bucket(
    at: Stage, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    at.oxen.manual = True
    async with at.easel(pictures_url=bucket.url):
        await at.imagine("a fox")
        await at.said("Drawing")
        bucket.server.stop()
        await at.finish()
        await until(lambda: WAITS in caplog.text)
        assert (await at.jobs())[0].status is JobStatus.RUNNING
        bucket.server.start()
        shown = await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(shown.pictures()) == 1
    assert len(at.created()) == 1
    assert await at.balance() == -(job.cost or 0)
    assert SECRET not in caplog.text


@pytest.mark.long
async def test_a_result_waits_for_the_bucket_beyond_the_time_of_its_job(
    at: Stage, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    at.oxen.manual = True
    async with at.easel(pictures_url=bucket.url):
        await at.imagine("a fox")
        await at.said("Drawing")
        with bucket.server.failing("PUT"):
            await at.finish()
            for minutes in (11, 5, 0):  # the time for the job, and for its last polls
                await another_wait(caplog)
                at.clock.move(minutes=minutes)
            assert (await at.jobs())[0].status is JobStatus.RUNNING
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert await at.balance() == -(job.cost or 0)


@pytest.mark.long
async def test_a_delivery_waits_for_the_bucket(
    at: Stage, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel(pictures_url=bucket.url):
        with bucket.server.failing("GET", PICTURE, "403 Forbidden", "AccessDenied"):
            await at.imagine("a fox")
            await until(lambda: "delivery failed, retrying" in caplog.text)
            (waiting,) = await at.jobs()
            assert waiting.status is JobStatus.SUCCEEDED
            assert waiting.delivered_at is None
            await at.command("show", job=waiting.id)
            assert (await at.said("not possible right now")).ephemeral_to is at.ada
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert len(result.pictures()) == 1
    assert "no longer stored" not in result.text()
    assert job.result_message_id == result.id
    assert temporary(at) == []


@pytest.mark.long
async def test_an_input_waits_for_the_bucket(
    at: Stage, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with at.easel(pictures_url=bucket.url):
        bucket.server.stop()
        await at.edit(Upload("in.png", picture()))
        await until(lambda: "inputs not stored, retrying" in caplog.text)
        assert (await at.jobs())[0].status is JobStatus.QUEUED
        assert at.created() == []
        bucket.server.start()
        await at.result("make it blue")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.created()) == 1
    assert temporary(at) == []


async def test_a_picture_that_was_removed_is_reported_as_such(at: Stage, bucket: Bucket) -> None:
    async with at.easel(pictures_url=bucket.url) as app:
        await at.imagine("a fox")
        (job,) = await at.settled()
        at.clock.move(days=400)
        for key, held in bucket.keys.items():
            assert job.id not in key
            held.last_modified = held.last_modified.replace(year=2020)
        await app.services.retention.sweep()
        assert bucket.keys == {}
        await at.command("show", job=job.id)
        await at.said("no longer stored")
