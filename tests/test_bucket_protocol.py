"""The protocol of removals in a bucket, to the second, and the objects of others."""

import asyncio
import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from bot.backoff import utc_now
from bot.errors import StartupError
from bot.pictures import PicturesUnavailable, StoreAway
from bot.pictures import bucket as module
from bot.pictures.bucket import MARK_KEEP, MARK_LIFE, SPARE_BYTES, YOUNG, BucketStore
from bot.pictures.erasures import removal_note
from bot.pictures.files import OLD_SECONDS, FileStore
from bot.pictures.store import UNFINISHED, StoredFile, name_of
from tests.support.bucket import Bucket, Fault, key_of
from tests.support.files import picture

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
PICTURE = "/[0-9a-f]{2}/[0-9a-f]{64}"
THEN = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> BucketStore:
    return bucket.store(tmp_path)


def set_time(bucket: Bucket, beginning: str, at: datetime) -> None:
    """Let the objects with this beginning of their keys be written at a time."""
    for key, held in bucket.keys.items():
        if key.startswith(beginning):
            held.last_modified = at.replace(tzinfo=held.last_modified.tzinfo)


def put(bucket: Bucket, key: str, data: bytes = b"") -> None:
    """Write an object as another program does."""
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(bucket.name, f"the/prefix/{key}", data)


@pytest.mark.parametrize(
    ("age", "waits", "stays"),
    [
        (MARK_LIFE, True, True),
        (MARK_LIFE + SECOND, False, True),
        (MARK_KEEP, False, True),
        (MARK_KEEP + SECOND, False, False),
    ],
)
async def test_a_store_waits_for_removals_of_the_last_minute(
    bucket: Bucket,
    store: BucketStore,
    age: timedelta,
    waits: bool,
    stays: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time is that of the object, and no time passes meanwhile."""
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1.0))
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    put(bucket, "removing/mark")
    looks: list[str] = []

    def look(method: str, path: str) -> None:
        if "removing" in path and method == "GET":
            looks.append(path)
        for digit in "0123456789abcdef":
            set_time(bucket, digit, THEN)
        set_time(bucket, "removing/", THEN - age - SECOND * (len(looks) > 1))

    bucket.server.before = look
    await store.store(picture())

    assert len(looks) == 1 + waits
    assert slept == [0.25] * waits
    assert ("removing/mark" in bucket.keys) is stays


@pytest.mark.parametrize(("age", "stays"), [(YOUNG, True), (YOUNG + SECOND, False)])
async def test_a_removal_spares_what_is_half_a_minute_old(
    bucket: Bucket, store: BucketStore, age: timedelta, stays: bool
) -> None:
    made = await store.store(picture())
    set_time(bucket, made.sha256[:2], THEN - age)
    listed = await store.files()
    bucket.server.before = lambda *_: set_time(bucket, "removing/", THEN)
    await store.remove(listed)
    bucket.server.before = None

    assert list(bucket.keys) == ([key_of(made)] if stays else [])


@pytest.mark.parametrize(("later", "stays"), [(timedelta(0), False), (SECOND, True)])
async def test_a_removal_spares_what_was_written_since_the_list(
    bucket: Bucket, store: BucketStore, later: timedelta, stays: bool
) -> None:
    made, then = await store.store(picture()), utc_now().replace(microsecond=0) - DAY
    set_time(bucket, made.sha256[:2], then)
    listed = await store.files()
    assert [each.touched for each in listed] == [then + YOUNG]
    set_time(bucket, made.sha256[:2], then + later)
    await store.remove(listed)

    assert (await store.find(name_of(made)) is not None) is stays


async def test_pictures_are_removed_in_batches(
    bucket: Bucket, store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    made = [await store.store(picture()) for _ in range(5)]
    for each in made:
        bucket.age(each, DAY)
    listed = await store.files()
    bucket.server.requests.clear()
    await store.remove(listed)

    assert bucket.keys == {}
    marks = {path for method, path in bucket.server.requests if method == "PUT"}
    assert len(marks) == 3
    bucket.server.requests.clear()
    await store.remove(listed)  # they are gone, and nothing but the marks is deleted
    assert sum(method == "POST" for method, _ in bucket.server.requests) == 3
    await store.remove([])
    assert sum(method == "PUT" for method, _ in bucket.server.requests) == 3


async def test_a_removal_that_takes_too_long_leaves_its_mark(
    bucket: Bucket, store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await store.store(picture())
    bucket.age(made, DAY)
    listed = await store.files()
    monkeypatch.setattr(module, "REMOVAL_SECONDS", 0.0)
    with pytest.raises(PicturesUnavailable) as caught:
        await store.remove(listed)

    assert caught.value.detail == "does not answer"
    assert await store.find(name_of(made)) is not None


async def test_a_picture_that_is_removed_each_time_is_given_up(
    bucket: Bucket, store: BucketStore
) -> None:
    with (
        bucket.server.failing("HEAD", PICTURE, "404 Not Found", "NoSuchKey"),
        pytest.raises(PicturesUnavailable) as caught,
    ):
        await store.store(picture())
    puts = [path for method, path in bucket.server.requests if method == "PUT" and "." in path]

    assert caught.value.detail == "answers with an error (removed while stored)"
    assert len(puts) == 5  # one for a new object, two for one that exists


async def test_conditions_are_tried_once(bucket: Bucket, store: BucketStore) -> None:
    fault = Fault("PUT", "", "501 Not Implemented", "NotImplemented", "HTTP_IF_NONE_MATCH")
    bucket.server.faults.append(fault)
    await store.store(picture())
    bucket.server.requests.clear()
    await store.store(picture())

    assert [method for method, _ in bucket.server.requests].count("PUT") == 1
    with bucket.server.failing("PUT"), pytest.raises(PicturesUnavailable):
        await store.store(picture())


async def test_objects_of_others_are_no_pictures(bucket: Bucket, store: BucketStore) -> None:
    made = await store.store(picture())
    name = name_of(made)
    others = [
        *("notes.txt", f"{made.sha256[:2]}/notes.txt", f"deep/{key_of(made)}", name),
        *(f"zz/{name}", f"{made.sha256[:2]}/{made.sha256}", f"{made.sha256[:2]}/{name}.part/x"),
    ]
    for key in others:
        put(bucket, key)

    assert [each.name for each in await store.files()] == [name]
    assert [each.name for each in await store.files(made.sha256)] == [name]
    assert await store.files("0" * 64) == []
    assert await store.find(f"{made.sha256}-1000.jpg") is None


async def test_a_file_is_found_by_the_list_if_no_answer_tells(
    bucket: Bucket, store: BucketStore
) -> None:
    """The answer to HEAD may be wrong; copies of the same picture are other files."""
    made = await store.store(picture())
    copy = store.temporary(made)
    copy.write_bytes(b"copy")
    await store.add(copy, f"{made.sha256}-1000.jpg")
    with bucket.server.failing("HEAD", PICTURE, "404 Not Found", "NoSuchKey"):
        found = [await store.find(name) for name in (name_of(made), f"{made.sha256}-1000.jpg")]

    assert [each.size for each in found if each is not None] == [made.size, 4]


@pytest.mark.parametrize(("missing", "is_lent"), [(0, True), (1, False)])
async def test_64_mib_of_the_disk_are_spared(
    store: BucketStore, missing: int, is_lent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await store.store(picture())
    free = made.size + SPARE_BYTES - missing
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    file = StoredFile(name_of(made), made.size, utc_now())
    if is_lent:
        async with store.local(file) as path:
            assert path.stat().st_size == made.size
        assert not path.exists()
        async with store.local(file) as path:
            path.unlink()  # somebody has tidied up
    else:
        with pytest.raises(PicturesUnavailable) as caught:
            async with store.local(file):
                pytest.fail("the file was lent")
        assert caught.value.detail == f"answers with an error (no space in {store.disk})"
    assert not list(store.disk.glob("*")) or is_lent


@pytest.mark.parametrize("kind", ["bucket", "files"])
async def test_temporary_files_of_others_are_left_for_an_hour(
    bucket: Bucket, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = FileStore(tmp_path / "files", shared=True)
    store = bucket.store(tmp_path) if kind == "bucket" else shared
    (folder := store.disk).mkdir()
    kept, old, other = (folder / name for name in (f"a{UNFINISHED}", f"b{UNFINISHED}", "c.png"))
    for path, age in ((kept, OLD_SECONDS), (old, OLD_SECONDS + 1), (other, DAY.total_seconds())):
        path.touch()
        os.utime(path, (10**9 - age, 10**9 - age))
    monkeypatch.setattr(time, "time", lambda: 10.0**9)
    await store.prepare()

    assert sorted(folder.iterdir()) == [kept, other]


async def test_notes_of_deletions_are_kept_in_the_bucket(
    bucket: Bucket, store: BucketStore, tmp_path: Path
) -> None:
    made = await store.store(picture())
    gone = replace(made, sha256="0" * 64)
    name, content = removal_note([made.sha256, gone.sha256])
    await store.note_erasure("empty")
    for _ in range(2):
        await store.note_erasure(name, content)
    bucket.server.requests.clear()
    assert await store.erasures() == {"empty": b"", name: content}
    assert not any("empty" in path for _, path in bucket.server.requests)  # nothing to read
    assert name.startswith("pictures-")

    target = tmp_path / "backup"
    copy = target / gone.sha256[:2] / name_of(gone)
    copy.parent.mkdir(parents=True)
    copy.touch()
    assert await store.copy_to(target) == 1
    assert not copy.exists()
    assert await FileStore(target).read(made) == await store.read(made)  # it is stored again
    assert await FileStore(target).erasures() == {"empty": b"", name: content}
    assert not list(target.rglob(f"*{UNFINISHED}"))


async def test_a_bucket_that_keeps_what_is_deleted_is_refused(
    bucket: Bucket, store: BucketStore, caplog: pytest.LogCaptureFixture
) -> None:
    def restore(method: str, path: str) -> None:
        if method == "HEAD" and "/probe/" in path:
            put(bucket, path.partition("/the/prefix/")[2], b"Easel")

    bucket.server.before = restore
    with pytest.raises(StartupError, match="allows no deletes"):
        await store.probe()
    bucket.server.before = None
    assert caplog.text == ""
    with bucket.server.failing(), pytest.raises(PicturesUnavailable):
        await store.files()
    assert "stored pictures cannot be used" in caplog.text  # from now on


async def test_a_probe_without_an_answer_may_succeed_later(
    store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(module, "PROBE_SECONDS", 0.0)
        with pytest.raises(StoreAway, match="does not answer"):
            await store.probe()
    await store.probe()


async def test_a_removal_without_its_own_mark_removes_nothing(
    bucket: Bucket, store: BucketStore
) -> None:
    made = await store.store(picture())
    bucket.age(made, DAY)
    listed = await store.files()
    with bucket.server.failing("HEAD", "/removing/", "404 Not Found", "NoSuchKey"):
        await store.remove(listed)

    assert list(bucket.keys) == [key_of(made)]


async def test_a_picture_that_goes_during_a_backup_is_left_out(
    bucket: Bucket, store: BucketStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = await store.store(picture())

    def remove(method: str, path: str) -> None:
        if method == "GET" and made.sha256 in path and bucket.keys:
            key = f"the/prefix/{key_of(made)}"
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].delete_object(bucket.name, key)

    bucket.server.before = remove
    assert await store.copy_to(tmp_path / "backup") == 0
    assert await FileStore(tmp_path / "backup").files() == []
    with bucket.server.failing(), pytest.raises(PicturesUnavailable):
        await store.copy_to(tmp_path / "backup")
    assert caplog.text == ""  # the command reports it


async def test_a_list_is_read_to_its_end_and_that_of_a_picture_from_its_hash(
    bucket: Bucket, store: BucketStore
) -> None:
    hashes = [f"aa{number:062x}" for number in range(60)]
    for each in hashes:
        put(bucket, f"aa/{each}.png", b"x")
    assert [each.sha256 for each in await store.files()] == hashes
    bucket.server.requests.clear()
    assert [each.sha256 for each in await store.files(hashes[55])] == [hashes[55]]
    ((_, path),) = bucket.server.requests
    assert "start-after" in path


async def test_a_large_picture_is_one_request(bucket: Bucket, store: BucketStore) -> None:
    data = picture().ljust(11 * 1024 * 1024, b"\0")
    for puts in (1, 2):  # the second time, the object exists: with a condition, and without one
        bucket.server.requests.clear()
        made = await store.store(data)
        written = [method for method, _ in bucket.server.requests if method in ("PUT", "POST")]
        assert written == ["PUT"] * puts

    assert await store.read(made) == data
