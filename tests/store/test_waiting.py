"""The queue in the order in which jobs are claimed, and the times of a model's recent jobs."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.store import claims, generations, jobs, settlement, waiting
from bot.store.database import Database, Transaction
from bot.store.leases import Terms
from bot.store.tables import jobs as table
from tests.support.books import picture
from tests.support.rows import NOW, add, new_job

EXPIRED = NOW - timedelta(minutes=30)


async def line(database: Database, limit: int = 100, *, minutes: float = 1) -> list[str]:
    async with database.reading() as view:
        found = await waiting.first_in_line(
            view, "oxen", NOW + timedelta(minutes=minutes), created_after=EXPIRED, limit=limit
        )
    return [job.id for job in found]


async def claimed(database: Database) -> list[str]:
    """Claim every job, one after another; return the ids in this order."""
    found: list[str] = []
    while True:
        now = NOW + timedelta(minutes=1, seconds=len(found))
        async with database.transaction() as tx:
            job = await claims.claim(tx, "oxen", Terms("me", now, None), created_after=EXPIRED)
        if job is None:
            return found
        found.append(job.id)


async def queued(tx: Transaction, user_id: int, second: float, **changes: object) -> str:
    at = NOW + timedelta(seconds=second)
    job = await add(tx, replace(new_job(user_id, at=at), **changes))  # type: ignore[arg-type]
    return job.id


async def served(tx: Transaction, user_id: int, second: float) -> None:
    """Store a job of a member that was submitted, and has failed."""
    at = NOW - timedelta(hours=1) + timedelta(seconds=second)
    job = await add(tx, new_job(user_id, at=at))
    await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=at)
    await settlement.fail(tx, job.id, at, reason=Reason.UNKNOWN)


@pytest.mark.parametrize("seed", range(6))
async def test_the_line_is_the_order_of_the_claims(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    async with database.transaction() as tx:
        for user_id in range(1, 4):
            await served(tx, user_id, chance.randrange(1000))
        for number in range(30):
            await queued(tx, chance.randrange(1, 8), number + chance.random())
    shown = await line(database)

    assert len(shown) == 30
    assert await line(database, 10) == shown[:10]
    assert shown == await claimed(database)


async def test_jobs_that_cannot_be_claimed_yet_are_behind_all_others(database: Database) -> None:
    later = NOW + timedelta(minutes=2)
    async with database.transaction() as tx:
        retried = await queued(tx, 1, 1)
        await jobs.postpone_submit(tx, retried, later, Reason.UNAVAILABLE)
        second = await queued(tx, 1, 3)
        third = await queued(tx, 2, 4)

    assert await line(database) == [second, third, retried]
    assert await line(database, minutes=3) == [retried, third, second]


async def test_only_jobs_that_wait_at_this_provider_are_in_line(database: Database) -> None:
    async with database.transaction() as tx:
        await queued(tx, 1, -3600)  # has expired
        await queued(tx, 2, 1, provider="skills")
        canceled = await queued(tx, 3, 1)
        await jobs.request_cancel(tx, canceled, NOW)
        await add(tx, new_job(4), message_id=None)
        last = await queued(tx, 5, 9)

    assert await line(database) == [last]


async def test_those_behind_are_listed_without_the_known_ones(database: Database) -> None:
    async with database.transaction() as tx:
        first, second = await queued(tx, 1, 1), await queued(tx, 1, 2)
        final = await queued(tx, 2, 3)
        await jobs.mark_final_status(tx, final)
    async with database.reading() as view:
        found = await waiting.waiting_behind(view, "oxen", known={first})
        unknown = await waiting.waiting_behind(view, "oxen", known=set())

    assert [job.id for job in found] == [second]
    assert {job.id for job in unknown} == {first, second}


@pytest.mark.long
@pytest.mark.parametrize("members", [1, 3000])
async def test_the_line_of_3000_jobs_is_read_fast(database: Database, members: int) -> None:
    async with database.transaction() as tx:
        for number in range(3000):
            job = await jobs.add(tx, new_job(number % members, at=NOW + timedelta(seconds=number)))
            await jobs.confirm_reply(tx, job.id, 40)
        await tx.execute(text("ANALYZE"))  # as autovacuum does: the rows are new to the planner
    began = time.perf_counter()
    found = await line(database, 11, minutes=120)
    taken = time.perf_counter() - began

    assert len(found) == 11
    assert taken < 5.0  # 0.05 s on a quiet machine


async def succeeded(tx: Transaction, minutes: int, seconds: float, count: int = 1) -> None:
    """Store a success that began so many minutes after NOW and took so many seconds."""
    began = NOW + timedelta(minutes=minutes)
    job = await add(tx, new_job(at=began, count=count))
    await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=began)
    running = await jobs.start_running(tx, job.id, began)
    end = began + timedelta(seconds=seconds)
    await settlement.succeed(tx, running, end, cost=None, pictures=[picture(minutes)], ends={})


async def overdue(tx: Transaction) -> None:
    """Store a job that was given up, and whose picture arrived later."""
    job = await add(tx, new_job(at=NOW))
    await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
    await jobs.start_running(tx, job.id, NOW)
    (made,) = await generations.add(tx, job.id, "oxen", ["overdue"])
    failed = await settlement.fail(tx, job.id, NOW, reason=Reason.TIMEOUT)
    await settlement.charge_overdue(
        tx, failed, NOW, cost=None, pictures=[picture(99)], generations=[made]
    )


async def times(
    database: Database, model: str = "oxen", *, minutes: int = -1, limit: int = 9
) -> Sequence[tuple[float, int]]:
    since = NOW + timedelta(minutes=minutes)
    async with database.reading() as view:
        found = await waiting.recent_times(view, model, since, limit=limit)
    return [(each.time.total_seconds(), each.pictures) for each in found]


async def test_times_are_those_of_the_newest_successes(database: Database) -> None:
    async with database.transaction() as tx:
        for number in range(1, 5):
            await succeeded(tx, number, 10 + number, count=number)
        await served(tx, 1, 5)
        await overdue(tx)

    assert await times(database) == [(14, 4), (13, 3), (12, 2), (11, 1)]
    assert await times(database, limit=2) == [(14, 4), (13, 3)]
    assert await times(database, minutes=3) == [(14, 4), (13, 3)]
    assert await times(database, "skills") == []


async def test_a_job_without_a_number_of_pictures_is_one_of_one(database: Database) -> None:
    async with database.transaction() as tx:
        job = await add(tx, new_job())
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        running = replace(await jobs.start_running(tx, job.id, NOW), generation_ms=2_500)
        end = NOW + timedelta(seconds=9)
        await settlement.succeed(tx, running, end, cost=None, pictures=[picture(1)], ends={})

        assert await waiting.durations(tx, "oxen", 1, limit=9) == [2.5]
        assert await waiting.durations(tx, "oxen", 2, limit=9) == []
    assert await times(database) == [(9, 1)]


async def test_durations_are_those_of_the_newest_generations_of_so_many_pictures(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        for number in range(9):
            await succeeded(tx, number, 10, count=1 + number % 3)
            await tx.execute(
                table.update().where(table.c.generation_ms.is_(None)).values(generation_ms=number)
            )

        assert await waiting.durations(tx, "oxen", 1, limit=9) == [0.006, 0.003, 0.0]
        assert await waiting.durations(tx, "oxen", 3, limit=2) == [0.008, 0.005]
        assert await waiting.durations(tx, "oxen", 2, limit=1) == [0.007]
        assert await waiting.durations(tx, "skills", 1, limit=9) == []


async def test_a_duration_behind_many_of_other_numbers_of_pictures_is_not_read(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        for number, count in enumerate([1, 2, 2, 2, 2]):
            await succeeded(tx, number, 10, count=count)
        await tx.execute(table.update().values(generation_ms=table.c.price))

        assert await waiting.durations(tx, "oxen", 1, limit=1) == []
        assert await waiting.durations(tx, "oxen", 1, limit=2) == [7.5]
