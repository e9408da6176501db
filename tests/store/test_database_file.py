"""The lock of a database file, and copies of the file: what is in them and what is not."""

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from bot.errors import StartupError
from bot.jobs import Attachment
from bot.store.database import REVISION
from bot.store.database_file import InstanceLock, back_up, needs_migration
from bot.store.sqlite import SQLiteDatabase
from tests.support.rows import new_job, one

TOKEN, SIGNATURE = "interaction-token", "ex=6a&is=5b&hm=7c"  # the token of new_job
URL = "https://cdn.example/attachments/1/2/cat.png"


@pytest.fixture
async def source(empty_file: Path) -> Path:
    """A file with a job that has an input and one that has none."""
    async with SQLiteDatabase(empty_file) as database:
        cat = Attachment("cat.png", f"{URL}?{SIGNATURE}", 9, 1, 1)
        await one(database, replace(new_job(), inputs=(cat, replace(cat, name="b"))))
        await one(database)
    return empty_file


def rows_of(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as file:
        return file.execute(query).fetchall()


def execute(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as file:
        for each in statements:
            file.execute(each)
        file.commit()
    return path


# The lock


def test_the_lock_makes_the_folders_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "easel.db"
    with InstanceLock(path):
        assert path.parent.is_dir()


def test_a_lock_that_another_has_is_refused_without_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "easel.db"

    def wait(_: float) -> NoReturn:
        raise AssertionError("the lock waits")

    monkeypatch.setattr(time, "sleep", wait)
    with InstanceLock(path), pytest.raises(StartupError, match="in use"), InstanceLock(path):
        pass


@pytest.mark.parametrize("content", [None, "no number"])
def test_the_lock_needs_no_readable_name_of_its_holder(tmp_path: Path, content: str | None) -> None:
    path, holder = tmp_path / "easel.db", tmp_path / "easel.db.pid"
    with InstanceLock(path):
        holder.unlink()
        if content is not None:
            holder.write_text(content)
        with pytest.raises(StartupError, match=r"another Easel\. Stop"), InstanceLock(path):
            pass
    assert not holder.exists()


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    with pytest.raises(ZeroDivisionError), InstanceLock(path):
        raise ZeroDivisionError
    with InstanceLock(path):
        pass


# What a start has to migrate


@pytest.mark.parametrize(
    ("found", "is_needed"), [(None, True), ("0001", True), (REVISION, False), ("9999", False)]
)
def test_a_file_of_an_earlier_revision_or_none_is_migrated(
    tmp_path: Path, found: str | None, is_needed: bool
) -> None:
    path = execute(tmp_path / "easel.db", "CREATE TABLE alembic_version (version_num TEXT)")
    if found:
        execute(path, f"INSERT INTO alembic_version VALUES ('{found}')")  # noqa: S608

    assert needs_migration(path) is is_needed


def test_a_file_with_other_tables_alone_is_migrated(tmp_path: Path) -> None:
    path = execute(tmp_path / "easel.db", "CREATE TABLE letters (text TEXT)")

    assert needs_migration(path) is True


async def test_a_start_fills_a_file_with_an_empty_table_of_revisions(tmp_path: Path) -> None:
    """As after a first start that was cut off."""
    path = execute(
        tmp_path / "easel.db",
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
    )
    async with SQLiteDatabase(path):
        pass

    assert rows_of(path, "SELECT version_num FROM alembic_version") == [(REVISION,)]


# Copies


async def test_a_copy_holds_nothing_that_opens_something(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"

    size = back_up(source, target)

    data = target.read_bytes()
    assert size == len(data)
    for secret in (TOKEN, SIGNATURE):
        assert secret.encode() in source.read_bytes()
        assert secret.encode() not in data
    assert rows_of(target, "SELECT count(*) FROM jobs WHERE interaction_token IS NULL") == [(2,)]
    urls = "SELECT e.value ->> 'name', e.value ->> 'url' FROM jobs, json_each(inputs) e ORDER BY 1"
    assert rows_of(target, urls) == [("b", URL), ("cat.png", URL)]
    assert rows_of(target, "SELECT count(*) FROM jobs WHERE inputs = '[]'") == [(1,)]


async def test_a_copy_has_no_pages_of_rows_that_were_deleted(source: Path, tmp_path: Path) -> None:
    """SQLite leaves their bytes in the file, unless it was built otherwise."""
    text = "deleted" * 2000
    execute(
        source,
        "PRAGMA secure_delete = OFF",
        f"INSERT INTO notes VALUES ('name', '{text}')",  # noqa: S608
        "DELETE FROM notes",
    )
    rows_of(source, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"deleted" * 100 in source.read_bytes()

    back_up(source, tmp_path / "copy.db")

    assert b"deleted" * 10 not in (tmp_path / "copy.db").read_bytes()


async def test_a_copy_is_one_file_without_a_log(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()

    back_up(source, folder / "copy.db")

    assert [path.name for path in folder.iterdir()] == ["copy.db"]
    assert rows_of(source, "PRAGMA journal_mode") == [("wal",)]
    assert rows_of(folder / "copy.db", "PRAGMA journal_mode") == [("delete",)]


async def test_a_copy_is_on_the_disk_before_it_has_its_name(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loss of power could leave an empty file of that name."""
    target, synced = tmp_path / "copy.db", list[tuple[int, int]]()
    really = os.fsync

    def fsync(file: int) -> None:
        really(file)
        synced.append((os.fstat(file).st_size, target.stat().st_size))

    monkeypatch.setattr(os, "fsync", fsync)

    size = back_up(source, target)

    assert synced == [(size, 0)]


async def test_a_copy_that_fails_leaves_nothing(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    execute(source, "UPDATE jobs SET inputs = '[1]' WHERE inputs != '[]'")

    with pytest.raises(StartupError, match=r"The backup to .*copy\.db failed"):
        back_up(source, folder / "copy.db")

    assert [*folder.iterdir()] == []


async def test_a_copy_without_a_source_takes_no_name(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="there is no database at"):
        back_up(tmp_path / "none", tmp_path / "copy.db")
    with pytest.raises(StartupError, match="there is no database at"):
        back_up(tmp_path, tmp_path / "copy.db")  # a folder

    assert [*tmp_path.iterdir()] == []
