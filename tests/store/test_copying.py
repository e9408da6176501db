"""A SQLite file is copied to PostgreSQL: every row, the numbers, and nothing after a fault."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text

from bot.errors import StartupError
from bot.store import generations, pictures
from bot.store.audit import verify
from bot.store.backends import open_database
from bot.store.copying import TABLES, copy_rows
from bot.store.database import write_note
from bot.store.database_file import InstanceLock
from bot.store.pictures import Role
from bot.store.postgres import TIMEOUTS
from bot.store.sqlite import SQLiteDatabase
from tests.support.books import LATER, RUNNING, change, picture, write_books
from tests.support.cluster import Cluster
from tests.support.command_line import easel
from tests.support.rows import one


@pytest.fixture
async def books(empty_file: Path) -> Path:
    """A file with a job for every outcome, a NUL, and more rows than a page has."""
    await write_books(SQLiteDatabase(empty_file))
    async with SQLiteDatabase(empty_file) as database, database.transaction() as tx:
        made = [picture(number) for number in range(100, 1300)]
        await pictures.attach(tx, RUNNING, Role.INPUT, made, LATER)
    change(empty_file, "UPDATE jobs SET prompt = 'a' || char(0) || 'fox' WHERE status = 'running'")
    return empty_file


async def copied(path: Path, url: str) -> int:
    source = SQLiteDatabase(path)
    try:
        async with open_database(url) as target:
            return await copy_rows(source, target)
    finally:
        await source.close()


async def counts(url: str) -> int:
    async with open_database(url) as database, database.reading() as view:
        return sum([len((await view.execute(select(table))).all()) for table in TABLES])


async def test_every_row_is_copied_and_the_numbers_go_on(books: Path, postgres_url: str) -> None:
    rows = await copied(books, postgres_url)

    assert rows == await counts(postgres_url) > 2400
    async with open_database(postgres_url) as database:
        async with database.reading() as view:
            assert (await verify(view)).findings == ()
        job = await one(database)
        async with database.transaction() as tx:
            (made,) = await generations.add(tx, job.id, "oxen", ["new"])
            newest = (await tx.execute(text("SELECT max(id) FROM ledger"))).scalar_one()
            prompts = (await tx.execute(text("SELECT prompt FROM jobs"))).scalars().all()
    assert (made.id, newest) == (16, 54)
    assert "afox" in prompts


async def test_a_database_with_rows_is_refused(books: Path, postgres_url: str) -> None:
    async with open_database(postgres_url) as database, database.transaction() as tx:
        await write_note(tx, "name", "value")

    with pytest.raises(StartupError, match=r"has rows already, in notes\. Name an empty"):
        await copied(books, postgres_url)
    assert await counts(postgres_url) == 1


async def test_a_copy_that_differs_is_not_stored(
    books: Path, own_postgres_url: str, postgres: Cluster
) -> None:
    await postgres.execute(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.price = NEW.price + 1; RETURN NEW; END'",
        "CREATE TRIGGER spoil BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION spoil()",
        url=own_postgres_url,
    )

    with pytest.raises(StartupError, match="of jobs differs"):
        await copied(books, own_postgres_url)
    assert await counts(own_postgres_url) == 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("table", "body", "says"),
    [
        (
            "sums",
            "NEW.amount = NEW.amount + 1; RETURN NEW;",
            r"The copy of row \(.*\) of sums differs",
        ),
        (
            "jobs",
            "INSERT INTO notes VALUES (NEW.id, ''x''); RETURN NEW;",
            "The copy of notes has another number of rows",
        ),
    ],
)
async def test_a_row_that_the_target_has_added_or_changed_ends_the_copy(
    books: Path, own_postgres_url: str, postgres: Cluster, table: str, body: str, says: str
) -> None:
    await postgres.execute(
        f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body} END'",
        f"CREATE TRIGGER spoil BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()",
        url=own_postgres_url,
    )

    with pytest.raises(StartupError, match=says):
        await copied(books, own_postgres_url)
    assert await counts(own_postgres_url) == 0


async def test_the_numbers_of_an_empty_file_begin_with_one(
    empty_file: Path, postgres_url: str
) -> None:
    assert await copied(empty_file, postgres_url) == 0

    async with open_database(postgres_url) as database:
        job = await one(database)
        async with database.transaction() as tx:
            (made,) = await generations.add(tx, job.id, "oxen", ["new"])
            first = (await tx.execute(text("SELECT min(id) FROM ledger"))).scalar_one()
    assert (made.id, first) == (1, 1)


async def test_the_number_of_an_entry_that_was_deleted_is_not_used_again(
    books: Path, postgres_url: str
) -> None:
    change(books, "UPDATE sqlite_sequence SET seq = 60 WHERE name = 'ledger'")
    await copied(books, postgres_url)

    async with open_database(postgres_url) as database:
        await one(database)
        async with database.reading() as view:
            newest = (await view.execute(text("SELECT max(id) FROM ledger"))).scalar_one()
    assert newest == 61


async def test_the_time_limits_of_the_target_hold_after_the_copy(
    empty_file: Path, postgres_url: str
) -> None:
    source, shown = SQLiteDatabase(empty_file), text("SHOW idle_in_transaction_session_timeout")
    async with open_database(postgres_url) as target:
        async with target.transaction() as tx:
            before = (await tx.execute(shown)).scalar_one()
        await copy_rows(source, target)
        async with target.transaction() as tx:
            after = (await tx.execute(shown)).scalar_one()
    await source.close()

    assert after == before != "0"


async def test_a_copy_with_a_new_finding_is_not_stored(
    books: Path, own_postgres_url: str, postgres: Cluster
) -> None:
    await postgres.execute("DROP TRIGGER ledger_refuses_update ON ledger", url=own_postgres_url)

    with pytest.raises(StartupError, match="does not add up: schema: trigger"):
        await copied(books, own_postgres_url)
    assert await counts(own_postgres_url) == 0


@pytest.fixture
def slow_audit() -> Iterator[list[str]]:
    """Let SQLite read the ledger's triggers slowly, as an audit does; yield the statements."""
    found: list[str] = []

    def wait(connection: Any, _: Any, statement: str, *__: Any) -> None:  # noqa: ANN401
        if connection.dialect.name == "sqlite" and "'trigger '" in statement:
            found.append(statement)
            time.sleep(1.5)

    event.listen(Engine, "before_cursor_execute", wait)
    yield found
    event.remove(Engine, "before_cursor_execute", wait)


async def test_a_long_audit_of_the_file_ends_no_transaction(
    empty_file: Path,
    postgres_url: str,
    slow_audit: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(TIMEOUTS, "idle_in_transaction_session_timeout", "1000")

    assert await copied(empty_file, postgres_url) == 0
    assert slow_audit


@pytest.mark.long
async def test_the_command_copies_once_and_not_beside_a_bot(
    books: Path, own_postgres_url: str, tmp_path: Path
) -> None:
    with InstanceLock(books):
        beside = await easel(tmp_path, "copy", f"sqlite:///{books}", own_postgres_url)
    first = await easel(tmp_path, "copy", f"sqlite:///{books}", own_postgres_url)
    second = await easel(tmp_path, "copy", f"sqlite:///{books}", own_postgres_url)
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    missing = await easel(tmp_path, "copy", "sqlite:///none.db", own_postgres_url)
    strange = await easel(tmp_path, "copy", f"sqlite:///{books}", "postgresql://host")
    swapped = await easel(tmp_path, "copy", f"sqlite:///{books}", f"sqlite:///{books}")

    assert "rows copied and compared" in first.out
    assert "in use by another Easel" in beside.errors
    assert "has rows already" in second.errors
    assert missing.errors.startswith("easel: SQLITE: there is no file none.db")
    assert strange.errors.startswith("easel: POSTGRES: the address does not end with")
    assert "Begin with postgresql://" in swapped.errors
    assert [each.code for each in (beside, first, second, missing, swapped)] == [2, 0, 2, 2, 2]
