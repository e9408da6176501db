"""Recovery by itself: its conditions and time-outs, and the outcomes that it stores."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import Reason
from bot.jobs import GenerationRequest, Job, JobStatus
from bot.providers.base import Submitted, Waiting
from bot.sandbox.http.faults import Answer
from bot.sandbox.oxen.server import FakeOxen
from bot.store import generations, jobs, settlement
from bot.store.database import Database
from tests.providers.clients import MEMBER
from tests.support import cluster
from tests.support.parts import Parts, parts_on
from tests.support.rows import NOW, new_job, one
from tests.support.statements import statements

MOMENT = timedelta(milliseconds=1)
REFUSED = Answer(400, {"error": {"message": "not at the moment"}})


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


async def due(parts: Parts) -> list[tuple[str, str]]:
    """Return the names of the methods that are due, each with the job's id."""
    async with parts.database.reading() as view:
        found = await parts.recovery.due(view, parts.clock.now)
    return [(getattr(method, "__name__", ""), job.id) for method, job in found]


async def created(parts: Parts, number: int = 1, prompt: str = "a fox") -> list[str]:
    """Let the service create generations, and return their ids."""
    request = GenerationRequest("oxen", prompt, {"count": number} if number > 1 else {})
    submission = await parts.services.providers["oxen"].submit(request, MEMBER)
    return [each.remote_id for each in submission.generations]


async def test_each_kind_of_recovery_is_due_after_its_own_time(parts: Parts) -> None:
    unconfirmed = await one(parts.database, message_id=None)
    queued = await one(parts.database)
    for moved, expected in (
        (timedelta(seconds=15) - MOMENT, []),
        (timedelta(seconds=15), [("confirm_reply", unconfirmed.id)]),
        (timedelta(minutes=30) - MOMENT, [("confirm_reply", unconfirmed.id)]),
        (
            timedelta(minutes=30),
            [("confirm_reply", unconfirmed.id), ("expire", queued.id)],
        ),
    ):
        parts.clock.now = NOW + moved
        assert await due(parts) == expected


async def test_a_submit_is_recovered_when_its_lease_has_ended(parts: Parts) -> None:
    job = await parts.claimed(await one(parts.database))
    parts.clock.move(minutes=3, milliseconds=-1)
    assert await due(parts) == []
    parts.clock.move(milliseconds=1)
    assert await due(parts) == [("recover", job.id)]

    parts.clock.now = NOW
    assert await due(parts) == []
    await parts.recovery.start()  # the leases of the last run
    assert await due(parts) == [("recover", job.id)]


async def test_a_job_without_a_key_is_given_up_a_day_after_its_time_out(
    database: Database, tmp_path: Path
) -> None:
    parts = parts_on(database, tmp_path)
    job = await parts.begun(await one(database), "gen_1", "gen_2")
    parts.clock.move(hours=24, minutes=10, milliseconds=-1)
    assert await due(parts) == []
    parts.clock.move(milliseconds=1)
    assert await due(parts) == [("give_up", job.id)]

    await parts.recovery.give_up(job)
    assert await parts.outcome(job) == (JobStatus.FAILED, Reason.UNAVAILABLE)
    assert await parts.losses(job) == [-3750, -3750]
    async with database.reading() as view:
        known = await generations.of_job(view, job.id)
    assert {each.state for each in known} == {JobStatus.FAILED}


async def test_a_submit_without_a_key_is_given_up_as_an_unknown_outcome(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = parts_on(database, tmp_path)
    job = await parts.claimed(await one(database))
    await parts.recovery.give_up(job)

    assert await parts.outcome(job) == (JobStatus.FAILED, Reason.DOUBTFUL)
    assert await parts.losses(job) == [-7500]
    assert caplog.text.count("oxen has no key: job failed") == 1


@pytest.mark.parametrize(
    ("created_at", "reason", "expected"),
    [
        (NOW - timedelta(minutes=30), None, Reason.AWAY),
        (NOW - timedelta(minutes=30) + MOMENT, None, Reason.UNAVAILABLE),
        (NOW - timedelta(minutes=40), Reason.RATE_LIMITED, Reason.RATE_LIMITED),
    ],
)
async def test_a_job_that_expired_before_the_start_says_that_the_bot_was_away(
    parts: Parts, created_at: datetime, reason: Reason | None, expected: Reason
) -> None:
    job = await one(parts.database, replace(new_job(), created_at=created_at))
    await parts.recovery.expire(replace(job, reason=reason))

    assert await parts.outcome(job) == (JobStatus.FAILED, expected)


async def test_a_reply_is_searched_for_half_an_hour_after_the_start(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    """Discord is not connected here."""
    old = await one(parts.database, new_job(at=NOW - timedelta(hours=1)), message_id=None)
    new = await one(parts.database, new_job(2, at=NOW + timedelta(minutes=5)), message_id=None)
    for job, moved, expected in (
        (old, timedelta(minutes=30) - MOMENT, JobStatus.QUEUED),
        (old, timedelta(minutes=30), JobStatus.FAILED),
        (new, timedelta(minutes=35) - MOMENT, JobStatus.QUEUED),
        (new, timedelta(minutes=35), JobStatus.FAILED),
    ):
        parts.clock.now = NOW + moved
        await parts.recovery.confirm_reply(job)
        status, reason = await parts.outcome(job)
        assert (status, reason is Reason.AWAY) == (expected, expected is JobStatus.FAILED)

    assert caplog.text.count("reply not reconciled, retrying") == 2
    assert caplog.text.count("reply not reconciled for half an hour; job failed") == 2


async def test_a_lost_request_is_searched_for_three_times(
    parts: Parts, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    job = await parts.claimed(await one(parts.database))

    assert await parts.recovery.reconcile(job) is None
    assert waits == [1.0, 4.0, 0.0]
    assert await parts.outcome(job) == (JobStatus.FAILED, Reason.DOUBTFUL)
    assert await parts.losses(job) == [-7500]
    assert caplog.text.count("outcome of a submit unknown; job failed") == 1
    failed = b'easel_doubtful_submits_total{outcome="failed",provider="oxen"} 1.0'
    assert failed in parts.services.metrics.text(None)


async def test_what_a_lost_request_has_created_is_adopted_and_polled(
    parts: Parts, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    job = await parts.claimed(await one(parts.database, new_job(count=2)))
    remote_ids = await created(parts, 2)
    await parts.recovery.recover(job)

    running = await parts.job(job)
    assert (running.status, running.running_at, waits) == (JobStatus.RUNNING, NOW, [])
    assert parts.poller.watched == {job.id}
    assert parts.edits.next_due is not None
    async with parts.database.reading() as view:
        known = await generations.of_job(view, job.id)
    assert sorted(each.remote_id for each in known) == sorted(remote_ids)
    assert f"adopted {', '.join(each.remote_id for each in known)} after" in caplog.text
    adopted = b'easel_doubtful_submits_total{outcome="adopted",provider="oxen"} 1.0'
    assert adopted in parts.services.metrics.text(None)


async def test_a_request_whose_outcome_was_found_meanwhile_is_not_searched_for(
    parts: Parts, service: FakeOxen
) -> None:
    lost = await parts.claimed(await one(parts.database))
    async with parts.database.transaction() as tx:
        failed = await settlement.fail(tx, lost.id, NOW, reason=Reason.REJECTED)
    assert await parts.recovery.reconcile(lost) is None
    assert await parts.recovery.reconcile(replace(lost, id="z" * 16)) is None

    assert service.requests == []
    assert await parts.job(lost) == failed


@pytest.mark.parametrize(("number", "count"), [(1, 2), (3, 2), (2, 1)])
async def test_only_as_many_generations_as_were_requested_are_adopted(
    parts: Parts, waits: list[float], number: int, count: int
) -> None:
    job = await parts.claimed(await one(parts.database, new_job(count=count)))
    for _ in range(number):
        await created(parts)
    assert await parts.recovery.reconcile(job) is None
    assert await parts.outcome(job) == (JobStatus.FAILED, Reason.DOUBTFUL)


async def test_generations_of_other_jobs_are_not_adopted(parts: Parts, waits: list[float]) -> None:
    other, own = await created(parts), await created(parts)
    await parts.begun(await one(parts.database, new_job(2)), *other)
    job = await parts.claimed(await one(parts.database))
    found = await parts.recovery.reconcile(job)

    assert found is not None
    async with parts.database.reading() as view:
        assert [each.remote_id for each in await generations.of_job(view, job.id)] == own


@pytest.mark.parametrize(("apart", "adopted"), [(180, False), (180.001, True)])
async def test_an_equal_request_within_three_minutes_leaves_a_doubt(
    parts: Parts, waits: list[float], apart: float, adopted: bool
) -> None:
    rival = await one(parts.database, new_job(2))
    parts.clock.now = NOW - timedelta(seconds=apart)
    await parts.claimed(rival)
    parts.clock.now = NOW
    job = await parts.claimed(await one(parts.database))
    await created(parts)

    assert (await parts.recovery.reconcile(job) is not None) is adopted


async def test_a_search_that_fails_is_repeated_within_ten_minutes(
    parts: Parts, service: FakeOxen, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    service.faults.add("GET", "/api/ai/queue", REFUSED, times=None)
    job = await parts.claimed(await one(parts.database))
    parts.clock.move(minutes=10, milliseconds=-1)
    assert await parts.recovery.reconcile(job) is None
    assert await parts.outcome(job) == (JobStatus.SUBMITTING, None)
    assert await due(parts) == []  # before the next search
    parts.clock.move(milliseconds=1)
    assert await parts.recovery.reconcile(job) is None

    assert await parts.outcome(job) == (JobStatus.FAILED, Reason.DOUBTFUL)
    assert caplog.text.count("provider cannot be searched") == 2


async def test_a_failed_job_is_searched_for_until_it_is_found(
    parts: Parts, service: FakeOxen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    job = await parts.claimed(await one(parts.database))
    async with parts.database.transaction() as tx:
        failed = await settlement.fail_unknown(tx, job, NOW)
    refused = service.faults.add("GET", "/api/ai/queue", REFUSED, times=None)
    await parts.recovery.search_again(failed)
    assert caplog.text.count("generations of an unknown outcome not searched") == 1
    refused.remove()
    await parts.recovery.search_again(failed)
    assert await parts.losses(job) == [-7500]
    assert "of a failed job" not in caplog.text

    (remote_id,) = await created(parts)
    await parts.recovery.search_again(failed)
    assert await parts.losses(job) == [-7500, 7500]
    assert caplog.text.count(f"found {remote_id} of a failed job with an unknown outcome") == 1


async def test_generations_are_handed_in_once_the_job_has_failed(parts: Parts) -> None:
    job = await parts.claimed(await one(parts.database))
    assert not await parts.recovery.hand_in(job, ["gen_1"])
    async with parts.database.transaction() as tx:
        await settlement.fail_unknown(tx, job, NOW)
    assert await parts.recovery.hand_in(job, ["gen_1"])
    assert await parts.losses(job) == [-7500, 7500]

    other = await parts.begun(await one(parts.database, new_job(2)), "gen_2")
    assert await parts.recovery.hand_in(other, ["gen_3"])
    assert await parts.recovery.hand_in(replace(job, id="z" * 16), ["gen_4"])
    refused = await one(parts.database, new_job(3))
    async with parts.database.transaction() as tx:
        await settlement.fail(tx, refused.id, NOW, reason=Reason.REJECTED)
    assert await parts.recovery.hand_in(refused, ["gen_5"])
    async with parts.database.reading() as view:
        assert len(await generations.of_job(view, other.id)) == 1
        assert await generations.of_job(view, refused.id) == []


async def test_only_a_job_that_began_shortly_before_the_start_is_shown_again(
    parts: Parts,
) -> None:
    shown: list[Job] = []
    for number, seconds in enumerate((0, 59.999, 60, 0)):
        parts.clock.now = NOW - timedelta(seconds=seconds)
        shown.append(await parts.begun(await one(parts.database, new_job(number)), f"g{number}"))
    async with parts.database.transaction() as tx:
        await jobs.mark_slow(tx, shown[3].id)
    parts.clock.now = NOW
    await parts.recovery.start()
    await parts.recovery.resume(set())
    assert parts.poller.watched == {each.id for each in shown}

    parts.clock.move(minutes=1)
    edited: list[str] = []
    while job := parts.edits.take_due():
        edited.append(job.id)
        parts.clock.move(seconds=1)
    assert sorted(edited) == sorted(each.id for each in shown[:2])


async def test_a_job_that_has_a_task_is_not_resumed(parts: Parts) -> None:
    busy = await parts.begun(await one(parts.database), "g1")
    other = await parts.begun(await one(parts.database, new_job(2)), "g2")
    await parts.recovery.start()
    await parts.recovery.resume({busy.id})
    assert parts.poller.watched == {other.id}
    await parts.recovery.resume(set())
    assert parts.poller.watched == {busy.id, other.id}

    with statements() as executed:  # only counted: no other process has made any
        await parts.recovery.resume(set())
    assert len([each for each in executed if each.startswith("SELECT")]) == 1


async def test_a_job_that_runs_is_shown_and_polled(parts: Parts) -> None:
    job = await parts.begun(await one(parts.database), "g1")
    begun: list[str] = []
    await parts.recovery.follow(job, [Submitted("g1", Waiting())], begun.append)

    assert (begun, parts.poller.watched) == ([job.id], {job.id})
    assert parts.edits.next_due is not None


async def test_a_search_asks_for_the_three_minutes_after_the_request(
    parts: Parts, service: FakeOxen, waits: list[float]
) -> None:
    """And for the difference of the clocks."""
    for seconds, found in ((-16, False), (-15, True), (195, True), (196, False)):
        job = await parts.claimed(await one(parts.database, new_job(prompt=f"a fox {seconds}")))
        (remote_id,) = await created(parts, prompt=f"a fox {seconds}")
        service.generations[remote_id].enqueued_at = NOW.timestamp() + seconds
        assert (await parts.recovery.reconcile(job) is not None) is found
