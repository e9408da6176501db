"""The revision of a SQLite file: what a migration and a check say of another one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import StartupError
from bot.store.backends import inspected
from bot.store.database import REVISION, OlderDatabase, read_note
from bot.store.sqlite import SQLiteDatabase


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])


async def test_a_migration_returns_the_revision_that_it_found(
    tmp_path: Path, empty_file: Path
) -> None:
    for path, found in ((tmp_path / "new.db", None), (empty_file, REVISION)):
        database = SQLiteDatabase(path)
        try:
            assert await database.migrate() == found
            assert await database.migrate() == REVISION
        finally:
            await database.close()


async def test_a_file_of_a_newer_version_is_refused(empty_file: Path) -> None:
    set_revision(empty_file, "9999")
    database = SQLiteDatabase(empty_file)
    try:
        with pytest.raises(StartupError, match="by a newer Easel"):
            await database.migrate()
    finally:
        await database.close()
    with pytest.raises(StartupError, match="by a newer Easel"):
        async with inspected(f"sqlite:///{empty_file}"):
            pass


async def test_a_check_names_what_is_wrong_with_a_file(empty_file: Path, tmp_path: Path) -> None:
    async with inspected(f"sqlite:///{empty_file}") as checked, checked.reading() as view:
        assert await read_note(view, "name") is None
    strange, letter = tmp_path / "strange.db", tmp_path / "letter.db"
    with closing(sqlite3.connect(strange)) as connection:
        connection.execute("CREATE TABLE notes (name)")
    letter.write_text("Dear reader, this is a letter and no database. " * 50)
    set_revision(empty_file, "0008")
    for path, error, says in (
        (tmp_path / "none.db", StartupError, "there is no file .*none.db yet"),
        (tmp_path, StartupError, "there is no file"),
        (strange, StartupError, "strange.db is not a database of Easel"),
        (letter, StartupError, "letter.db: file is not a database"),
        (empty_file, OlderDatabase, "by an older Easel .revision 0008"),
    ):
        with pytest.raises(error, match=says):
            async with inspected(f"sqlite:///{path}"):
                pass
