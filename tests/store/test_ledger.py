from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import DatabaseError, IntegrityError

from bot.jobs import JobStatus, Picture, PictureKind
from bot.ledger import Cost, EntryKind, balance
from bot.store import jobs, ledger, pictures
from bot.store.database import Database
from bot.store.pictures import Role
from tests.support.rows import NOW, new_job, one

COST = Cost(9000, {"usd": "0.09"})


async def test_a_paid_job_adds_up_to_minus_its_cost_also_above_the_price(
    database: Database,
) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await ledger.capture(tx, job, COST, NOW)
        entries = await ledger.entries_of(tx, job.id)

    assert [(entry.kind, entry.amount) for entry in entries] == [
        (EntryKind.HOLD, -7500),
        (EntryKind.RELEASE, 7500),
        (EntryKind.CAPTURE, -9000),
    ]
    assert balance(entries) == -COST.amount
    assert entries[-1].details == {"usd": "0.09"}


async def test_a_released_job_adds_up_to_nothing(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await ledger.release(tx, job, NOW)

        assert balance(await ledger.entries_of(tx, job.id)) == 0


@pytest.mark.parametrize("again", ["hold", "release", "capture"])
async def test_hold_release_and_capture_happen_once_a_job(database: Database, again: str) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await ledger.capture(tx, job, COST, NOW)

    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            if again == "hold":
                await ledger.hold(tx, job)
            elif again == "release":
                await ledger.release(tx, job, NOW)
            else:
                await ledger.capture(tx, job, COST, NOW)


async def test_an_adjustment_happens_once_for_each_reason(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await ledger.adjust(tx, job, -5, NOW, reason="cost told later", cost=COST)
        await ledger.adjust(tx, job, 5, NOW, reason="goodwill", cost=COST)

    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await ledger.adjust(tx, job, -5, NOW, reason="cost told later", cost=COST)


@pytest.mark.parametrize("statement", ["UPDATE ledger SET amount = 0", "DELETE FROM ledger"])
async def test_the_ledger_is_append_only(database: Database, statement: str) -> None:
    job = await one(database)

    with pytest.raises(DatabaseError, match="append-only"):
        async with database.transaction() as tx:
            await tx.exec_driver_sql(statement)

    async with database.reading() as view:
        assert balance(await ledger.entries_of(view, job.id)) == -7500


async def test_a_month_counts_jobs_pictures_and_credits_by_their_hold(database: Database) -> None:
    old = await one(database, new_job(at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC)))
    done = await one(database, new_job(server_id=0))
    await one(database)
    await one(database, new_job(user_id=2))
    kept = [Picture(letter * 64, PictureKind.PNG, 9, 1, 1) for letter in "ab"]
    async with database.transaction() as tx:
        await ledger.release(tx, old, NOW)
        await jobs.move(tx, done.id, JobStatus.SUBMITTING)
        await jobs.move(tx, done.id, JobStatus.SUCCEEDED, settled_at=NOW)
        await pictures.attach(tx, done.id, Role.OUTPUT, kept, NOW)
        await ledger.capture(tx, done, COST, NOW)

    async with database.reading() as view:
        usage = await ledger.usage_of(view, 1, NOW, 100_000)
        october = await ledger.usage_of(view, 1, old.created_at, None)

    assert (usage.used, usage.held, usage.jobs, usage.pictures) == (9000, 7500, 2, 2)
    assert usage.left == 100_000 - 9000 - 7500
    assert usage.resets_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert (october.used, october.held, october.jobs, october.left) == (0, 0, 1, None)


async def test_the_same_bytes_are_one_picture_of_two_jobs(database: Database) -> None:
    picture = Picture("c" * 64, PictureKind.WEBP, 9, 4, 3)
    first, second = await one(database), await one(database)
    async with database.transaction() as tx:
        await pictures.attach(tx, first.id, Role.OUTPUT, [picture], NOW)
        await pictures.attach(tx, second.id, Role.OUTPUT, [picture, picture], NOW)

        assert await pictures.of_job(tx, first.id, Role.OUTPUT) == [picture]
        assert await pictures.of_job(tx, second.id, Role.OUTPUT) == [picture, picture]
