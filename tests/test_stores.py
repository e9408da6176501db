"""Both stores of pictures: files, and a bucket."""

import asyncio
import struct
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from bot.backoff import utc_now
from bot.errors import ProviderError, Reason
from bot.jobs import Picture
from bot.pictures import FileStore, ReducedCopies, Retention, RetentionPolicy
from bot.pictures.decoder import Decoder
from bot.pictures.store import UNFINISHED, name_of
from bot.store.database import Database
from cogs.delivery.uploads import prepare
from tests.support.files import picture
from tests.support.rows import one
from tests.support.stores import Shelf

DAY = timedelta(days=1)


async def read(shelf: Shelf, made: Picture) -> bytes:
    """Return the bytes of the file that the store lends."""
    (file,) = (each for each in await shelf.store.files(made.sha256) if each.is_original)
    async with shelf.store.local(file) as path:
        return path.read_bytes()


async def test_a_picture_is_stored_once_and_read(shelf: Shelf) -> None:
    data = picture()
    made, again = await shelf.store.store(data), await shelf.store.store(data)

    assert made == again
    assert await shelf.store.read(made) == data
    assert await read(shelf, made) == data
    (file,) = await shelf.store.files()
    assert (file.name, file.size, file.is_original) == (name_of(made), len(data), True)
    assert abs(utc_now() - file.touched) < timedelta(minutes=2)


async def test_what_is_no_picture_is_not_stored(shelf: Shelf) -> None:
    bomb = picture()[:16] + struct.pack(">II", 20_000, 20_000) + picture()[24:]
    for data in (b"<html>no</html>", bomb):
        with pytest.raises(ProviderError) as caught:
            await shelf.store.store(data)
        with pytest.raises(ProviderError):
            await shelf.store.stage(data)
        assert caught.value.reason is Reason.MALFORMED

    assert await shelf.store.files() == []


async def test_a_staged_picture_is_kept_or_discarded(shelf: Shelf) -> None:
    kept, discarded = [await shelf.store.stage(picture()) for _ in range(2)]
    assert await shelf.store.files() == []
    made = await shelf.store.keep(kept)
    for each in (kept, discarded):
        shelf.store.discard(each)

    assert [each.name for each in await shelf.store.files()] == [name_of(made)]
    assert list(shelf.folder.rglob(f"*{UNFINISHED}")) == []


async def test_a_missing_picture_is_not_found(shelf: Shelf) -> None:
    made = await shelf.store.store(picture())
    (file,) = await shelf.store.files()
    await shelf.store.remove([])
    shelf.age(made, DAY)
    await shelf.store.remove(await shelf.store.files())
    await shelf.store.remove([file])  # twice

    assert await shelf.store.find(name_of(made)) is None
    assert await shelf.store.files(made.sha256) == []
    with pytest.raises(FileNotFoundError):
        await shelf.store.read(made)


async def test_files_of_one_picture_are_those_of_its_hash(shelf: Shelf) -> None:
    wanted, other = await shelf.store.store(picture()), await shelf.store.store(picture())
    for name in (f"{wanted.sha256}-1000.jpg", f"{other.sha256}-1000.jpg"):
        copy = shelf.store.temporary(wanted)
        copy.write_bytes(b"copy")
        await shelf.store.add(copy, name)

    found = await shelf.store.files(wanted.sha256)
    assert {each.name for each in found} == {name_of(wanted), f"{wanted.sha256}-1000.jpg"}
    assert len(await shelf.store.files()) == 4


async def test_a_backup_has_every_original_once(shelf: Shelf, tmp_path: Path) -> None:
    data = [picture() for _ in range(20)]
    made = [await shelf.store.store(each) for each in data]
    copy = shelf.store.temporary(made[0])
    copy.write_bytes(b"copy")
    await shelf.store.add(copy, f"{made[0].sha256}-1000.jpg")
    target = tmp_path / "backup"

    assert await shelf.store.copy_to(target) == 20
    assert await shelf.another().copy_to(target) == 0
    (target / name_of(made[0])[:2] / name_of(made[0])).write_bytes(b"cut off")
    assert await shelf.store.copy_to(target) == 1
    copies = FileStore(target)  # which the bot can use as they are
    assert [await copies.read(each) for each in made] == data
    assert len(await copies.files()) == 20


async def test_reduced_copies_are_made_once_and_lent(database: Database, shelf: Shelf) -> None:
    made = await shelf.store.store(picture("PNG", (600, 400)))
    policy = RetentionPolicy(keep=DAY, keep_bytes=10**9)
    retention = Retention(database, shelf.store, policy, utc_now)
    job = await one(database)
    async with Decoder(shelf.store.attempts) as decoder, AsyncExitStack() as lent:
        reduced = ReducedCopies(shelf.store, decoder, retention)
        first = await prepare(job, [made], 20_000, reduced, lent)
        decoder.stop()  # the second is not made
        second = await prepare(job, [made], 20_000, reduced, lent)
        (upload,) = second.pictures
        assert first.shrunk
        assert first.pictures[0].size == upload.size == upload.path.stat().st_size <= 20_000
        with second.opened() as files:
            assert len(files[0].fp.read()) == upload.size
        lost = replace(made, sha256="0" * 64)
        assert (await prepare(job, [lost], 20_000, reduced, lent)).gone == 1

    assert len(await shelf.store.files()) == 2
    assert list(shelf.folder.rglob(f"*{UNFINISHED}")) == []


async def test_a_picture_that_is_stored_again_elsewhere_is_not_removed(shelf: Shelf) -> None:
    """Another process stores the bytes between the list and the removal."""
    data = picture()
    made = await shelf.store.store(data)
    shelf.age(made, DAY)
    listed = await shelf.store.files()
    await shelf.another().store(data)

    await shelf.store.remove(listed)
    assert await shelf.holds(made)


async def test_many_processes_that_store_and_remove_lose_nothing(shelf: Shelf) -> None:
    """Whatever is stored after the list, in whichever order the requests arrive, stays."""
    data = picture()
    made = await shelf.store.store(data)
    others = [shelf.another() for _ in range(3)]
    for _ in range(6):
        shelf.age(made, DAY)
        listed = await shelf.store.files()
        await asyncio.gather(
            others[0].remove(listed), others[1].store(data), others[2].remove(listed)
        )
        assert await shelf.holds(made)


async def test_a_shared_folder_has_a_lock_between_processes(tmp_path: Path) -> None:
    data = picture()
    store = FileStore(tmp_path, shared=True)
    made = await store.store(data)
    with FileLock(tmp_path / ".lock"):
        waiting = [
            asyncio.create_task(store.store(data)),
            asyncio.create_task(store.remove(await store.files())),
        ]
        done, _ = await asyncio.wait(waiting, timeout=0.2)
        assert not done
        assert await store.read(made) == data
    await asyncio.gather(*waiting)


@pytest.mark.long
async def test_files_need_no_library_of_buckets(tmp_path: Path) -> None:
    program = "import sys, bot.__main__, bot.app; print('obstore' in sys.modules)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out == b"False\n"


async def test_a_start_removes_what_an_earlier_run_left(shelf: Shelf) -> None:
    left = shelf.store.temporary(await shelf.store.store(picture()))
    await shelf.another().prepare()
    assert left.exists()  # another process may use it

    await (FileStore(shelf.folder / "pictures") if shelf.bucket is None else shelf.store).prepare()
    assert left.exists() is (shelf.bucket is not None)
