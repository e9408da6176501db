"""Storing of input pictures: jobs that can then be claimed, are postponed, or fail."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import stamina
from sqlalchemy import select

from bot.errors import Reason
from bot.jobs import Attachment, Job, JobStatus
from bot.pictures import Downloader
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.store import jobs, settlement
from bot.store import pictures as picture_rows
from bot.store.database import Database
from bot.store.pictures import Role
from bot.store.tables import job_pictures
from bot.store.tables import jobs as table
from bot.worker.inputs import Inputs
from bot.worker.leases import Leases
from tests.support.files import picture
from tests.support.loopback import ADDRESSES, LOOPBACK
from tests.support.parts import Served
from tests.support.rows import NOW, new_job, one
from tests.support.services import services_on

DATA = picture(size=(20, 20))
OTHER = picture(size=(30, 20))


@pytest.fixture(autouse=True)
def no_waits_between_tries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
async def inputs(made: Served, tmp_path: Path) -> AsyncIterator[Inputs]:
    async with Downloader(private_hosts=LOOPBACK, media=ADDRESSES) as downloader:
        services = services_on(
            made.database,
            tmp_path,
            made.clock,
            downloader=downloader,
            store=made.services.pictures,
        )
        async with services.decoder:
            yield Inputs(services, Leases(services))


def url(made: Served, name: str) -> str:
    return f"{made.skills.cdn_origin}/output/{name}.png"


async def requested(made: Served, *attachments: Attachment, user_id: int = 1) -> Job:
    new = new_job(user_id)
    request = replace(new.request, inputs=tuple(each.url for each in attachments))
    return await one(made.database, replace(new, request=request, inputs=attachments))


async def stored(made: Served, job: Job) -> tuple[bool, int]:
    """Return whether a job may be claimed, and the bytes of its inputs that were downloaded."""
    async with made.database.reading() as view:
        row = (
            await view.execute(
                select(table.c.inputs_stored, table.c.input_bytes).where(table.c.id == job.id)
            )
        ).one()
    return row.inputs_stored, row.input_bytes


async def attached(database: Database, job: Job) -> list[int]:
    async with database.reading() as view:
        return [each.width for each in await picture_rows.of_job(view, job.id, Role.INPUT)]


async def reused(made: Served, data: bytes) -> Attachment:
    """Store a picture that a job of another day has; return it as an input."""
    found = await made.services.pictures.store(data)
    other = await one(made.database, new_job(9))
    async with made.database.transaction() as tx:
        await picture_rows.attach(tx, other.id, Role.OUTPUT, [found], NOW)
    return Attachment("old.png", "", size=found.size, sha256=found.sha256, author_id=9)


async def test_a_job_may_be_claimed_when_its_inputs_are_stored_in_their_order(
    made: Served, inputs: Inputs
) -> None:
    made.skills.faults.add("GET", "/output/cat.png", Answer(200, DATA))
    new = Attachment("cat.png", url(made, "cat"), size=3)
    job = await requested(made, new, await reused(made, OTHER))
    assert await stored(made, job) == (False, 3)
    await inputs.store(job)

    assert await stored(made, job) == (True, len(DATA))
    assert await attached(made.database, job) == [20, 30]
    async with made.database.reading() as view:
        authors = await view.scalars(
            select(job_pictures.c.author_id)
            .where(job_pictures.c.job_id == job.id)
            .order_by(job_pictures.c.position)
        )
    assert [*authors] == [None, 9]


async def test_a_refused_picture_fails_the_job_with_a_remark(made: Served, inputs: Inputs) -> None:
    made.skills.faults.add("GET", "/output/cat.png", Answer(404), times=None)
    job = await requested(made, Attachment("cat.png", url(made, "cat")))
    await inputs.store(job)
    failed = await made.job(job)

    assert (failed.status, failed.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert failed.remark == "`cat.png` is no longer available. Attach the picture again."
    assert failed.settled_at == NOW


async def test_a_download_that_fails_is_tried_again_after_waits_that_double(
    made: Served, inputs: Inputs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bot.worker.inputs")
    made.skills.faults.add("GET", "/output/.*", Answer(503), times=None)
    job = await requested(made, Attachment("cat.png", url(made, "cat")))
    other = await requested(made, Attachment("dog.png", url(made, "dog")), user_id=2)
    waits = []
    for each in [job] * 7 + [other]:
        await inputs.store(each)
        after = await made.job(each)
        assert (after.status, after.reason) == (JobStatus.QUEUED, Reason.INPUT)
        assert after.submit_after is not None
        waits.append((after.submit_after - made.clock.now) / timedelta(seconds=1))
        made.clock.now = after.submit_after

    assert waits == [2, 4, 8, 16, 32, 60, 60, 2]
    assert caplog.messages[1].startswith("inputs not stored, retrying in 0:00:04: ")
    assert await stored(made, job) == (False, 0)


async def test_a_job_that_was_postponed_after_it_was_listed_waits(
    made: Served, inputs: Inputs
) -> None:
    rule = made.skills.faults.add("GET", "/output/.*", Answer(404), times=None)
    job = await requested(made, Attachment("cat.png", url(made, "cat")))
    async with made.database.transaction() as tx:
        due = NOW + timedelta(seconds=2)
        await jobs.postpone_submit(tx, job.id, due, Reason.INPUT)
    made.clock.move(seconds=1.999)
    await inputs.store(job)
    assert rule.hits == 0
    made.clock.now = due
    await inputs.store(job)
    assert rule.hits == 1


async def test_a_stopped_decoder_postpones_nothing(made: Served, inputs: Inputs) -> None:
    """The next start goes on at once."""
    inputs._services.decoder.stop()
    job = await requested(made, await reused(made, DATA))
    await inputs.store(job)

    assert await made.job(job) == job
    assert await stored(made, job) == (False, 0)


async def test_a_job_that_was_settled_meanwhile_gets_no_inputs(
    made: Served, inputs: Inputs
) -> None:
    row = made.skills.faults.add("GET", "/output/cat.png", Answer(200, DATA))
    job = await requested(made, Attachment("cat.png", url(made, "cat")))
    async with made.database.transaction() as tx:
        await settlement.cancel(tx, job.id, NOW)
    await inputs.store(job)

    assert row.hits == 0
    assert await attached(made.database, job) == []


async def test_only_the_wait_for_a_turn_ends_when_a_job_is_settled(
    made: Served, inputs: Inputs
) -> None:
    held = made.skills.faults.add("GET", "/output/cat.png", HoldBefore())
    first, second = [await requested(made, Attachment("cat.png", url(made, "cat"))) for _ in "ab"]
    loading = asyncio.create_task(inputs.store(first))
    await held.reached()
    waiting = asyncio.create_task(inputs.store(second))
    async with asyncio.timeout(20):
        while second.id not in inputs._waiting:
            await asyncio.sleep(0.001)
    inputs.let_go([first, second])
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not loading.done()
    inputs.let_go([second])
    held.release()
    await loading

    assert (await made.job(first)).status is JobStatus.FAILED  # there is no such picture
    assert (await made.job(second)).status is JobStatus.QUEUED


async def test_a_job_that_is_settled_during_its_download_gets_no_inputs(
    made: Served, inputs: Inputs
) -> None:
    held = made.skills.faults.add("GET", "/output/cat.png", Answer(200, DATA, held=True))
    job = await requested(made, Attachment("cat.png", url(made, "cat")))
    loading = asyncio.create_task(inputs.store(job))
    await held.reached()
    async with made.database.transaction() as tx:
        await settlement.cancel(tx, job.id, NOW)
    held.release()
    await loading

    assert (await made.job(job)).status is JobStatus.CANCELED
    assert await attached(made.database, job) == []


async def test_a_picture_that_is_not_stored_any_more_fails_the_job(
    made: Served, inputs: Inputs
) -> None:
    job = await requested(made, Attachment("old.png", "", sha256=64 * "e"))
    await inputs.store(job)
    failed = await made.job(job)

    assert (failed.status, failed.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert failed.remark is not None
    assert failed.remark.startswith("`old.png` is no longer stored by the bot.")
