import asyncio
import gc
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, make_url, select
from sqlalchemy.exc import DBAPIError

from bot.database_address import database_path
from bot.errors import StartupError
from bot.store.database import REVISION, Database, read_note, write_note
from bot.store.migrations import config, upgrade
from bot.store.sqlite import SQLiteDatabase
from bot.store.tables import metadata
from bot.store.tables import notes as notes_table
from tests.support.cluster import sqlite_only


@sqlite_only
async def test_the_file_is_durable_and_keeps_its_references(database: Database) -> None:
    async with database.transaction() as tx:
        pragmas = {
            name: (await tx.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_the_log_is_written_back_beside_the_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the file alone has what was committed, once the log was written back."""
    monkeypatch.setattr("bot.store.sqlite.CHECKPOINT_SECONDS", 0.01)
    async with SQLiteDatabase(tmp_path / "easel.db") as database:
        async with database.transaction() as tx:
            await write_note(tx, "name", "value")
        async with asyncio.timeout(20):
            while notes_of_copy(tmp_path / "easel.db") != [("name", "value")]:
                await asyncio.sleep(0.01)


def notes_of_copy(path: Path) -> list[tuple[str, str]] | None:
    """Return the rows that a copy of the file without its log has; None: it is being written."""
    with closing(sqlite3.connect(shutil.copy(path, path.with_name("copy.db")))) as copy:
        try:
            (sound,) = copy.execute("PRAGMA integrity_check").fetchone()
            rows = copy.execute("SELECT name, value FROM notes").fetchall()
        except sqlite3.DatabaseError:
            return None
    return rows if sound == "ok" else None


@sqlite_only
async def test_sixty_transactions_at_once_lose_nothing(database: Database) -> None:
    async def count_up() -> None:
        async with database.transaction() as tx:
            value = int(await read_note(tx, "count") or 0)
            await asyncio.sleep(0)
            await write_note(tx, "count", str(value + 1))

    await asyncio.gather(*(count_up() for _ in range(60)))

    async with database.reading() as view:
        assert await read_note(view, "count") == "60"


async def test_no_other_program_writes_between_the_reads_and_the_writes_of_a_transaction(
    empty_file: Path,
) -> None:
    async def read(name: str) -> None:
        async with database.transaction() as tx:
            assert await read_note(tx, name) is None
            with (
                closing(sqlite3.connect(empty_file, timeout=0)) as other,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                other.execute("BEGIN IMMEDIATE")
            await write_note(tx, name, "x")

    async with SQLiteDatabase(empty_file) as database:
        await read("alone")
        await asyncio.gather(*(read(name) for name in "abc"))


async def test_a_reader_sees_nothing_that_is_not_committed(database: Database) -> None:
    async with database.transaction() as tx:
        await write_note(tx, "name", "value")
        async with database.reading() as view:
            assert await read_note(view, "name") is None


async def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(ValueError, match="on purpose"):
        async with database.transaction() as tx:
            await write_note(tx, "name", "value")
            raise ValueError("on purpose")

    async with database.reading() as view:
        assert await read_note(view, "name") is None


@pytest.mark.filterwarnings(
    # what is cancelled while it connects is closed by the garbage collector
    "ignore:unclosed database:ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
async def test_cancelled_transactions_are_whole_and_never_block_the_next(
    database: Database,
) -> None:
    async def write_two(number: int) -> None:
        async with database.transaction() as tx:
            await tx.execute(insert(notes_table).values(name=f"{number}a", value="x"))
            await tx.execute(insert(notes_table).values(name=f"{number}b", value="x"))

    for number in range(60):
        task = asyncio.create_task(write_two(number))
        for _ in range(number % 30):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await asyncio.wait_for(write_two(1000), 20)
    async with database.reading() as view:
        names = set((await view.execute(select(notes_table.c.name))).scalars())
    assert {name[:-1] + "a" for name in names} == {name for name in names if name[-1] == "a"}
    assert {name[:-1] + "b" for name in names} == {name for name in names if name[-1] == "b"}
    threads = 0
    while threads != (threads := threading.active_count()):
        await asyncio.sleep(0.3)  # those of cancelled connections end,
    gc.collect()  # and the warnings about them are this test's own


async def test_the_reader_cannot_write(database: Database) -> None:
    async with database.reading() as view:
        with pytest.raises(DBAPIError, match=r"read-?only"):
            await write_note(view, "name", "value")


async def test_the_migrations_make_just_the_tables(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.transaction() as tx:
        assert await tx.run_sync(differences) == []


def test_the_newest_migration_is_the_one_that_a_start_looks_for() -> None:
    assert ScriptDirectory.from_config(config()).get_current_head() == REVISION


async def test_a_file_made_by_the_oldest_version_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = SQLiteDatabase(path)
    async with old._writer.begin() as connection:
        await connection.run_sync(upgrade, "0001")
        await write_note(connection, "kept", "yes")
    await old.close()

    async with SQLiteDatabase(path) as database, database.reading() as view:
        assert await read_note(view, "kept") == "yes"
    with sqlite3.connect(path) as plain:
        assert plain.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]
    plain.close()


@pytest.mark.parametrize("url", ["hello", "postgresql://db/easel", "sqlite://", ""])
def test_an_address_that_is_no_file_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(StartupError, match=r"DATABASE_URL: .*sqlite:///data/easel.db"):
        database_path(url)


async def test_a_file_that_is_no_database_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is a letter and no database. " * 50)

    with pytest.raises(StartupError, match=r"DATABASE_URL: .*not a database"):
        async with SQLiteDatabase(path):
            pass


async def test_a_folder_that_cannot_be_made_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StartupError, match="DATABASE_URL: "):
        async with SQLiteDatabase(tmp_path / "file" / "easel.db"):
            pass


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite:///data/easel.db", "sqlite:////srv/easel.db", "sqlite+aiosqlite:///a b.db"),
        *("sqlite:///a%20b.db", "sqlite:///C:\\easel.db", "sqlite:///a@b:c.db", "sqlite:///ä/é.db"),
    ],
)
def test_the_path_of_an_address_is_that_of_sqlalchemy(url: str) -> None:
    assert str(database_path(url)) == make_url(url).database
