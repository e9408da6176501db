"""Leases by the real statements: whatever the order, one process works on a job, and one writes."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.jobs import Job, JobStatus
from bot.store import claims, jobs, leases, settlement
from bot.store.database import Database, Transaction
from bot.store.leases import Terms
from bot.store.tables import jobs as table
from tests.support.rows import NOW, new_job, one

LONG_AGO = NOW - timedelta(days=1)
UNTIL = NOW + timedelta(minutes=1)


def terms(process: str) -> Terms:
    return Terms(process, NOW, UNTIL)


async def expire(tx: Transaction) -> None:
    await tx.execute(table.update().values(lease_until=LONG_AGO))


async def read(database: Database, job_id: str) -> Job:
    async with database.reading() as view:
        found = await jobs.get(view, job_id)
    assert found is not None
    return found


async def test_a_claim_is_the_first_lease(database: Database) -> None:
    await one(database)
    async with database.transaction() as tx:
        job = await claims.claim(tx, "oxen", terms("a"), created_after=LONG_AGO)

        assert job is not None
        assert (job.status, job.epoch) == (JobStatus.SUBMITTING, 1)
        assert await leases.take(tx, [job], terms("b")) == []
        await expire(tx)
        (taken,) = await leases.take(tx, [job], terms("b"))
        assert taken.epoch == 2


async def test_a_job_that_has_a_lease_is_not_claimed(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await leases.take(tx, [job], terms("a"))

        assert await claims.claim(tx, "oxen", terms("b"), created_after=LONG_AGO) is None
        assert await claims.providers_with_work(tx, NOW, LONG_AGO) == {}


async def test_a_job_of_the_process_keeps_its_epoch(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        (first,) = await leases.take(tx, [job], terms("a"))
        (again,) = await leases.take(tx, [first], terms("a"))

    assert (first.epoch, again.epoch) == (1, 1)


async def test_what_has_changed_since_the_list_is_not_taken(database: Database) -> None:
    listed = [await one(database, new_job(number)) for number in (1, 2, 3)]
    async with database.transaction() as tx:
        await settlement.cancel(tx, listed[0].id, NOW)
        await leases.take(tx, [listed[1]], terms("b"))
        await leases.release(tx, "b", listed[1].id, 1)  # free again, and another lease since

        taken = await leases.take(tx, listed, terms("a"))

    assert [job.id for job in taken] == [listed[2].id]
    async with database.transaction() as tx:
        assert await leases.take(tx, [], terms("a")) == []


async def test_a_renewal_names_what_is_still_held(database: Database) -> None:
    listed = [await one(database, new_job(number)) for number in (1, 2, 3)]
    async with database.transaction() as tx:
        taken = await leases.take(tx, listed, terms("a"))
        held = {job.id: job.epoch for job in taken}
        await expire(tx)
        await leases.take(tx, taken[:1], terms("b"))
        await leases.release(tx, "a", taken[1].id, taken[1].epoch)

        assert await leases.renew(tx, held, terms("a")) == {taken[2].id}
        until = (await tx.execute(select(table.c.lease_until))).scalars().all()
    assert sum(each is not None and each > LONG_AGO for each in until) == 2


async def test_only_the_holder_locks_and_releases(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        (taken,) = await leases.take(tx, [job], terms("a"))

        assert await leases.lock(tx, "a", job.id, taken.epoch)
        assert not await leases.lock(tx, "a", job.id, taken.epoch - 1)
        assert not await leases.lock(tx, "b", job.id, taken.epoch)
        await leases.release(tx, "b", job.id, taken.epoch)
        assert await leases.take(tx, [taken], terms("b")) == []
        await leases.release(tx, "a", job.id, taken.epoch)
        assert len(await leases.take(tx, [taken], terms("b"))) == 1


async def test_a_process_that_ends_frees_its_running_jobs(database: Database) -> None:
    running, waiting = await one(database), await one(database, new_job(2))
    async with database.transaction() as tx:
        claimed = await claims.claim(tx, "oxen", terms("a"), created_after=LONG_AGO)
        assert claimed is not None
        held = running if claimed.id == running.id else waiting
        started = await jobs.start_running(tx, held.id, NOW)
        await claims.claim(tx, "oxen", terms("a"), created_after=LONG_AGO)

        await leases.release_running(tx, "a")
        assert await leases.take(tx, [started], terms("b")) != []
    for job in (running, waiting):
        found = await read(database, job.id)
        if found.status is JobStatus.SUBMITTING:  # the outcome of its request is unknown
            async with database.transaction() as tx:
                assert await leases.take(tx, [found], terms("b")) == []


STEPS = ("take", "renew", "write")


def orders(first: Sequence[str], second: Sequence[str], other: str) -> Iterator[tuple[str, ...]]:
    """Yield every order of the steps of two processes, with one other event anywhere."""
    if not first and not second and not other:
        yield ()
        return
    for name, rest in (("a", first), ("b", second)):
        if rest:
            left = (rest[1:], second) if name == "a" else (first, rest[1:])
            yield from (((f"{name} {rest[0]}"), *after) for after in orders(*left, other))
    if other:
        yield from ((other, *after) for after in orders(first, second, ""))


@pytest.mark.long
@pytest.mark.parametrize("event", ["expire", "kill a", "kill b", "release"])
async def test_every_order_of_steps_writes_one_outcome(database: Database, event: str) -> None:
    """Take, renew and write of two processes, and the end of a lease or of a process between."""
    for number, order in enumerate(orders(STEPS, STEPS, event)):
        job = await one(database, new_job(number + 1))
        taken: dict[str, Job] = {}
        written: list[str] = []
        dead = ""
        for step in order:
            process, _, name = step.partition(" ")
            if process == dead:
                continue
            if process == "kill":
                dead = name
                continue
            async with database.transaction() as tx:
                if process == "expire":
                    await expire(tx)
                elif process == "release":
                    for holder, held in taken.items():
                        await leases.release(tx, holder, job.id, held.epoch)
                elif name == "take":
                    for got in await leases.take(tx, await due(tx, job), terms(process)):
                        taken[process] = got
                elif process in taken:
                    held = taken[process]
                    if name == "renew":
                        if not await leases.renew(tx, {job.id: held.epoch}, terms(process)):
                            del taken[process]
                    elif await leases.lock(tx, process, job.id, held.epoch):
                        await settlement.cancel(tx, job.id, NOW)
                        written.append(process)
        assert len(written) <= 1, order
        if event == "expire" or not dead:
            assert written or event == "release", order


async def due(tx: Transaction, job: Job) -> list[Job]:
    """Return the job as a list of queued jobs would."""
    found = await jobs.get(tx, job.id)
    return [found] if found is not None and found.status is JobStatus.QUEUED else []
