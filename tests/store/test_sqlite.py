"""The connections of one SQLite file: opened at the start, closed at the end, and never more."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy.exc import IntegrityError, PendingRollbackError

from bot.errors import Conflict, NotNow
from bot.store import jobs, sqlite
from bot.store.database import read_note, write_note
from bot.store.sqlite import READERS, SQLiteDatabase
from tests.support.rows import new_job


@pytest.fixture
async def database(empty_file: Path) -> AsyncIterator[SQLiteDatabase]:
    async with SQLiteDatabase(empty_file) as opened:
        yield opened


async def note(database: SQLiteDatabase, name: str) -> None:
    async with database.transaction() as tx:
        await write_note(tx, name, "x")


def stored(path: Path, name: str) -> bool:
    """Read a note as another program does."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT 1 FROM notes WHERE name = ?", [name])
        return found.fetchone() is not None


# Connections


async def test_the_folders_of_a_file_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "easel.db"
    async with SQLiteDatabase(path) as opened:
        await note(opened, "name")

    assert stored(path, "name")


async def test_no_connection_is_opened_after_the_start(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    await database.connect_all()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", refuse)
        await note(database, "name")
        async with AsyncExitStack() as stack:
            for _ in range(READERS):
                view = await stack.enter_async_context(database.reading())
                assert await read_note(view, "name") == "x"


async def test_a_reader_too_many_waits_and_is_refused_in_the_end(
    empty_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with SQLiteDatabase(empty_file) as opened:
        async with AsyncExitStack() as stack:
            for _ in range(READERS):
                await stack.enter_async_context(opened.reading())
            with pytest.raises(NotNow):
                async with opened.reading():
                    pass
        async with opened.reading() as view:
            assert await read_note(view, "name") is None

    assert f"the database cannot be used: {empty_file}: too busy" in caplog.text


async def test_a_closed_database_leaves_no_thread(empty_file: Path) -> None:
    async def open_and_read() -> None:
        async with SQLiteDatabase(empty_file) as opened:
            await note(opened, "name")
            async with opened.reading() as view:
                await read_note(view, "name")
            assert threading.active_count() > before

    await asyncio.to_thread(str)  # the threads of the loop's executor stay
    before = threading.active_count()
    names = {each.name for each in threading.enumerate()}
    await open_and_read()
    async with asyncio.timeout(20):
        while {
            each.name
            for each in threading.enumerate()
            if each.name not in names and not each.name.startswith("asyncio")
        }:
            await asyncio.sleep(0.001)


async def test_a_close_waits_for_a_commit_whose_caller_is_gone(database: SQLiteDatabase) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with database.transaction() as tx:
            await write_note(tx, "name", "x")
            inside.set()

    writing = asyncio.create_task(write())
    await inside.wait()  # at its commit
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await database.close()

    assert stored(database.path, "name")


async def test_errors_show_no_values_of_rows(database: SQLiteDatabase) -> None:
    new = new_job(prompt="a purple fox")
    with pytest.raises(IntegrityError) as caught:
        async with database.transaction() as tx:
            await jobs.add(tx, new)
            await jobs.add(tx, new)

    assert "purple" not in str(caught.value)
    assert "interaction-token" not in str(caught.value)


@pytest.mark.parametrize("locked", ["writer", "reader"])
async def test_another_program_that_writes_is_waited_for_only_so_long(
    empty_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    locked: str,
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with SQLiteDatabase(empty_file) as opened:
        with closing(sqlite3.connect(empty_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            if locked == "writer":
                with pytest.raises(NotNow):
                    await note(opened, "name")
                assert f"the database cannot be used: {empty_file}: database is locked" in (
                    caplog.text
                )
            async with opened.reading() as view:
                assert await read_note(view, "name") is None
            other.execute("ROLLBACK")
        await note(opened, "name")


# The write-ahead log


async def pragma(database: SQLiteDatabase, name: str) -> Any:  # noqa: ANN401  # of any type
    async with database.transaction() as tx:
        return (await tx.exec_driver_sql(f"PRAGMA {name}")).scalar_one()


def log_of(database: SQLiteDatabase) -> Path:
    return database.path.with_name(database.path.name + "-wal")


async def traced(database: SQLiteDatabase) -> list[str]:
    """Return the list to which the statements of the writer will be added."""
    found: list[str] = []
    async with database.transaction() as tx:
        writer = (await tx.get_raw_connection()).driver_connection
        assert isinstance(writer, aiosqlite.Connection)
        await writer.set_trace_callback(found.append)
    return found


async def test_a_scrub_empties_the_log_and_leaves_the_writer_as_patient_as_before(
    database: SQLiteDatabase,
) -> None:
    await note(database, "name")
    assert log_of(database).stat().st_size > 0
    await database.scrub()

    assert log_of(database).stat().st_size == 0
    assert await pragma(database, "busy_timeout") == 1_500
    await note(database, "next")


async def test_a_scrub_is_repeated_while_readers_are_in_the_way(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "SCRUBS", 10**6)
    monkeypatch.setattr(sqlite, "SCRUB_WAIT", 0.01)
    monkeypatch.setattr(sqlite, "RESTART_WAIT", 1)
    await note(database, "name")
    executed = await traced(database)
    async with database.reading() as view:
        await read_note(view, "name")
        await note(database, "next")  # in the log behind the reader
        scrubbing = asyncio.create_task(database.scrub())
        async with asyncio.timeout(20):
            while executed.count("PRAGMA wal_checkpoint(TRUNCATE)") < 3:
                await asyncio.sleep(0.001)
        assert not scrubbing.done()
        assert log_of(database).stat().st_size > 0
    await scrubbing

    assert log_of(database).stat().st_size == 0
    assert "still has pages" not in caplog.text


async def test_a_scrub_that_never_succeeds_is_logged(
    empty_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for readers a moment, and not as long as for another program that writes."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 60.0)
    monkeypatch.setattr(sqlite, "SCRUBS", 3)
    monkeypatch.setattr(sqlite, "SCRUB_WAIT", 0.02)
    loop = asyncio.get_running_loop()
    async with SQLiteDatabase(empty_file) as opened:
        await note(opened, "name")
        async with opened.reading() as view, asyncio.timeout(30):
            await read_note(view, "name")
            await note(opened, "next")
            began = loop.time()
            await opened.scrub()
            assert loop.time() - began >= 0.06
            assert await pragma(opened, "busy_timeout") == 60_000

    assert caplog.text.count("the write-ahead log still has pages with erased rows") == 1


class Looks:
    """The connections that are opened to look at the log; the first `failing` ones fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.failing = 0
        self._connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", self._open)

    def _open(self, *given: Any, **named: Any) -> sqlite3.Connection:  # noqa: ANN401
        self.count += 1
        if self.failing:
            self.failing -= 1
            raise sqlite3.OperationalError("disk I/O error")
        opened: sqlite3.Connection = self._connect(*given, **named)
        return opened

    async def more(self, count: int) -> None:
        """Wait for so many more looks."""
        wanted = self.count + count
        async with asyncio.timeout(20):
            while self.count < wanted:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize(("spare", "begins"), [(0, False), (-1, True)])
async def test_a_log_that_has_grown_long_begins_anew(
    empty_file: Path, monkeypatch: pytest.MonkeyPatch, spare: int, begins: bool
) -> None:
    """Under a steady load it would grow without end, and slow each read."""
    monkeypatch.setattr(sqlite, "LONG_LOG", 10**9)
    monkeypatch.setattr(sqlite, "CHECKPOINT_SECONDS", 0.005)
    looks = Looks(monkeypatch)
    async with SQLiteDatabase(empty_file) as opened:
        await note(opened, "name")
        begun = await traced(opened)
        pages = -1
        with closing(sqlite3.connect(empty_file)) as other:
            while pages < 0:  # as long as a look is under way
                _, pages, _ = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        await looks.more(2)
        assert begun == []
        monkeypatch.setattr(sqlite, "LONG_LOG", pages + spare)
        await looks.more(3)
        found = {each for each in begun if "checkpoint" in each}
        await note(opened, "next")

    assert found == ({"PRAGMA wal_checkpoint(RESTART)"} if begins else set())


async def test_nobody_looks_at_the_log_before_its_time(
    database: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(monkeypatch)
    for number in range(10):
        await note(database, str(number))

    assert looks.count == 0


async def test_a_checkpoint_that_fails_is_logged_and_repeated(
    empty_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_SECONDS", 0.005)
    async with SQLiteDatabase(empty_file):
        looks = Looks(monkeypatch)
        looks.failing = 2
        await looks.more(4)

    failed = "checkpoint of the database failed, retrying: disk I/O error"
    assert caplog.text.count(failed) == 2


@pytest.mark.parametrize("by", ["a checkpoint", "a reader", "a writer"])
async def test_a_file_that_is_gone_is_not_created_again(empty_file: Path, by: str) -> None:
    """Before anybody has noticed. SQLite would delete the log of the former file, with commits."""
    aside = empty_file.with_name("aside.db")
    async with SQLiteDatabase(empty_file) as opened:
        await note(opened, "name")
        for _ in range(READERS):
            with suppress(PendingRollbackError):
                async with opened.reading() as view:
                    await view.invalidate()  # the next one connects again
        with suppress(Conflict):
            async with opened.transaction() as tx:
                await tx.invalidate()
        empty_file.rename(aside)
        with pytest.raises(sqlite3.Error if by == "a checkpoint" else NotNow):
            match by:
                case "a checkpoint":
                    await asyncio.to_thread(sqlite._checkpoint, empty_file)
                case "a reader":
                    async with opened.reading() as view:
                        await read_note(view, "name")
                case _:
                    await note(opened, "another")
        assert not empty_file.exists()

        aside.rename(empty_file)
        await note(opened, "third")
        assert stored(empty_file, "name")
        assert stored(empty_file, "third")


async def test_a_file_that_is_gone_again_is_logged_again(
    empty_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_SECONDS", 0.005)
    aside = empty_file.with_name("aside.db")
    async with SQLiteDatabase(empty_file) as opened:

        async def works() -> bool:
            try:
                async with opened.reading():
                    return True
            except NotNow:
                return False

        for number in (1, 2):
            empty_file.rename(aside)
            async with asyncio.timeout(20):
                while await works():
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)  # some more looks at the file
            assert caplog.text.count("removed or replaced") == number
            aside.rename(empty_file)
            async with asyncio.timeout(20):
                while not await works():
                    await asyncio.sleep(0.001)
