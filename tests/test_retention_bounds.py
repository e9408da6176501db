"""Retention at its limits: ages and sums to the second and the byte, on a clock of the test."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.pictures import retention as module
from bot.pictures.retention import GRACE, MIN_FREE, UNUSED_KEEP
from bot.store import pictures
from bot.store.database import Database
from bot.store.pictures import Role
from tests.support.files import picture
from tests.support.kept import DAY, NOW, Kept

SECOND = timedelta(seconds=1)


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> Callable[..., Kept]:
    def make(**given: int) -> Kept:
        return Kept(database, tmp_path, size=given.get("size", 10**9), shared="shared" in given)

    return make


async def test_a_picture_is_kept_to_the_end_of_its_days(
    kept: Callable[..., Kept], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    at = kept()
    used, lost = at.put(20 * DAY, 3_999_999), at.put(UNUSED_KEEP)
    await at.use(used, asked=10 * DAY, charged=True, delivered=timedelta(0))

    assert await at.retention.sweep() == 0
    assert caplog.text == ""
    at.now += SECOND
    large = at.put(2 * GRACE, 2_500_000)
    assert await at.retention.sweep() == 2
    assert at.left(used, lost, large) == [False, False, True]
    assert caplog.messages == ["2 old pictures removed, 2 MB left"]


@pytest.mark.parametrize(("missing", "removed"), [(0, 0), (1, 1), (10, 1), (11, 2)])
async def test_no_more_is_removed_than_the_limit_asks_for(
    kept: Callable[..., Kept], missing: int, removed: int
) -> None:
    at = kept(size=40 - missing)
    made = [at.put(timedelta(hours=age)) for age in (5, 4, 3, 2)]

    assert await at.retention.sweep() == removed
    assert at.left(*made) == [number >= removed for number in range(4)]


@pytest.mark.parametrize(("age", "stays"), [(GRACE - SECOND, True), (GRACE, False)])
async def test_a_file_without_a_row_is_left_for_an_hour(
    kept: Callable[..., Kept], age: timedelta, stays: bool
) -> None:
    at = kept(size=0)
    made = at.put(age)

    assert await at.retention.sweep() == (not stays)
    assert at.left(made) == [stays]


@pytest.mark.parametrize("later", [False, True])
async def test_only_a_picture_that_was_stored_after_the_end_of_its_job_is_new(
    kept: Callable[..., Kept], later: bool
) -> None:
    at = kept()
    made = at.put(timedelta(minutes=30) - SECOND * later)
    await at.use(made, asked=timedelta(minutes=30), delivered=timedelta(0))
    await at.retention.remove_uncharged()
    assert at.left(made) == [later]

    at.now += timedelta(minutes=30) - SECOND
    await at.retention.remove_uncharged()
    assert at.left(made) == [later]
    at.now += 2 * SECOND
    await at.retention.remove_uncharged()
    assert at.left(made) == [False]
    assert at.retention._too_new == {}


async def test_ends_of_the_last_minute_are_looked_at_again(kept: Callable[..., Kept]) -> None:
    """A transaction that ends late has stored an earlier time."""
    at = kept()
    first, second = at.put(), at.put()
    await at.use(first, delivered=DAY - SECOND)
    await at.use(second, delivered=DAY)
    await at.retention.remove_uncharged()
    assert at.left(first, second) == [False, True]

    late, later = at.put(), at.put()
    await at.use(late, delivered=timedelta(seconds=59))
    await at.use(later, delivered=timedelta(seconds=60))
    await at.retention.remove_uncharged()
    assert at.left(late, later) == [False, True]


async def test_pictures_of_other_jobs_are_not_removed(kept: Callable[..., Kept]) -> None:
    at = kept()
    charged, unknown, asked, other = (at.put() for _ in range(4))
    await at.use(charged, charged=True)
    await at.use(asked)
    await at.retention.remove_unused([])
    assert all(at.left(charged, unknown, asked, other))
    await at.retention.remove_unused([charged.sha256, unknown.sha256, asked.sha256])

    assert at.left(charged, unknown, asked, other) == [True, False, False, True]


async def test_a_deletion_takes_all_but_what_is_held(kept: Callable[..., Kept]) -> None:
    at = kept()
    charged, held, other = (at.put(timedelta(0)) for _ in range(3))
    await at.use(charged, charged=True)
    assert await at.retention.erase([])
    async with at.retention.holding() as hold:
        hold(held)
        assert not await at.retention.erase([charged.sha256, held.sha256])
        assert at.left(charged, held, other) == [False, True, True]
        await at.use(held, charged=True)
    assert await at.retention.erase([charged.sha256, held.sha256])
    assert at.left(held, other) == [False, True]


async def test_room_is_given_to_the_last_byte(kept: Callable[..., Kept]) -> None:
    at = kept(size=100)
    made = at.put(size=60)
    async with at.retention.room(40) as fits:
        assert fits
        assert at.left(made) == [True]
        async with at.retention.room(1) as another:
            assert another  # since the other one has gone
            assert at.left(made) == [False]
    async with at.retention.room(101) as fits:
        assert not fits


async def test_what_is_being_stored_counts_until_the_end_of_its_block(
    kept: Callable[..., Kept],
) -> None:
    at = kept(size=100)
    made = at.put(size=30)
    async with at.retention.room(70):
        assert await at.retention.sweep() == 0
        async with at.retention.room(0):
            assert at.left(made) == [True]
        other = at.put(timedelta(minutes=90), 1)
        assert await at.retention.sweep() == 1
        async with at.retention.room(30):
            assert at.left(made, other) == [False, False]
    made = at.put(size=30)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with at.retention.room(70):
                raise ZeroDivisionError
    assert await at.retention.sweep() == 0
    assert at.left(made) == [True]


@pytest.mark.parametrize(("more", "removed"), [(0, 0), (1, 2)])
async def test_a_hundredth_more_is_removed_than_has_to_be(
    kept: Callable[..., Kept], more: int, removed: int
) -> None:
    at = kept(size=10_000)
    made = [
        at.put(timedelta(hours=3), 30),
        at.put(timedelta(hours=2), 110),
        at.put(timedelta(minutes=90), 9850),
    ]
    async with at.retention.room(10 + more) as fits:
        assert fits

    assert at.left(*made) == [number >= removed for number in range(3)]


@pytest.mark.parametrize(
    ("shared", "age", "looks"),
    [
        ({"shared": True}, timedelta(hours=1), False),
        ({"shared": True}, timedelta(hours=1) + SECOND, True),
        ({}, timedelta(hours=9), False),
    ],
)
async def test_files_of_other_processes_are_counted_after_an_hour(
    kept: Callable[..., Kept], shared: dict[str, bool], age: timedelta, looks: bool
) -> None:
    at = kept(size=100, **shared)
    async with at.retention.room(10):
        pass
    foreign = at.put(size=100)
    at.now += age
    async with at.retention.room(10) as fits:
        assert fits

    assert at.left(foreign) == [not looks]


async def test_inputs_of_uncharged_jobs_go_before_older_pictures(
    kept: Callable[..., Kept],
) -> None:
    at = kept(size=30)
    old, older, uncharged, lost = (at.put() for _ in range(4))
    await at.use(old, charged=True, asked=3 * DAY, delivered=timedelta(0))
    await at.use(older, charged=True, asked=4 * DAY, delivered=timedelta(0))
    await at.use(uncharged, asked=DAY)
    os.utime(at.store.path(lost), (NOW.timestamp() - 7200,) * 2)

    for left in ([True, True, False, True], [True, False, False, True]):
        await at.retention.sweep()
        assert at.left(old, older, uncharged, lost) == left
        at = Kept(at.database, at.store.disk.parent, size=20)


async def test_an_original_and_its_copies_go_together(kept: Callable[..., Kept]) -> None:
    at = kept(size=0)
    made, alone = at.put(2 * DAY, 10), at.put(2 * DAY, 10, copy=True)
    young = at.store.path(made).with_name(f"{made.sha256}-1000.jpg")
    young.write_bytes(b"copy")
    then = (NOW - timedelta(minutes=1)).timestamp()
    os.utime(young, (then, then))

    assert await at.retention.sweep() == 2
    assert not list(at.store.disk.rglob(f"*{alone.sha256[:8]}*"))
    assert not young.exists()


async def test_a_cancelled_block_removes_nothing_and_holds_nothing(
    kept: Callable[..., Kept],
) -> None:
    at, inside = kept(size=0), asyncio.Event()
    made = at.put()

    async def work() -> None:
        async with at.retention.holding() as hold:
            hold(made)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await inside.wait()
    assert await at.retention.sweep() == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert at.left(made) == [True]
    assert await at.retention.sweep() == 1


async def test_a_picture_that_is_held_twice_is_held_to_the_end(kept: Callable[..., Kept]) -> None:
    at = kept(size=0)
    made = at.put()
    async with at.retention.holding() as outer:
        outer(made)
        async with at.retention.holding() as inner:
            inner(made)
            inner(made)
        assert at.left(made) == [True]
        assert await at.retention.sweep() == 0
    assert at.left(made) == [False]


async def test_a_sweep_forgets_old_attempts_at_decoding(kept: Callable[..., Kept]) -> None:
    at = kept()
    attempts = at.store.disk / "attempts"
    attempts.mkdir(parents=True)
    (attempts / "old").touch()
    os.utime(attempts / "old", (0, 0))
    await at.retention.sweep()

    assert list(attempts.iterdir()) == []


@pytest.mark.parametrize(("free", "is_full"), [(MIN_FREE, False), (MIN_FREE - 1, True)])
async def test_a_disk_with_less_than_1_gib_is_full(
    kept: Callable[..., Kept], free: int, is_full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def usage(folder: Path) -> object:
        asked.append(folder)
        return SimpleNamespace(free=free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    at = kept()
    assert await at.retention.disk_is_full() is is_full
    assert asked == [at.store.disk.parent]  # the first one that exists
    at.store.disk.mkdir()
    await at.retention.disk_is_full()
    assert asked[1] == at.store.disk


async def test_a_copy_is_known_as_that_of_its_original(
    kept: Callable[..., Kept], database: Database, tmp_path: Path
) -> None:
    at = kept()
    (copy := tmp_path / "copy").write_bytes(b"copy")
    original = await at.store.store(picture())
    await at.use(original, role=Role.OUTPUT)
    await at.retention.note_copy(copy, original)
    async with database.reading() as view:
        found = [
            await pictures.jobs_of(view, hashlib.sha256(data).hexdigest(), 9)
            for data in (b"copy", b"another")
        ]
    assert [len(each) for each in found] == [1, 0]


async def test_the_loop_waits_while_another_process_has_the_duty(
    kept: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNCHARGED_INTERVAL", 0.001)
    at, due, asked = kept(), [False], asyncio.Semaphore(0)
    made = at.put()
    await at.use(made)

    def is_due() -> bool:
        asked.release()
        return due[0]

    task = asyncio.create_task(at.retention.run(is_due))
    for _ in range(3):
        await asyncio.wait_for(asked.acquire(), 20)
    assert at.left(made) == [True]
    due[0] = True
    async with asyncio.timeout(20):
        while at.left(made) == [True]:
            await asyncio.sleep(0.001)
    task.cancel()


@pytest.mark.parametrize("due", [True, False])
async def test_the_loop_waits_after_each_look(
    kept: Callable[..., Kept], due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: asyncio.Queue[float] = asyncio.Queue()

    async def sleep(seconds: float) -> None:
        waits.put_nowait(seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr(module, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    task = asyncio.create_task(kept().retention.run(lambda: due))

    assert await asyncio.wait_for(waits.get(), 20) == module.UNCHARGED_INTERVAL == 5
    task.cancel()
