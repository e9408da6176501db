"""Files of pictures: what a crash or an error leaves, backups, notes of deletions, and copies."""

import asyncio
import io
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bot.backoff import utc_now
from bot.errors import ProviderError, Reason, StartupError
from bot.jobs import Picture
from bot.pictures import FileStore, NotDecoded, pieces_of, removal_note, removed_in
from bot.pictures.erasures import note_in, notes_in
from bot.pictures.reduced import ReducedCopies
from bot.pictures.store import UNFINISHED, StoredFile, judge, name_of
from bot.services import Services
from bot.store import pictures
from bot.store.database import Database
from bot.store.pictures import Role
from tests.support.decoders import decoders
from tests.support.files import picture, png_header
from tests.support.marks import GENERATED, MARK
from tests.support.rows import one
from tests.support.services import services_on

HASHES = [digit * 64 for digit in "0123"]


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "pictures")


def files_in(store: FileStore) -> list[str]:
    return sorted(path.name for path in store.disk.rglob("*") if path.is_file())


def test_a_picture_has_40_million_pixels_at_most() -> None:
    assert (judge(png_header(8000, 5000)).width, judge(png_header(5000, 8000)).height) == (
        8000,
    ) * 2
    with pytest.raises(ProviderError, match="8000x5001 pixels"):
        judge(png_header(8000, 5001))


async def test_a_copy_is_kept_in_a_folder_of_its_own(store: FileStore, tmp_path: Path) -> None:
    (source := tmp_path / "source").write_bytes(data := picture())
    kept = await store.keep(store.write_copy(source, pieces_of(source)))

    assert kept == judge(data)
    assert files_in(store) == [name_of(kept)]
    assert await store.read(kept) == data


async def test_a_stored_picture_that_was_cut_off_is_written_again(store: FileStore) -> None:
    data = picture()
    made = await store.store(data)
    store.path(made).write_bytes(data[:-1])

    assert await store.store(data) == made
    assert await store.read(made) == data


async def test_the_time_of_a_picture_is_that_of_the_last_store(store: FileStore) -> None:
    data = picture()
    staged = await store.stage(data)
    os.utime(staged.path, (1000, 1000))
    made = await store.keep(staged)
    (first,) = await store.files()
    os.utime(store.path(made), (1000, 1000))
    await store.store(data)
    (second,) = await store.files()

    for each in (first, second):
        assert abs((utc_now() - each.touched).total_seconds()) < 60


async def test_a_staged_picture_survives_a_power_failure(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is on the disk, with all of its bytes, before the name tells so."""
    synced: list[tuple[int, int]] = []

    def sync(handle: int) -> None:
        found = os.fstat(handle)
        synced.append((found.st_ino, found.st_size if found.st_nlink == 1 else 0))

    monkeypatch.setattr(os, "fsync", sync)
    data, other = picture(size=(8, 8)), picture(size=(8, 8))  # which fit a buffer
    (source := tmp_path / "source").write_bytes(other)

    def copied() -> Iterator[bytes]:
        return pieces_of(source)

    for work in (store.stage, lambda _: asyncio.to_thread(store.write_copy, source, copied())):
        staged = await work(data)
        assert synced == [(staged.path.stat().st_ino, staged.picture.size)]
        await store.keep(staged)
        folder = store.path(staged.picture).parent
        assert [inode for inode, _ in synced[1:]] == [folder.stat().st_ino]
        synced.clear()
    assert await asyncio.to_thread(store.write_staged, data)
    assert synced == []  # of a file that another store takes, a loss is harmless
    note_in(store.disk, {"a": b"note"})
    folders = [store.disk / "erased" / "a", store.disk / "erased", store.disk]
    assert [inode for inode, _ in synced] == [each.stat().st_ino for each in folders]
    assert synced[0][1] == 4


@pytest.mark.parametrize("work", ["copy", "stage", "empty", "no picture"])
async def test_a_file_that_cannot_be_written_leaves_none(
    store: FileStore, tmp_path: Path, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes({"empty": b"", "no picture": b"text"}.get(work, picture()))

    def pieces() -> Iterator[bytes]:
        yield b"a part"
        raise ZeroDivisionError

    def fail(_: int) -> None:
        raise ZeroDivisionError

    if work == "stage":
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(ZeroDivisionError):
            await store.stage(source.read_bytes())
    else:
        with pytest.raises(ZeroDivisionError if work == "copy" else ProviderError):
            store.write_copy(source, pieces())
    assert files_in(store) == []


async def test_a_temporary_file_goes_at_the_end_of_its_block(store: FileStore) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.arriving() as path:
            assert path.stat().st_size == 0
            assert await store.files() == []
            raise ZeroDivisionError
    assert files_in(store) == []


async def test_a_start_removes_all_temporary_files_of_its_own_folder(store: FileStore) -> None:
    made = await store.store(picture())
    staged = await store.stage(picture())
    loose = store.disk / f"loose{UNFINISHED}"
    loose.touch()
    assert [each.name for each in await store.files()] == [name_of(made)]
    assert [each.name for each in await store.files(staged.picture.sha256)] == []
    await store.prepare()

    assert files_in(store) == [name_of(made)]


async def test_a_file_that_was_listed_is_removed_unless_it_is_newer(store: FileStore) -> None:
    made = await store.store(picture())
    (listed,) = await store.files()
    os.utime(store.path(made), (listed.touched.timestamp() + 1,) * 2)
    await store.remove([listed])
    assert files_in(store) == [name_of(made)]
    await store.remove([StoredFile("00/none.png", 1, utc_now()), *await store.files()])
    assert files_in(store) == []
    assert await store.find(name_of(made)) is None


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FileStore(tmp_path / "file" / "pictures")
    with pytest.raises(StartupError) as caught:
        await store.probe()
    assert str(caught.value) == (
        f"PICTURES_URL: {store.disk} cannot be written: Not a directory. "
        "Name a folder that Easel may write."
    )
    fine = FileStore(tmp_path / "new" / "pictures")
    await fine.probe()
    assert fine.disk.is_dir()
    assert files_in(fine) == []


async def test_a_backup_has_the_notes_and_none_of_the_removed(
    store: FileStore, tmp_path: Path
) -> None:
    kept, gone = await store.store(picture()), await store.store(picture())
    target, copies = tmp_path / "backup", FileStore(tmp_path / "backup")
    assert await store.copy_to(target) == 2
    store.path(gone).unlink()
    name, content = removal_note([kept.sha256, gone.sha256])
    await store.note_erasure(name, content)
    await store.note_erasure("somebody")

    assert await store.copy_to(target) == 0
    assert [each.name for each in await copies.files()] == [name_of(kept)]
    assert await copies.erasures() == await store.erasures() == {name: content, "somebody": b""}


async def test_a_picture_that_goes_during_a_backup_is_left_out(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = [await store.store(picture()) for _ in range(2)]
    copy = shutil.copyfile

    def copy_unless_gone(source: Path, target: Path) -> None:
        if gone.sha256 in source.name:
            source.unlink()
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", copy_unless_gone)
    assert await store.copy_to(tmp_path / "backup") == 1
    assert files_in(FileStore(tmp_path / "backup")) == [name_of(kept)]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_file_stays_open(store: FileStore) -> None:
    before = open_files()
    for _ in range(3):
        await store.store(picture())
        note_in(store.disk, {"a": b""})
        store.discard(await store.stage(picture()))
    assert open_files() <= before


def test_a_note_lists_what_was_removed(tmp_path: Path) -> None:
    name, content = removal_note(HASHES)
    assert removal_note(reversed(HASHES)) == (name, content)
    assert removal_note(HASHES[1:])[0] != name
    assert len(name) == len("pictures-") + 32

    other = "\n".join(each.replace("0", "f") for each in HASHES).encode()
    assert removed_in({name: content, "person": other, "pictures-x": b"no hash"}) == set(HASHES)
    note_in(tmp_path / "nothing", {})
    assert not (tmp_path / "nothing").exists()
    note_in(tmp_path, {name: content})
    (tmp_path / "erased" / "folder").mkdir()
    assert notes_in(tmp_path) == {name: content}


@pytest.fixture
async def services(database: Database, store: FileStore) -> AsyncIterator[Services]:
    opened = services_on(database, store.disk, utc_now, store=store)
    async with opened.decoder:
        yield opened


async def test_the_original_is_lent_as_long_as_it_fits(services: Services) -> None:
    data = picture("PNG", (300, 200))
    made = await services.pictures.store(data)
    async with services.reduced.fit(made, made.size, member=1) as lent:
        assert (lent.path.read_bytes(), lent.kind, lent.size) == (data, "png", made.size)
    assert decoders() == []
    async with services.reduced.fit(made, made.size - 1, member=1) as lent:
        assert lent.kind == "jpg"
        assert lent.path.name == f"{made.sha256}-{made.size - 1}.jpg"
        assert lent.size == lent.path.stat().st_size < made.size


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
async def test_a_copy_is_made_once_marked_and_known(services: Services, mode: str) -> None:
    made = await services.pictures.store(picture("PNG", (300, 200), mode))
    job = await one(services.database)
    async with services.database.transaction() as tx:
        await pictures.attach(tx, job.id, Role.OUTPUT, [made], utc_now())
    async with services.reduced.fit(made, 10_000, member=1, mark=MARK) as lent:
        data = lent.path.read_bytes()
    with Image.open(io.BytesIO(data)) as copy:
        assert GENERATED in str(copy.info["xmp"])
    async with services.database.reading() as view:
        assert [each.id for each in await pictures.jobs_of(view, judge(data).sha256, 9)] == [job.id]
    services.decoder.stop()
    async with services.reduced.fit(made, 10_000, member=1) as lent:
        assert lent.path.read_bytes() == data
        assert lent.kind == ("webp" if mode == "RGBA" else "jpg")
    with pytest.raises(NotDecoded):
        async with services.reduced.fit(made, 9_999, member=1):
            pytest.fail("a copy was lent")
    assert len(files_in(store_of(services))) == 2


def store_of(services: Services) -> FileStore:
    assert isinstance(services.pictures, FileStore)
    return services.pictures


async def test_a_copy_that_cannot_be_small_enough_is_refused(services: Services) -> None:
    made = await services.pictures.store(picture("PNG", (300, 200)))
    with pytest.raises(ProviderError) as caught:
        async with services.reduced.fit(made, 10, member=1):
            pytest.fail("a copy was lent")

    assert caught.value.reason is Reason.MALFORMED
    assert "does not fit into 10 bytes" in str(caught.value.detail)
    assert files_in(store_of(services)) == [name_of(made)]
    with pytest.raises(FileNotFoundError, match=HASHES[0]):
        async with services.reduced.fit(replace(made, sha256=HASHES[0]), 10, member=1):
            pytest.fail("a copy was lent")


async def test_a_copy_is_posted_also_if_nobody_will_know_it(
    services: Services, empty_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another program writes to the database's file."""
    made: Picture = await services.pictures.store(picture("PNG", (300, 200)))
    reduced = ReducedCopies(services.pictures, services.decoder, services.retention)
    async with services.database.transaction() as tx:
        await tx.exec_driver_sql("PRAGMA busy_timeout=1")
    with closing(sqlite3.connect(empty_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with reduced.fit(made, 10_000, member=1) as lent:
            assert lent.size <= 10_000
    assert "database is locked" in caplog.text
