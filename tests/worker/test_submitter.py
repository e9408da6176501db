"""Claims and submits by themselves: which job is taken, and what each outcome stores."""

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.errors import NotNow, Reason
from bot.jobs import Attachment, Job, JobStatus
from bot.providers.base import Waiting
from bot.sandbox.http.faults import Answer, ResetAfter
from bot.sandbox.oxen.server import FakeOxen
from bot.store import generations, jobs, pictures, settlement
from bot.store.sqlite import SQLiteDatabase
from bot.worker import submit
from bot.worker.submit import LISTED
from tests.providers.clients import oxen_at
from tests.support import cluster
from tests.support.books import picture
from tests.support.parts import Parts, parts_on, unreadable
from tests.support.rows import NOW, add, new_job, one

MOMENT = timedelta(milliseconds=1)
QUEUE = "/api/ai/queue"
BUSY_SERVICE = Answer(503, {"error": {"message": "Try again later"}})
BUSY = Answer(429, {"error": {"message": "Rate limit exceeded"}})


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


async def queued(parts: Parts, number: int, user_id: int = 1) -> list[Job]:
    """Store so many jobs of a member, each a second later than the one before."""
    async with parts.database.transaction() as tx:
        return [
            await add(tx, new_job(user_id, at=NOW + timedelta(seconds=each)))
            for each in range(number)
        ]


async def providers(parts: Parts) -> list[str]:
    async with parts.database.reading() as view:
        return await parts.submitter.providers_with_work(view, parts.clock.now)


async def test_a_claim_takes_the_job_and_leaves_out_the_served_members(parts: Parts) -> None:
    assert await providers(parts) == []
    assert await parts.submitter.claim("oxen") is None
    (ada,), (ben,) = await queued(parts, 1, 1), await queued(parts, 1, 2)
    assert await providers(parts) == ["oxen"]
    found = await parts.submitter.claim("oxen", without=[1])

    assert found is not None
    assert (found.id, found.status, found.submitted_at) == (ben.id, JobStatus.SUBMITTING, NOW)
    assert await parts.submitter.claim("oxen", without=[1]) is None
    again = await parts.submitter.claim("oxen")
    assert again is not None
    assert again.id == ada.id


async def test_a_job_of_half_an_hour_ago_is_not_claimed(parts: Parts) -> None:
    await queued(parts, 1)
    parts.clock.move(minutes=30)
    assert await providers(parts) == []
    assert await parts.submitter.claim("oxen") is None
    parts.clock.move(milliseconds=-1)
    assert await providers(parts) == ["oxen"]
    assert await parts.submitter.claim("oxen") is not None


@pytest.mark.parametrize("more", [0, 1])
async def test_more_than_64_jobs_are_claimed_by_a_list(parts: Parts, more: int) -> None:
    """The list serves for a quarter of a second, in which another member waits."""
    await queued(parts, LISTED + more)
    await providers(parts)
    first = await parts.submitter.claim("oxen")
    (other,) = await queued(parts, 1, 2)
    second = await parts.submitter.claim("oxen")
    assert first is not None
    assert second is not None
    assert (LISTED, first.user_id, second.user_id) == (64, 1, 1 if more else 2)
    parts.clock.move(milliseconds=249)
    third = await parts.submitter.claim("oxen")
    assert third is not None
    assert third.user_id == 1
    parts.clock.move(milliseconds=1)
    fourth = await parts.submitter.claim("oxen")
    assert fourth is not None
    assert (fourth.id == other.id) is bool(more)


async def test_a_listed_job_is_left_out_for_a_served_member_and_stays_in_the_list(
    parts: Parts,
) -> None:
    await queued(parts, LISTED + 1)
    await providers(parts)
    assert await parts.submitter.claim("oxen", without=[1]) is None
    first = await parts.submitter.claim("oxen")
    assert first is not None
    assert first.created_at == NOW


async def test_a_listed_job_that_was_settled_meanwhile_is_skipped(parts: Parts) -> None:
    listed = await queued(parts, LISTED + 1)
    await providers(parts)
    taken = [await parts.submitter.claim("oxen")]
    async with parts.database.transaction() as tx:
        await settlement.cancel(tx, listed[1].id, NOW)
    taken += [await parts.submitter.claim("oxen") for _ in range(LISTED)]

    found = [each.id for each in taken if each]
    assert found == [each.id for each in listed if each is not listed[1]]
    assert await parts.submitter.claim("oxen") is None


@pytest.mark.parametrize("number", [1, LISTED + 1])
async def test_a_claim_of_a_named_model_takes_no_other_job(parts: Parts, number: int) -> None:
    """Also while the other claims are by a list."""
    await queued(parts, number)
    since = NOW + timedelta(minutes=5)
    named = await one(parts.database, new_job(2, at=since))
    await one(parts.database, replace(new_job(3, at=since), model_auto=True))
    await providers(parts)

    assert await parts.submitter.claim("oxen", named_since=since + MOMENT) is None
    assert await parts.submitter.claim("oxen", named_since=since, without=[2]) is None
    found = await parts.submitter.claim("oxen", named_since=since)
    assert found is not None
    assert found.id == named.id
    assert await parts.submitter.claim("oxen", named_since=since) is None


async def test_a_job_that_is_put_back_waits_with_the_newest_reason(parts: Parts) -> None:
    await queued(parts, 1)
    for seconds, reason, expected in (
        (5, None, None),
        (7, Reason.RATE_LIMITED, Reason.RATE_LIMITED),
        (9, None, Reason.RATE_LIMITED),
    ):
        job = await parts.submitter.claim("oxen")
        assert job is not None
        await parts.submitter.put_back(job, timedelta(seconds=seconds), reason)
        stored = await parts.job(job)
        assert (stored.status, stored.reason) == (JobStatus.QUEUED, expected)
        assert stored.submit_after == parts.clock.now + timedelta(seconds=seconds)
        assert await parts.submitter.claim("oxen") is None
        parts.clock.move(seconds=seconds)

    job = await parts.submitter.claim("oxen")
    assert job is not None
    async with parts.database.transaction() as tx:
        await jobs.request_cancel(tx, job.id, NOW)
    await parts.submitter.put_back(job, timedelta(seconds=5))
    assert await parts.outcome(job) == (JobStatus.CANCELED, None)


async def submitting(parts: Parts, user_id: int = 1) -> Job:
    return await parts.claimed((await queued(parts, 1, user_id))[0])


async def test_an_accepted_request_is_running_as_its_generations(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    job = await submitting(parts)
    parts.clock.move(seconds=3)
    found = await parts.submitter.submit(job)

    assert found is not None
    running, (submitted,) = found
    assert (running.status, running.running_at) == (JobStatus.RUNNING, parts.clock.now)
    assert submitted.update == Waiting()
    async with parts.database.reading() as view:
        (known,) = await generations.of_job(view, job.id)
    assert known.remote_id == submitted.remote_id
    assert f"running at oxen as {known.remote_id}" in caplog.text


async def test_the_wait_after_a_limit_doubles_to_two_minutes(
    parts: Parts, service: FakeOxen
) -> None:
    service.faults.add("POST", QUEUE, BUSY, times=9)
    (job,), waited = await queued(parts, 1), []
    for _ in range(9):
        assert await parts.submitter.submit(await parts.claimed(job)) is None
        stored = await parts.job(job)
        assert (stored.status, stored.reason) == (JobStatus.QUEUED, Reason.RATE_LIMITED)
        assert stored.submit_after is not None
        waited.append((stored.submit_after - parts.clock.now).total_seconds())
        parts.clock.now = stored.submit_after

    assert waited == [2, 4, 8, 16, 32, 64, 120, 120, 120]
    assert await parts.submitter.submit(await parts.claimed(job)) is not None


async def test_a_refusal_fails_the_job_and_is_told_to_the_operator(
    parts: Parts, service: FakeOxen, caplog: pytest.LogCaptureFixture
) -> None:
    service.faults.add("POST", QUEUE, Answer(401, {"error": {"message": "Invalid API key"}}))
    job = await submitting(parts)
    assert await parts.submitter.submit(job) is None

    assert await parts.outcome(job) == (JobStatus.FAILED, Reason.AUTH)
    assert "Invalid API key" in caplog.text


async def test_an_end_of_the_attempts_begins_the_waits_anew(
    parts: Parts, service: FakeOxen, waits: list[float]
) -> None:
    """An accepted request, one that is refused, and one with an unknown outcome."""
    retries = parts.submitter._retries
    for number, last in enumerate((None, Answer(400, {"error": "no"}), ResetAfter())):
        service.faults.add("POST", QUEUE, BUSY)
        (job,) = await queued(parts, 1, number + 1)
        await parts.submitter.submit(await parts.claimed(job))
        assert job.id in retries._attempts
        parts.clock.move(seconds=2)
        if last is not None:
            service.faults.add("POST", QUEUE, last)
        await parts.submitter.submit(await parts.claimed(job))
        assert job.id not in retries._attempts


async def test_failures_of_several_members_take_the_provider_down(
    parts: Parts, service: FakeOxen
) -> None:
    service.faults.add("POST", QUEUE, BUSY, times=3)
    for user_id in (1, 2, 3):
        assert "oxen" not in parts.services.health.down
        await parts.submitter.submit(await submitting(parts, user_id))
    assert "oxen" in parts.services.health.down

    await parts.submitter.submit(await submitting(parts, 4))
    assert "oxen" not in parts.services.health.down


@pytest.mark.parametrize("same", [True, False])
async def test_failures_of_one_input_picture_count_once(
    parts: Parts, service: FakeOxen, same: bool
) -> None:
    service.faults.add("POST", QUEUE, BUSY_SERVICE, times=3)
    image = Attachment("a.png", "https://cdn.discordapp.com/attachments/1/2/a.png")
    for user_id in (1, 2, 3):
        new = replace(new_job(user_id), inputs=(image,))
        async with parts.database.transaction() as tx:
            job = await add(tx, new)
            await jobs.mark_inputs_stored(tx, job.id, size=1)
            shown = [picture(1 if same else user_id)]
            await pictures.attach(tx, job.id, pictures.Role.INPUT, shown, NOW)
        await parts.submitter.submit(await parts.claimed(job))

    assert ("oxen" in parts.services.health.down) is not same


@pytest.mark.usefixtures("short_waits")
async def test_a_failure_counts_although_the_inputs_cannot_be_read(
    empty_file: Path, tmp_path: Path, service: FakeOxen
) -> None:
    service.faults.add("POST", QUEUE, BUSY_SERVICE, times=3)
    image = Attachment("a.png", "https://cdn.discordapp.com/attachments/1/2/a.png")
    async with SQLiteDatabase(empty_file) as database, aiohttp.ClientSession() as session:
        oxen = oxen_at(session, service.url, key=service.key)
        parts = parts_on(database, tmp_path, {"oxen": oxen})
        for user_id in (1, 2, 3):
            async with database.transaction() as tx:
                job = await add(tx, replace(new_job(user_id), inputs=(image,)))
                await jobs.mark_inputs_stored(tx, job.id, size=1)
            claimed = await parts.claimed(job)
            async with unreadable(database):
                await parts.submitter.submit(claimed)
        assert "oxen" in parts.services.health.down


async def test_an_unknown_outcome_is_searched_for(
    parts: Parts, service: FakeOxen, waits: list[float]
) -> None:
    service.faults.add("POST", QUEUE, ResetAfter())
    found = await parts.submitter.submit(await submitting(parts))

    assert found is not None
    assert [each.remote_id for each in found[1]] == [*service.generations]
    assert found[0].status is JobStatus.RUNNING


async def test_an_outcome_is_stored_once_the_database_takes_it(waits: list[float]) -> None:
    attempts: list[int] = []

    async def write() -> str:
        attempts.append(1)
        if len(attempts) < 4:
            raise NotNow
        return "stored"

    assert await submit._until_stored(write) == "stored"
    assert (len(attempts), waits) == (4, [1.0, 1.0, 1.0])
