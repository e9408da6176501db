"""`easel backup`: of a bot that runs, and brought back to life."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.__main__ import cli
from bot.errors import StartupError
from bot.jobs import Picture
from bot.pictures import FileStore
from bot.store.database_file import back_up
from tests.support.acting import press, submit
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.rows import one


def rows_in(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (count,) = database.execute("SELECT count(*) FROM jobs").fetchone()
    return int(count)


async def test_the_buttons_of_before_work_on_a_restored_backup(at: Stage, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()
        opened = await press(at, result, "Remix")
        copied = await asyncio.to_thread(
            CliRunner().invoke,
            cli,
            ["backup", str(there / "easel.db"), "--pictures", str(there / "pictures")],
            env={"DATABASE_URL": f"sqlite:///{at.path}"},
        )
    assert copied.exit_code == 0, copied.output

    at.folder = there
    async with at.easel():
        await submit(at, opened, {"The picture to draw": "a hare"})
        await at.result("a hare")
        edit = await press(at, result, "Edit")
        await submit(at, edit, {"The change to make": "add a hat"})
        await at.result("add a hat")
        await at.settled(3)


async def test_a_backup_of_a_running_bot_is_a_bot_again(at: Stage, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    async with at.easel():
        await at.imagine("a fox")
        asked = await at.imagine("a hare")
        await at.result("a hare")
        await at.settled(2)
        result = await asyncio.to_thread(
            CliRunner().invoke,
            cli,
            ["backup", str(there / "easel.db"), "--pictures", str(there / "pictures")],
            env={"DATABASE_URL": f"sqlite:///{at.path}"},
        )
    assert result.exit_code == 0, result.output
    assert "2 new pictures" in result.output
    token = asked.token.encode()
    assert token in at.path.read_bytes()
    assert token not in (there / "easel.db").read_bytes()
    assert {path.name for path in there.iterdir()} == {"easel.db", "pictures"}

    at.folder = there
    async with at.easel():
        (_, job) = await at.jobs()
        history = (await at.history()).text()
        await at.command("show", job=job.id)
        shown = await at.discord.wait_for_message(
            lambda it: it.ephemeral_to is at.ada and bool(it.pictures())
        )

    assert "a fox" in history
    assert "a fox" in shown.text()


async def test_a_second_backup_copies_only_the_new_pictures(tmp_path: Path) -> None:
    """The command, twice into one folder: with pictures that share a folder of two digits."""
    source, target = tmp_path / "data", tmp_path / "backup"
    store = FileStore(source / "pictures")
    first, second = await pictures_of_one_folder(store)
    alone, both = store.path(first).read_bytes(), store.path(second).read_bytes()
    store.path(second).unlink()

    said = [await backed_up(source, target)]
    changed = (target / store.path(first).relative_to(source / "pictures")).stat().st_mtime_ns
    await store.store(both)
    said += [await backed_up(source, target), await backed_up(source, target)]

    assert [line.rpartition(": ")[2].strip() for line in said] == [
        "1 new pictures",
        "1 new pictures",
        "0 new pictures",
    ]
    copies = FileStore(target)
    assert [await copies.read(each) for each in (first, second)] == [alone, both]
    assert copies.path(first).stat().st_mtime_ns == changed  # not copied again
    assert {file.name for file in await copies.files()} == {
        copies.path(each).name for each in (first, second)
    }


async def test_a_copy_that_was_cut_off_is_copied_again(tmp_path: Path) -> None:
    source, target = tmp_path / "data", tmp_path / "backup"
    store, copies = FileStore(source / "pictures"), FileStore(target)
    made = await store.store(picture())
    await backed_up(source, target)
    copies.path(made).write_bytes(b"half")

    assert "1 new pictures" in await backed_up(source, target)
    assert await copies.read(made) == await store.read(made)


async def pictures_of_one_folder(store: FileStore) -> tuple[Picture, Picture]:
    """Store pictures until two of them share a folder; return these two."""
    by_folder: dict[str, Picture] = {}
    for width in range(1, 1000):
        made = await store.store(picture(size=(width, 1)))
        if earlier := by_folder.get(made.sha256[:2]):
            for each in by_folder.values():
                if each is not earlier:
                    store.path(each).unlink()
            return earlier, made
        by_folder[made.sha256[:2]] = made
    raise AssertionError("no two pictures share a folder")


async def backed_up(source: Path, target: Path) -> str:
    arguments = ["backup", "--pictures", str(target)]
    settings = {"DATABASE_URL": f"sqlite:///{source}/easel.db"}
    result = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=settings)
    assert result.exit_code == 0, result.output
    return result.output


async def test_a_backup_between_writes_is_whole(at: Stage, tmp_path: Path) -> None:
    async with at.database() as database:

        async def write() -> None:
            for _ in range(100):
                await one(database)

        writing = asyncio.create_task(write())
        counts = []
        for number in range(10):
            target = tmp_path / f"{number}.db"
            await asyncio.to_thread(back_up, at.path, target)
            counts.append(await asyncio.to_thread(rows_in, target))
        await writing

    assert counts == sorted(counts)
    assert counts[-1] <= 100


async def test_what_is_there_is_never_overwritten(at: Stage, tmp_path: Path) -> None:
    target = tmp_path / "mine.txt"
    target.write_text("mine")
    async with at.database():
        with pytest.raises(StartupError, match="exists already"):
            back_up(at.path, target)

    assert target.read_text() == "mine"


@pytest.mark.parametrize("content", [None, b"no database at all, but a text of some length"])
def test_without_a_database_nothing_is_left_behind(tmp_path: Path, content: bytes | None) -> None:
    source, target = tmp_path / "easel.db", tmp_path / "copy.db"
    if content is not None:
        source.write_bytes(content)

    with pytest.raises(StartupError):
        back_up(source, target)

    assert [path for path in tmp_path.iterdir() if path != source] == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = tmp_path / "easel.db"
    source.write_bytes(b"")

    with pytest.raises(StartupError, match="nowhere"):
        back_up(source, tmp_path / "nowhere" / "copy.db")
