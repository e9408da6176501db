import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.jobs import JobStatus, Picture
from bot.pictures import FileStore, Retention, RetentionPolicy
from bot.pictures import retention as module
from bot.store import jobs, members, pictures, settlement
from bot.store.database import Database
from bot.store.pictures import Role
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.rows import add, new_job

DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "pictures")


def retention(database: Database, store: FileStore, **limits: int) -> Retention:
    return Retention(
        database,
        store,
        RetentionPolicy(keep=DAY * limits.get("days", 10), keep_bytes=limits.get("size", 10**9)),
        lambda: NOW,
    )


async def kept(
    database: Database,
    store: FileStore,
    *,
    age: timedelta,
    delivered: bool = True,
    succeeded: bool = False,
) -> Picture:
    """A picture of a job that was asked for some time ago."""
    made = await store.store(picture(size=(60, 40)))
    asked = NOW - age
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=asked))
        if succeeded:
            job = await jobs.move(tx, job.id, JobStatus.SUBMITTING)
            await settlement.succeed(tx, job, asked, cost=None, pictures=[made], ends={})
            await jobs.mark_delivered(tx, job.id, asked, message_id=1, error=None)
        else:
            await pictures.attach(tx, job.id, Role.OUTPUT, [made], asked)
            settle = settlement.withdraw if delivered else settlement.cancel
            await settle(tx, job.id, asked)
    untouched(store.path(made), age)
    return made


def untouched(path: Path, age: timedelta) -> None:
    then = (NOW - age).timestamp()
    os.utime(path, (then, then))


async def test_what_is_too_old_goes_and_its_row_stays(database: Database, store: FileStore) -> None:
    old = await kept(database, store, age=11 * DAY)
    young = await kept(database, store, age=9 * DAY)

    assert await retention(database, store).sweep() == 1
    assert not store.path(old).exists()
    assert store.path(young).exists()
    async with database.reading() as view:
        assert len(await members.recent_of(view, 1, 10)) == 2


async def test_what_is_over_the_size_goes_oldest_first(
    database: Database, store: FileStore
) -> None:
    made = [await kept(database, store, age=days * DAY) for days in (3, 1, 2)]
    two = made[1].size + made[2].size

    assert await retention(database, store, size=two).sweep() == 1
    assert [store.path(each).exists() for each in made] == [False, True, True]


async def test_what_a_member_still_waits_for_stays(database: Database, store: FileStore) -> None:
    waiting = await kept(database, store, age=400 * DAY, delivered=False)

    assert await retention(database, store, size=0).sweep() == 0
    assert store.path(waiting).exists()


async def test_what_a_newer_job_has_too_is_as_old_as_that(
    database: Database, store: FileStore
) -> None:
    made = await kept(database, store, age=400 * DAY)
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=NOW - DAY))
        await pictures.attach(tx, job.id, Role.INPUT, [made], NOW)
        await settlement.withdraw(tx, job.id, NOW)

    assert await retention(database, store).sweep() == 0


async def test_what_was_kept_again_a_moment_ago_stays(database: Database, store: FileStore) -> None:
    """A job that is being settled has the same picture, and no row yet."""
    made = await kept(database, store, age=400 * DAY)
    await store.store(store.path(made).read_bytes())

    assert await retention(database, store).sweep() == 0


async def test_what_a_crash_left_goes_after_a_day(database: Database, store: FileStore) -> None:
    lost = [await store.store(picture()) for _ in range(2)]
    untouched(store.path(lost[0]), 2 * DAY)
    untouched(store.path(lost[1]), DAY / 2)

    assert await retention(database, store).sweep() == 1
    assert [store.path(each).exists() for each in lost] == [False, True]


async def test_show_says_that_pictures_are_no_longer_kept(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()
        for file in (at.folder / "pictures").rglob("*.png"):
            file.unlink()
        await at.command("show", job=job.id)
        shown = await at.said("no longer stored")

    assert shown.ephemeral_to is at.ada


async def ended(
    database: Database,
    store: FileStore,
    *made: Picture,
    role: Role = Role.INPUT,
    delivered: timedelta | None = timedelta(0),
) -> None:
    """A canceled job with these pictures."""
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=NOW))
        await pictures.attach(tx, job.id, role, list(made), NOW)
        await settlement.cancel(tx, job.id, NOW)
        if delivered is not None:
            await jobs.mark_delivered(tx, job.id, NOW - delivered, message_id=None, error=None)
    for each in made:
        untouched(store.path(each), timedelta(seconds=1))


@pytest.mark.parametrize("delivered", [None, timedelta(0), timedelta(hours=23)])
async def test_inputs_of_an_uncharged_job_go_at_once(
    database: Database, store: FileStore, delivered: timedelta | None
) -> None:
    made = await store.store(picture())
    await ended(database, store, made, delivered=delivered)

    await retention(database, store).remove_uncharged()
    assert not store.path(made).exists()


async def test_inputs_that_another_job_has_too_stay(database: Database, store: FileStore) -> None:
    shared, charged = await store.store(picture()), await store.store(picture())
    await ended(database, store, shared, charged)
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=NOW))
        await pictures.attach(tx, job.id, Role.INPUT, [shared], NOW)
    async with database.transaction() as tx:
        other = await add(tx, new_job(at=NOW))
        other = await jobs.move(tx, other.id, JobStatus.SUBMITTING)
        await settlement.succeed(tx, other, NOW, cost=None, pictures=[charged], ends={})

    await retention(database, store).remove_uncharged()
    assert store.path(shared).exists()
    assert store.path(charged).exists()


async def test_inputs_that_were_stored_again_after_the_end_stay(
    database: Database, store: FileStore
) -> None:
    """A new job has the same picture, and no row yet."""
    made = await store.store(picture())
    await ended(database, store, made)
    then = (NOW + timedelta(seconds=5)).timestamp()
    os.utime(store.path(made), (then, then))

    await retention(database, store).remove_uncharged()
    assert store.path(made).exists()


async def test_results_of_an_uncharged_job_stay(database: Database, store: FileStore) -> None:
    made = await store.store(picture())
    await ended(database, store, made, role=Role.OUTPUT)

    await retention(database, store).remove_uncharged()
    assert store.path(made).exists()


async def test_a_file_that_is_stored_again_during_the_removal_stays(store: FileStore) -> None:
    data = picture()
    made = await store.store(data)
    untouched(store.path(made), DAY)
    listed = await store.files()
    await store.store(data)

    await store.remove(listed)
    assert store.path(made).exists()


async def test_room_is_made_of_the_least_recently_used(
    database: Database, store: FileStore
) -> None:
    made = [await kept(database, store, age=days * DAY) for days in (3, 1, 2)]
    size = made[0].size
    total = sum(each.size for each in made)
    keeping = retention(database, store, size=total)

    async with keeping.room(0) as fits:
        assert fits
    async with keeping.room(size // 2) as fits:
        assert fits
    assert [store.path(each).exists() for each in made] == [False, True, True]
    async with keeping.room(total + 1) as fits:
        assert not fits


async def test_room_is_made_of_the_inputs_of_uncharged_jobs_first(
    database: Database, store: FileStore
) -> None:
    old = await kept(database, store, age=5 * DAY, succeeded=True)
    garbage = await store.store(picture(size=(60, 40)))
    await ended(database, store, garbage)

    async with retention(database, store, size=old.size + 100).room(1) as fits:
        assert fits
    assert [store.path(each).exists() for each in (old, garbage)] == [True, False]


async def test_room_that_is_reserved_is_not_given_twice(
    database: Database, store: FileStore
) -> None:
    keeping = retention(database, store, size=100)

    async with keeping.room(60) as first, keeping.room(60) as second, keeping.room(40) as third:
        assert (first, second, third) == (True, False, False)
    async with keeping.room(60) as again:
        assert again


async def test_a_picture_without_a_row_is_held_and_then_removed(
    database: Database, store: FileStore
) -> None:
    keeping = retention(database, store, size=0)
    made = await store.store(picture())
    untouched(store.path(made), 2 * DAY)
    async with keeping.holding() as hold, keeping.holding() as other:
        hold(made)
        other(made)
        assert await keeping.sweep() == 0
    assert not store.path(made).exists()


async def test_the_loop_removes_and_sweeps(
    database: Database, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNCHARGED_INTERVAL", 0.01)
    now = [NOW]
    keeping = Retention(
        database,
        store,
        RetentionPolicy(keep=DAY, keep_bytes=10**9),
        lambda: now[0],
    )
    old = await kept(database, store, age=2 * DAY)
    task = asyncio.create_task(keeping.run())
    await asyncio.sleep(0.1)
    assert store.path(old).exists()  # the first sweep follows after five minutes
    now[0] += timedelta(minutes=5)
    await gone(store, old)
    older = await kept(database, store, age=2 * DAY)
    await asyncio.sleep(0.1)
    assert store.path(older).exists()
    now[0] += DAY
    await gone(store, older)
    task.cancel()


async def gone(store: FileStore, made: Picture) -> None:
    async with asyncio.timeout(5):
        while store.path(made).exists():
            await asyncio.sleep(0.01)


async def test_the_loop_goes_on_after_an_error(
    database: Database,
    store: FileStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    made = await store.store(picture())
    await ended(database, store, made)
    folder = store.path(made).parent
    hidden = folder.rename(folder.with_name("hidden"))
    folder.mkdir()
    store.path(made).mkdir()  # cannot be unlinked
    untouched(store.path(made), timedelta(seconds=1))
    task = asyncio.create_task(retention(database, store).run())
    async with asyncio.timeout(5):
        while "old pictures not removed, retrying in an hour" not in caplog.text:
            await asyncio.sleep(0.01)
    store.path(made).rmdir()
    folder.rmdir()
    hidden.rename(folder)
    await gone(store, made)
    task.cancel()
