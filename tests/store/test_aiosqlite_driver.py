"""The driver executes a BEGIN together with the first statement of its transaction."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store.aiosqlite_driver import Connection


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[Connection]:
    connection = Connection(str(tmp_path / "file.db"), timeout=0)
    async with connection:
        connection.isolation_level = None
        await execute(connection, "CREATE TABLE numbers (number INTEGER)")
        yield connection


async def execute(connection: Connection, sql: str) -> list[sqlite3.Row]:
    cursor = await connection.cursor()
    return list(await (await cursor.execute(sql)).fetchall())


async def test_a_connection_is_open_from_the_begin_to_the_end(driver: Connection) -> None:
    seen = [driver.is_open]
    for end in (driver.commit, driver.rollback):
        driver.begin("BEGIN IMMEDIATE")
        seen.append(driver.is_open)
        await execute(driver, "INSERT INTO numbers VALUES (1)")
        seen.append(driver.is_open)
        await end()
        seen.append(driver.is_open)

    assert seen == [False, *(True, True, False) * 2]


@pytest.mark.parametrize("begin", [None, "BEGIN IMMEDIATE"])
async def test_many_rows_are_stored_in_one_statement(driver: Connection, begin: str | None) -> None:
    if begin:
        driver.begin(begin)
    cursor = await driver.cursor()
    await cursor.executemany("INSERT INTO numbers VALUES (?)", [(1,), (2,)])
    await driver.commit()

    assert [row[0] for row in await execute(driver, "SELECT number FROM numbers")] == [1, 2]


async def test_what_is_committed_is_there_for_others(driver: Connection, tmp_path: Path) -> None:
    driver.begin("BEGIN")
    await execute(driver, "INSERT INTO numbers VALUES (1)")
    other = Connection(str(tmp_path / "file.db"), timeout=0)
    async with other:
        before = len(await execute(other, "SELECT * FROM numbers"))
        await driver.commit()
        after = len(await execute(other, "SELECT * FROM numbers"))

    assert (before, after) == (0, 1)


async def test_a_closed_cursor_executes_nothing(driver: Connection) -> None:
    cursor = await driver.cursor()
    await cursor.execute("SELECT ?", [1])
    await cursor.close()

    with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
        await cursor.execute("SELECT 1")


async def test_an_open_connection_does_not_keep_the_process(tmp_path: Path) -> None:
    before = {*threading.enumerate()}
    async with Connection(str(tmp_path / "file.db"), timeout=0):
        made = [each for each in threading.enumerate() if each not in before]

        assert [each.daemon for each in made] == [True]


@pytest.mark.parametrize("many", [False, True])
async def test_the_first_statement_begins_the_transaction(driver: Connection, many: bool) -> None:
    driver.begin("BEGIN IMMEDIATE")
    cursor = await driver.cursor()
    if many:
        await cursor.executemany("INSERT INTO numbers VALUES (?)", [(1,), (2,)])
    else:
        await cursor.execute("INSERT INTO numbers VALUES (1)")

    assert driver.in_transaction
    await driver.rollback()
    assert await execute(driver, "SELECT * FROM numbers") == []


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_transaction_that_ends_without_a_statement_never_begins(
    driver: Connection, end: str
) -> None:
    driver.begin("BEGIN IMMEDIATE")
    await (driver.commit() if end == "commit" else driver.rollback())
    await execute(driver, "INSERT INTO numbers VALUES (1)")

    assert not driver.in_transaction
    assert len(await execute(driver, "SELECT * FROM numbers")) == 1


async def test_a_statement_that_is_cancelled_before_it_runs_is_rolled_back(
    driver: Connection,
) -> None:
    gate = threading.Event()
    await driver.create_function("wait_for_the_gate", 0, lambda: gate.wait(5))
    cursor = await driver.cursor()
    occupied = asyncio.create_task(execute(driver, "SELECT wait_for_the_gate()"))
    await asyncio.sleep(0)

    driver.begin("BEGIN IMMEDIATE")
    cancelled = asyncio.ensure_future(cursor.execute("INSERT INTO numbers VALUES (1)"))
    await asyncio.sleep(0)
    cancelled.cancel()
    rolled_back = asyncio.ensure_future(driver.rollback())
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(occupied, rolled_back)

    assert await execute(driver, "SELECT * FROM numbers") == []


async def test_a_begin_that_fails_leaves_the_statement_out(
    driver: Connection, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "file.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    driver.begin("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await execute(driver, "INSERT INTO numbers VALUES (1)")
    other.close()

    assert not driver.in_transaction
    assert await execute(driver, "SELECT * FROM numbers") == []
