"""Which job is taken next, which is not, and what a taken job has."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.store import claims, jobs, leases, settlement
from bot.store.backends import open_database
from bot.store.database import Database, Transaction
from bot.store.leases import Terms
from tests.support.rows import NOW, add, new_job, one

MOMENT = timedelta(microseconds=1)
TERMS = Terms("a", NOW, NOW + timedelta(minutes=1))
LONG_AGO = NOW - timedelta(days=1)
Change = Callable[[Transaction, Job], Awaitable[object]]


async def claimed(tx: Transaction, **given: object) -> str | None:
    """Return the id of the job that is taken next."""
    values = {"created_after": LONG_AGO, **given}
    job = await claims.claim(tx, "oxen", TERMS, **values)  # type: ignore[arg-type]
    return job.id if job else None


async def cancel_requested(tx: Transaction, job: Job) -> None:
    await jobs.request_cancel(tx, job.id, NOW)


async def postponed(tx: Transaction, job: Job) -> None:
    await jobs.postpone_submit(tx, job.id, NOW + MOMENT, Reason.UNAVAILABLE)


async def leased(tx: Transaction, job: Job) -> None:
    await leases.take(tx, [job], TERMS)


async def failed(tx: Transaction, job: Job) -> None:
    await settlement.fail(tx, job.id, NOW, reason=Reason.AWAY)


async def elsewhere(tx: Transaction, job: Job) -> None:
    await jobs.hand_over(tx, job, model="skills", provider="skills", price=7_500)


@pytest.mark.parametrize("change", [cancel_requested, postponed, leased, failed])
async def test_a_job_that_cannot_be_submitted_is_in_no_list(
    database: Database, change: Change
) -> None:
    job, after = await one(database), LONG_AGO
    async with database.transaction() as tx:
        await change(tx, job)
        assert await claimed(tx) is None
        assert await claims.claim_listed(tx, job.id, TERMS, created_after=after) is None
        assert await claims.in_turns(tx, "oxen", NOW, after, 10) == []
        assert await claims.providers_with_work(tx, NOW, after) == {}


async def test_a_job_whose_reply_or_inputs_are_missing_is_in_no_list(database: Database) -> None:
    async with database.transaction() as tx:
        await add(tx, new_job(), message_id=None)
        assert await claimed(tx) is None
        assert await claims.providers_with_work(tx, NOW, LONG_AGO) == {}


async def test_a_job_of_another_provider_is_left_for_its_own(database: Database) -> None:
    async with database.transaction() as tx:
        job = await add(tx, replace(new_job(), model_auto=True))
        await elsewhere(tx, job)
        other = await add(tx, new_job(at=NOW + MOMENT))
        assert await claims.providers_with_work(tx, NOW, LONG_AGO) == {"oxen": 1, "skills": 1}
        assert await claimed(tx) == other.id
        assert await claimed(tx) is None


async def test_a_job_that_has_expired_is_not_taken(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        assert await claimed(tx, created_after=NOW) is None
        assert await claims.claim_listed(tx, job.id, TERMS, created_after=NOW) is None
        assert await claims.in_turns(tx, "oxen", NOW, NOW, 10) == []
        assert await claims.providers_with_work(tx, NOW, NOW) == {}
        assert await claims.providers_with_work(tx, NOW, NOW - MOMENT) == {"oxen": 1}
        assert await claimed(tx, created_after=NOW - MOMENT) == job.id


async def test_a_postponed_job_is_taken_at_its_very_time(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await jobs.postpone_submit(tx, job.id, NOW, Reason.UNAVAILABLE)
        assert await claimed(tx) == job.id


async def test_members_who_are_left_out_and_models_by_easel_wait(database: Database) -> None:
    async with database.transaction() as tx:
        auto = await add(tx, replace(new_job(1), model_auto=True))
        old = await add(tx, new_job(2, at=NOW - MOMENT))
        new = await add(tx, new_job(3))
        assert await claimed(tx, without=[1, 2, 3]) is None
        assert await claimed(tx, named_since=NOW + MOMENT) is None
        assert await claimed(tx, named_since=NOW) == new.id
        assert await claimed(tx, named_since=NOW) is None
        assert await claimed(tx, without=[2]) == auto.id
        assert await claimed(tx) == old.id


async def test_a_taken_job_is_submitted_under_a_lease(database: Database) -> None:
    for listed in (False, True):
        job = await one(database)
        async with database.transaction() as tx:
            if listed:
                taken = await claims.claim_listed(tx, job.id, TERMS, created_after=LONG_AGO)
            else:
                taken = await claims.claim(tx, "oxen", TERMS, created_after=LONG_AGO)
        assert taken is not None
        assert (taken.id, taken.status, taken.epoch) == (job.id, JobStatus.SUBMITTING, 1)
        assert taken.submitted_at == NOW


async def test_the_line_of_a_provider_is_the_order_of_the_claims(database: Database) -> None:
    """Members take turns, each with the oldest job first."""
    async with database.transaction() as tx:
        for number, user in enumerate((1, 1, 2, 1, 2)):
            await add(tx, new_job(user, at=NOW + number * MOMENT))
        listed = await claims.in_turns(tx, "oxen", NOW, LONG_AGO, 4)
        assert [job.user_id for job in listed] == [1, 2, 1, 2]
        assert await claims.providers_with_work(tx, NOW, LONG_AGO) == {"oxen": 5}
        for number, job in enumerate(listed):
            terms = TERMS._replace(now=NOW + number * MOMENT)
            taken = await claims.claim(tx, "oxen", terms, created_after=LONG_AGO)
            assert taken is not None
            assert taken.id == job.id


@pytest.mark.long
async def test_processes_do_not_wait_for_the_claims_of_others(postgres_url: str) -> None:
    async with open_database(postgres_url) as one_process, open_database(postgres_url) as other:
        first, second = await one(one_process), await one(one_process, new_job(2, at=NOW + MOMENT))
        async with asyncio.timeout(30), one_process.transaction() as tx:
            assert await claimed(tx) == first.id
            async with other.transaction() as parallel:
                assert await claimed(parallel) == second.id
                assert await claimed(parallel) is None


async def test_a_delivery_counts_its_attempts_and_keeps_its_begin(database: Database) -> None:
    job = await one(database)
    later = TERMS._replace(now=NOW + MOMENT)
    async with database.transaction() as tx:
        assert await claims.begin_delivery(tx, job, TERMS) is None  # not settled
        settled = await settlement.fail(tx, job.id, NOW, reason=Reason.AWAY)
        first = await claims.begin_delivery(tx, settled, TERMS)
        assert first is not None
        assert (first.delivery_attempts, first.delivery_started_at) == (1, NOW)
        assert first.epoch == settled.epoch + 1
        assert await claims.begin_delivery(tx, settled, TERMS) is None  # listed before the first
        await leases.release(tx, "a", job.id, first.epoch)
        assert await claims.begin_delivery(tx, settled, later) is None

        again = await claims.begin_delivery(tx, first, later)
        assert again is not None
        assert (again.delivery_attempts, again.delivery_started_at) == (2, NOW)
        await jobs.mark_delivered(tx, job.id, NOW, message_id=5, channel_id=20, error=None)
        assert await claims.begin_delivery(tx, again, later) is None


async def test_a_delivery_that_was_postponed_after_it_was_listed_does_not_begin(
    database: Database,
) -> None:
    job, due = await one(database), NOW + 2 * MOMENT
    async with database.transaction() as tx:
        settled = await settlement.fail(tx, job.id, NOW, reason=Reason.AWAY)
        first = await claims.begin_delivery(tx, settled, TERMS)
        assert first is not None
        await jobs.postpone_delivery(tx, job.id, due, "503", message_id=None, channel_id=None)
        early = TERMS._replace(now=NOW + MOMENT)
        assert await claims.begin_delivery(tx, first, early) is None

        again = await claims.begin_delivery(tx, first, TERMS._replace(now=due))
        assert again is not None
        assert again.delivery_attempts == 2
