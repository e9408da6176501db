"""The tables that are append-only allow one change: a pseudonym in place of a member's id."""

# ruff: noqa: S608  # the statements consist of constants of this module

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from bot.store import changes
from bot.store.changes import Change
from bot.store.database import Connection, Database
from bot.store.tables import ledger
from tests.support.rows import NOW, one

TO_PSEUDONYM = "user_id = -5"
# A value that differs from each column's own.
OTHERS = {
    "id": "id + 1000",
    "job_id": "NULL",
    "server_id": "server_id + 1",
    "kind": "'adjustment'",
    "amount": "amount + 1",
    "granted": "granted + 1",
    "provider": "'skills'",
    "counted_at": "'2020-01-01 00:00:00.000000'",
    "reason": "'moved'",
    "details": '\'{"estimated": "yes"}\'',
    "created_at": "'2020-01-01 00:00:00.000000'",
}
CHANGE = Change(10, 1, NOW, "member <@1>: grant", "by <@1>", "by <@1> and <@2>")
WITHOUT_MENTION = (
    "subject = 'deleted member 0005: grant'",
    "before = 'by deleted member 0005'",
    "after = 'by deleted member 0005 and <@2>'",
)


async def update(database: Database, table: str, values: str) -> Sequence[Any]:
    """Change every row of a table; return the rows as they are then."""
    async with database.transaction() as tx:
        await tx.exec_driver_sql(f"UPDATE {table} SET {values}")
        return await rows(tx, table)


async def rows(view: Connection, table: str) -> Sequence[Any]:
    return (await view.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id")).all()


async def refused(database: Database, table: str, values: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        await update(database, table, values)


async def append(database: Database, change: Change) -> None:
    async with database.transaction() as tx:
        await changes.append(tx, change)


async def test_a_members_id_may_become_a_pseudonym(database: Database) -> None:
    await one(database)
    async with database.reading() as view:
        (before,) = await rows(view, "ledger")
    (after,) = await update(database, "ledger", TO_PSEUDONYM)

    assert after._asdict() == before._asdict() | {"user_id": -5}


def test_every_column_is_tried() -> None:
    assert {*OTHERS, "user_id"} == {column.name for column in ledger.c}


@pytest.mark.parametrize("column", OTHERS)
async def test_no_other_column_of_the_ledger_changes(database: Database, column: str) -> None:
    await one(database)

    await refused(database, "ledger", f"{column} = {OTHERS[column]}")
    await refused(database, "ledger", f"{TO_PSEUDONYM}, {column} = {OTHERS[column]}")
    await refused(database, "ledger", f"user_id = user_id, {column} = {OTHERS[column]}")


@pytest.mark.parametrize("table", ["ledger", "changes"])
@pytest.mark.parametrize("other", [0, 2])
async def test_an_id_becomes_nobody_elses(database: Database, table: str, other: int) -> None:
    await one(database)
    await append(database, CHANGE)

    await refused(database, table, f"user_id = {other}")


@pytest.mark.parametrize("table", ["ledger", "changes"])
@pytest.mark.parametrize("other", [1, 0, -6])
async def test_a_pseudonym_stays(database: Database, table: str, other: int) -> None:
    await one(database)
    await append(database, CHANGE)
    await update(database, table, TO_PSEUDONYM)

    await refused(database, table, f"user_id = {other}")


async def test_a_loss_belongs_to_nobody(database: Database) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        await tx.execute(
            insert(ledger),
            {
                "job_id": job.id,
                "user_id": 0,
                "server_id": 10,
                "kind": "loss",
                "amount": -1,
                "counted_at": NOW,
                "details": {},
                "created_at": NOW,
            },
        )

    await refused(database, "ledger", TO_PSEUDONYM)  # of the job's hold and of this


async def test_a_mention_of_a_role_stays(database: Database) -> None:
    await append(database, replace(CHANGE, subject="role <@&1>: allowance"))

    await refused(database, "changes", "subject = 'allowance of a deleted member'")


@pytest.mark.parametrize("with_id", [True, False])
@pytest.mark.parametrize("values", [*WITHOUT_MENTION, ", ".join(WITHOUT_MENTION)])
async def test_a_mention_may_leave_a_change(database: Database, values: str, with_id: bool) -> None:
    await append(database, CHANGE)
    (after,) = await update(database, "changes", f"{TO_PSEUDONYM}, {values}" if with_id else values)

    assert after.user_id == (-5 if with_id else 1)
    assert "deleted member" in f"{after.subject} {after.before} {after.after}"


@pytest.mark.parametrize(
    "values",
    [
        "subject = 'nothing'",
        "before = ''",
        "after = 'by <@3>'",
        "id = id + 1",
        "server_id = 11",
        "created_at = '2020-01-01 00:00:00.000000'",
    ],
)
async def test_nothing_else_of_a_change_changes(database: Database, values: str) -> None:
    await append(database, CHANGE)

    await refused(database, "changes", values)
    await refused(database, "changes", f"{TO_PSEUDONYM}, {values}")


async def test_a_text_without_a_mention_stays(database: Database) -> None:
    await append(database, Change(10, 1, NOW, "time zone", "UTC", "Asia/Tokyo"))

    for name in ("subject", "before", "after"):
        await refused(database, "changes", f"{name} = 'deleted member 0005'")


@pytest.mark.parametrize("table", ["ledger", "changes"])
async def test_no_row_is_deleted(database: Database, table: str) -> None:
    await one(database)
    await append(database, CHANGE)
    await update(database, table, TO_PSEUDONYM)

    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as tx:
            await tx.exec_driver_sql(f"DELETE FROM {table}")
