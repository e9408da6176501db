"""Transactions on SQLite that wait for each other share a commit, and nothing else."""

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from bot.errors import Conflict, NotNow
from bot.store.database import read_note, write_note
from bot.store.group_commit import LONGEST, MOST_BLOCKS, Group
from bot.store.sqlite import SQLiteDatabase

SLOW = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) "
    "SELECT max(i) FROM n"
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with SQLiteDatabase(tmp_path / "easel.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def blocks_join_also_on_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.group_commit.LONGEST", 60.0)


@contextmanager
def listening(name: str, hear: Callable[..., object]) -> Iterator[None]:
    """Call `hear` at each event of this name, of any connection, during the block."""
    event.listen(Engine, name, hear)
    try:
        yield
    finally:
        event.remove(Engine, name, hear)


@pytest.fixture
def commits(database: SQLiteDatabase) -> Iterator[list[None]]:
    """One element for each commit."""
    found: list[None] = []
    with listening("commit", lambda _: found.append(None)):
        yield found


def stored(database: SQLiteDatabase) -> set[str]:
    """Read the notes as another program does: what is committed."""
    with closing(sqlite3.connect(database.path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM notes")}


async def note(database: SQLiteDatabase, name: str) -> None:
    async with database.transaction() as tx:
        await write_note(tx, name, "x")


async def break_a_reference(database: SQLiteDatabase, inside: asyncio.Event | None = None) -> None:
    """Write what a foreign key refuses at the commit; `inside` is set before."""
    async with database.transaction() as tx:
        await tx.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        await tx.exec_driver_sql(
            "INSERT INTO job_pictures VALUES ('nowhere', 'input', 0, 'nothing', NULL)"
        )
        if inside is not None:
            inside.set()


async def test_those_that_wait_share_a_commit_and_return_after_it(
    database: SQLiteDatabase, commits: list[None]
) -> None:
    async def write(name: str) -> None:
        await note(database, name)
        assert name in await asyncio.to_thread(stored, database)

    await asyncio.gather(*(write(str(number)) for number in range(20)))

    assert len(commits) < 10


async def test_one_alone_is_committed_at_once_without_a_savepoint(
    database: SQLiteDatabase, commits: list[None]
) -> None:
    statements: list[str] = []
    with (
        listening("before_cursor_execute", lambda *given: statements.append(given[2])),
        listening("savepoint", lambda *_: statements.append("SAVEPOINT")),
    ):
        for name in ("a", "b"):
            await note(database, name)

    assert len(commits) == 2
    assert len(statements) == 2


async def test_a_transaction_has_a_greatest_number_of_blocks(
    database: SQLiteDatabase, commits: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.group_commit.MOST_BLOCKS", 4)

    await asyncio.gather(*(note(database, str(number)) for number in range(20)))

    assert len(commits) == 5


async def test_no_block_joins_a_transaction_that_has_taken_long_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.store.group_commit.LONGEST", LONGEST)
    unused = cast(Any, None)
    for began, now, blocks, takes in (
        (5.0, 5.0, 0, True),
        (5.0, 5.0, MOST_BLOCKS - 1, True),
        (5.0, 5.0, MOST_BLOCKS, False),
        (0.0, LONGEST - 0.001, 1, True),
        (0.0, LONGEST, 1, False),
        (5.0, 6.0, 1, False),
    ):
        group = Group(unused, unused, began, unused, blocks)
        assert group.takes_another(now) is takes


async def test_those_that_wait_do_not_put_a_commit_off_for_ever(
    database: SQLiteDatabase, commits: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.group_commit.LONGEST", 0.0)

    await asyncio.gather(*(note(database, str(number)) for number in range(5)))

    assert len(commits) == 5


@pytest.mark.parametrize("failing", range(4))
async def test_a_block_that_fails_takes_no_other_with_it(
    database: SQLiteDatabase, failing: int
) -> None:
    async def write(number: int) -> None:
        async with database.transaction() as tx:
            await write_note(tx, str(number), "x")
            assert await read_note(tx, str(failing)) is None or number == failing
            if number == failing:
                raise LookupError

    ended = await asyncio.gather(*(write(each) for each in range(4)), return_exceptions=True)

    assert [isinstance(each, LookupError) for each in ended] == [n == failing for n in range(4)]
    assert {str(n) for n in range(4) if n != failing} == stored(database) & set("0123")


@pytest.mark.parametrize("idle", [1, 3])
async def test_a_block_that_fails_after_others_without_a_statement_is_taken_back(
    database: SQLiteDatabase, idle: int
) -> None:
    async def nothing() -> None:
        async with database.transaction():
            pass

    async def fail() -> None:
        async with database.transaction() as tx:
            await write_note(tx, "failed", "x")
            raise LookupError

    ended = await asyncio.gather(
        *(nothing() for _ in range(idle)), fail(), note(database, "next"), return_exceptions=True
    )

    assert [each for each in ended if each is not None] == [ended[idle]]
    assert isinstance(ended[idle], LookupError)
    assert {"failed", "next"} & stored(database) == {"next"}


async def test_a_block_that_is_cancelled_in_a_statement_puts_the_others_in_conflict(
    database: SQLiteDatabase,
) -> None:
    began = asyncio.Event()

    async def slow() -> None:
        async with database.transaction() as tx:
            began.set()
            await tx.execute(SLOW)

    first = asyncio.create_task(note(database, "first"))
    await asyncio.sleep(0)
    second = asyncio.create_task(slow())
    third = asyncio.create_task(note(database, "third"))
    await began.wait()
    second.cancel()

    with pytest.raises(Conflict):
        await first
    with pytest.raises(asyncio.CancelledError):
        await second
    await third
    assert {"first", "third"} & stored(database) == {"third"}
    await database.run(lambda tx: write_note(tx, "first", "x"))
    assert "first" in stored(database)


async def test_a_block_that_cannot_be_taken_back_is_not_committed_with_the_others(
    database: SQLiteDatabase,
) -> None:
    def refuse(*given: Any) -> None:  # noqa: ANN401
        if given[2].startswith("ROLLBACK TO"):
            raise sqlite3.OperationalError("disk I/O error")

    async def fail() -> None:
        async with database.transaction() as tx:
            await write_note(tx, "failed", "x")
            raise LookupError

    with listening("before_cursor_execute", refuse):
        ended = await asyncio.gather(
            *(note(database, "first"), fail(), note(database, "next")), return_exceptions=True
        )

    assert isinstance(ended[0], Conflict)
    assert isinstance(ended[1], Exception)
    assert {"first", "failed", "next"} & stored(database) == {"next"}


@pytest.mark.parametrize("ends", ["cancelled", "out of time"])
async def test_one_that_gives_up_its_turn_leaves_no_commit_undone(
    database: SQLiteDatabase, ends: str
) -> None:
    async def give_up() -> None:
        async with database.transaction(timeout=60 if ends == "cancelled" else 0.0):
            pass

    async with asyncio.timeout(20):
        async with database.transaction() as tx:
            await write_note(tx, "first", "x")
            waiting = asyncio.create_task(give_up())
            await asyncio.sleep(0)  # it waits for its turn
            if ends == "cancelled":
                waiting.cancel()

    assert "first" in stored(database)
    with pytest.raises((asyncio.CancelledError, NotNow)):
        await waiting
    await note(database, "second")


async def test_a_full_disk_in_one_block_is_told_to_all_that_lost_by_it(
    database: SQLiteDatabase,
) -> None:
    async with database.transaction() as tx:
        pages = (await tx.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await tx.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")

    async def write(name: str, size: int) -> None:
        async with database.transaction() as tx:
            await write_note(tx, name, "x" * size)

    sizes = {"a": 1, "b": 10_000_000, "c": 1}
    ended = await asyncio.gather(
        *(write(name, size) for name, size in sizes.items()), return_exceptions=True
    )

    succeeded = {name for name, end in zip(sizes, ended, strict=True) if end is None}
    assert isinstance(ended[1], NotNow)
    assert succeeded == stored(database) & set(sizes)
    assert "c" in succeeded


async def test_a_commit_that_fails_is_told_to_every_block(database: SQLiteDatabase) -> None:
    """Foreign keys that are checked at the commit make it fail."""

    ended = await asyncio.gather(
        note(database, "a"),
        break_a_reference(database),
        note(database, "c"),
        return_exceptions=True,
    )

    assert all(isinstance(each, Exception) for each in ended)
    assert not {"a", "c"} & stored(database)
    await note(database, "a")


async def test_a_commit_that_fails_without_a_caller_is_no_error_of_asyncio(
    database: SQLiteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    inside = asyncio.Event()
    breaking = asyncio.create_task(break_a_reference(database, inside))
    await inside.wait()  # at its commit
    await asyncio.sleep(0)
    breaking.cancel()
    await asyncio.gather(breaking, return_exceptions=True)
    await note(database, "next")
    del breaking  # whose frames have the error
    gc.collect()

    assert "never retrieved" not in caplog.text


async def test_one_that_gives_up_its_turn_ends_no_other_transaction(
    database: SQLiteDatabase, commits: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one took the turn, and its commit ended the transaction."""
    monkeypatch.setattr("bot.store.group_commit.MOST_BLOCKS", 2)
    monkeypatch.setattr("bot.store.group_commit.LONGEST", 60.0)
    async with asyncio.timeout(20):
        async with database.transaction() as tx:
            await write_note(tx, "first", "x")
            waiting = asyncio.create_task(note(database, "given up"))
            await asyncio.sleep(0)  # it waits for its turn
            waiting.cancel()
            second = asyncio.create_task(note(database, "second"))
        await second
        await note(database, "third")

    assert {"first", "second", "third", "given up"} & stored(database) == {
        "first",
        "second",
        "third",
    }
    assert len(commits) == 2


async def test_work_without_a_transaction_waits_for_those_that_are_open(
    database: SQLiteDatabase,
) -> None:
    """The block ends without a commit, since the work waits for the turn of another block."""
    async with asyncio.timeout(20):
        async with database.transaction() as tx:
            await write_note(tx, "first", "x")
            alone = [asyncio.create_task(database.scrub()) for _ in range(2)]
            await asyncio.sleep(0)
        assert "first" in stored(database)
        await asyncio.gather(*alone)
        await note(database, "second")

    assert database.path.with_name(f"{database.path.name}-wal").stat().st_size > 0


async def test_a_connection_that_cannot_be_opened_blocks_no_later_transaction(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    await note(database, "before")
    with pytest.raises(IntegrityError):  # the connection is given up
        await break_a_reference(database)
    with monkeypatch.context() as failing:
        failing.setattr(sqlite3, "connect", refuse)
        with pytest.raises(NotNow):
            await note(database, "meanwhile")
    async with asyncio.timeout(20):
        await note(database, "after")

    assert {"before", "meanwhile", "after"} & stored(database) == {"before", "after"}


async def test_a_transaction_that_cannot_begin_blocks_no_later_one(
    database: SQLiteDatabase,
) -> None:
    def refuse(_: object) -> None:
        raise TimeoutError

    with listening("begin", refuse), pytest.raises(NotNow):
        await note(database, "meanwhile")
    async with asyncio.timeout(20):
        await note(database, "after")

    assert {"meanwhile", "after"} & stored(database) == {"after"}
