"""The first start, and each with an older file: Alembic runs in a process of its own."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.store.database import REVISION
from bot.store.database_file import InstanceLock, needs_migration
from bot.store.migrations import upgrade
from bot.store.sqlite import SQLiteDatabase
from tests.support.command_line import easel
from tests.support.easel import KEY, TOKEN
from tests.test_start import modules_after

SETTINGS = {"DISCORD_TOKEN": TOKEN, "OXEN_API_KEY": KEY, "DISCORD_API_URL": "http://127.0.0.1:9"}


@pytest.mark.long
async def test_the_tables_are_made_without_alembic_in_the_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "easel.db"
    url = f"sqlite:///{path}"
    monkeypatch.setenv("DATABASE_URL", url)
    loaded = await modules_after(f"import bot.__main__; bot.__main__._migrate_beside({url!r})")

    assert "alembic" not in loaded
    assert not needs_migration(path)
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]


@pytest.mark.long
async def test_a_first_start_is_refused_in_one_line_while_another_has_the_file(
    tmp_path: Path,
) -> None:
    with InstanceLock(tmp_path / "easel.db"):
        refused = await easel(
            tmp_path, "run", DATABASE_URL=f"sqlite:///{tmp_path}/easel.db", **SETTINGS
        )

    assert refused.code == 2
    assert "in use by another Easel (process" in refused.errors
    assert refused.errors.count("\n") == 1


async def test_an_older_file_needs_a_migration_and_one_that_is_no_database_does_not(
    tmp_path: Path, migrated: Path
) -> None:
    older, empty, letter = (tmp_path / name for name in ("old.db", "empty.db", "letter.txt"))
    database = SQLiteDatabase(older)
    async with database._writer.begin() as connection:
        await connection.run_sync(upgrade, "0008")
    await database.close()
    await asyncio.to_thread(empty.touch)
    await asyncio.to_thread(letter.write_text, "Dear reader, this is no database. " * 50)

    assert needs_migration(older)
    assert needs_migration(empty)
    assert needs_migration(tmp_path / "absent.db")
    assert not needs_migration(migrated)
    assert not needs_migration(letter)  # the start itself says what is wrong with it
