"""What both databases do alike, through statements of their own."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, insert, literal, select
from sqlalchemy.exc import IntegrityError

from bot.store.backends import open_database
from bot.store.database import Database
from bot.store.dialects import (
    QUOTAS,
    elements,
    keep_row,
    lock_quotas,
    quarter,
    replace_row,
    violates,
)
from bot.store.dialects import insert as insert_of_both
from bot.store.tables import jobs, ledger, notes, sums
from tests.support.rows import NOW, new_job, one
from tests.support.statements import statements

ORIGIN = next(each for each in jobs.indexes if each.name == "ix_jobs_origin_id")


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Database]:
    async with open_database(postgres_url) as database:
        yield database


async def test_a_row_with_the_same_key_is_kept_or_replaced(database: Database) -> None:
    keep, replace = keep_row(insert_of_both(notes)), replace_row(insert_of_both(notes), notes)
    async with database.transaction() as tx:
        await tx.execute(keep, {"name": "a", "value": "1"})
        await tx.execute(keep, {"name": "a", "value": "2"})
        kept = (await tx.execute(select(notes.c.value))).scalars().all()
        await tx.execute(replace, {"name": "a", "value": "3"})
        replaced = (await tx.execute(select(notes.c.value))).scalars().all()

    assert (kept, replaced) == (["1"], ["3"])


async def test_every_column_beside_the_key_is_replaced(database: Database) -> None:
    replace = replace_row(insert_of_both(sums), sums)
    async with database.transaction() as tx:
        for amount in (1, 2):
            await tx.execute(replace, {"scope": "x", "begins_at": NOW, "amount": amount})
        assert (await tx.execute(select(sums.c.amount))).scalars().all() == [2]


async def test_the_elements_of_an_array_have_their_places(database: Database) -> None:
    rows = elements("ids").table_valued("key", "value")
    statement = select(rows.c.key, rows.c.value).order_by(rows.c.key)
    async with database.reading() as view:
        found = (await view.execute(statement, {"ids": '["7", "5"]'})).all()
        none = (await view.execute(statement, {"ids": "[]"})).all()

    assert [(int(key), value) for key, value in found] == [(0, "7"), (1, "5")]
    assert none == []


@pytest.mark.parametrize(
    ("minute", "begin"),
    [(0, 0), (14, 0), (15, 15), (29, 15), (30, 30), (44, 30), (45, 45), (59, 45)],
)
async def test_a_time_is_in_the_quarter_that_it_begins(
    database: Database, minute: int, begin: int
) -> None:
    moment = NOW.replace(minute=minute, second=59, microsecond=999_999)
    row = {"user_id": 1, "server_id": 10, "kind": "grant", "amount": 1, "details": {}}
    async with database.transaction() as tx:
        await tx.execute(insert(ledger).values(**row, counted_at=moment, created_at=moment))
        found = (await tx.execute(select(quarter(ledger.c.counted_at)))).scalar_one()

    assert str(found)[:19] == f"2026-11-21 12:{begin:02}:00"


async def test_a_unique_index_that_was_violated_is_known_by_its_name(database: Database) -> None:
    """The other way round too: the primary key is no such index."""
    job = await one(database, new_job())
    async with database.transaction() as tx:
        await tx.execute(jobs.update().values(origin_id=5))
        row = dict((await tx.execute(select(jobs))).mappings().one())
    caught = []
    for other in ({"id": "x" * 16}, {"origin_id": 6}):
        with pytest.raises(IntegrityError) as error:
            async with database.transaction() as tx:
                await tx.execute(insert(jobs).values(**{**row, **other}))
        caught.append(violates(error.value, ORIGIN))

    assert caught == [True, False]
    assert job.id == row["id"]


async def test_the_lock_of_the_quotas_is_taken_once_in_a_transaction(database: Database) -> None:
    with statements() as executed:
        async with database.transaction() as tx:
            await lock_quotas(tx)
            await lock_quotas(tx)

    taken = [each for each in executed if "pg_advisory_xact_lock" in each]
    assert len(taken) == (1 if database.shared else 0)


@pytest.mark.long
async def test_each_transaction_takes_the_lock_of_the_quotas_anew(shared: Database) -> None:
    """Also on a connection that had the lock before."""
    for _ in range(2):
        async with shared.transaction() as tx:
            await lock_quotas(tx)
            async with shared.transaction() as other:
                free = select(func.pg_try_advisory_xact_lock(literal(QUOTAS)))
                assert (await other.execute(free)).scalar_one() is False
    async with asyncio.timeout(20), shared.transaction() as tx:
        await lock_quotas(tx)
