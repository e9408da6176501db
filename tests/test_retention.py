import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.jobs import JobStatus, Picture
from bot.pictures import FileStore, PicturesUnavailable, Retention, RetentionPolicy
from bot.pictures import retention as module
from bot.store import jobs, members, pictures, settlement
from bot.store.database import Database
from bot.store.pictures import Role
from tests.support.bucket import Bucket, Fault
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.rows import add, new_job
from tests.support.stores import Shelf

DAY = timedelta(days=1)
NOW = datetime.now(UTC)


def retention(database: Database, shelf: Shelf, **limits: int) -> Retention:
    return Retention(
        database,
        shelf.store,
        RetentionPolicy(keep=DAY * limits.get("days", 10), keep_bytes=limits.get("size", 10**9)),
        lambda: NOW,
    )


async def kept(
    database: Database,
    shelf: Shelf,
    *,
    age: timedelta,
    delivered: bool = True,
    succeeded: bool = False,
) -> Picture:
    """A picture of a job that was asked for some time ago."""
    made = await shelf.store.store(picture(size=(60, 40)))
    asked = NOW - age
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=asked))
        if succeeded:
            job = await jobs.move(tx, job.id, JobStatus.SUBMITTING)
            await settlement.succeed(tx, job, asked, cost=None, pictures=[made], ends={})
            await jobs.mark_delivered(tx, job.id, asked, message_id=1, channel_id=None, error=None)
        else:
            await pictures.attach(tx, job.id, Role.OUTPUT, [made], asked)
            settle = settlement.withdraw if delivered else settlement.cancel
            await settle(tx, job.id, asked)
    untouched(shelf, made, age)
    return made


def untouched(shelf: Shelf, made: Picture, age: timedelta) -> None:
    """Let a picture be stored `age` before NOW: the tests before this one take minutes."""
    shelf.age(made, datetime.now(UTC) - (NOW - age))


async def test_what_is_too_old_goes_and_its_row_stays(database: Database, shelf: Shelf) -> None:
    old = await kept(database, shelf, age=11 * DAY)
    young = await kept(database, shelf, age=9 * DAY)

    assert await retention(database, shelf).sweep() == 1
    assert not await shelf.holds(old)
    assert await shelf.holds(young)
    async with database.reading() as view:
        assert len(await members.recent_of(view, 1, 10)) == 2


async def test_what_is_over_the_size_goes_oldest_first(database: Database, shelf: Shelf) -> None:
    made = [await kept(database, shelf, age=days * DAY) for days in (3, 1, 2)]
    two = made[1].size + made[2].size

    assert await retention(database, shelf, size=two).sweep() == 1
    assert [await shelf.holds(each) for each in made] == [False, True, True]


async def test_what_a_member_still_waits_for_stays(database: Database, shelf: Shelf) -> None:
    waiting = await kept(database, shelf, age=400 * DAY, delivered=False)

    assert await retention(database, shelf, size=0).sweep() == 0
    assert await shelf.holds(waiting)


async def test_what_a_newer_job_has_too_is_as_old_as_that(database: Database, shelf: Shelf) -> None:
    made = await kept(database, shelf, age=400 * DAY)
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=NOW - DAY))
        await pictures.attach(tx, job.id, Role.INPUT, [made], NOW)
        await settlement.withdraw(tx, job.id, NOW)

    assert await retention(database, shelf).sweep() == 0


async def test_what_was_kept_again_a_moment_ago_stays(database: Database, shelf: Shelf) -> None:
    """A job that is being settled has the same picture, and no row yet."""
    made = await kept(database, shelf, age=400 * DAY)
    await shelf.store.store(await shelf.store.read(made))

    assert await retention(database, shelf).sweep() == 0


async def test_what_a_crash_left_goes_after_a_day(database: Database, shelf: Shelf) -> None:
    lost = [await shelf.store.store(picture()) for _ in range(2)]
    untouched(shelf, lost[0], 2 * DAY)
    untouched(shelf, lost[1], DAY / 2)

    assert await retention(database, shelf).sweep() == 1
    assert [await shelf.holds(each) for each in lost] == [False, True]


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
    shelf: Shelf,
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
            await jobs.mark_delivered(
                tx, job.id, NOW - delivered, message_id=None, channel_id=None, error=None
            )
    for each in made:
        untouched(shelf, each, timedelta(minutes=2))


@pytest.mark.parametrize("delivered", [None, timedelta(0), timedelta(hours=23)])
async def test_inputs_of_an_uncharged_job_go_at_once(
    database: Database, shelf: Shelf, delivered: timedelta | None
) -> None:
    made = await shelf.store.store(picture())
    await ended(database, shelf, made, delivered=delivered)

    await retention(database, shelf).remove_uncharged()
    assert not await shelf.holds(made)


async def test_inputs_that_another_job_has_too_stay(database: Database, shelf: Shelf) -> None:
    shared, charged = await shelf.store.store(picture()), await shelf.store.store(picture())
    await ended(database, shelf, shared, charged)
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=NOW))
        await pictures.attach(tx, job.id, Role.INPUT, [shared], NOW)
    async with database.transaction() as tx:
        other = await add(tx, new_job(at=NOW))
        other = await jobs.move(tx, other.id, JobStatus.SUBMITTING)
        await settlement.succeed(tx, other, NOW, cost=None, pictures=[charged], ends={})

    await retention(database, shelf).remove_uncharged()
    assert await shelf.holds(shared)
    assert await shelf.holds(charged)


async def test_inputs_that_were_stored_again_after_the_end_stay(
    database: Database, shelf: Shelf
) -> None:
    """A new job has the same picture, and no row yet."""
    made = await shelf.store.store(picture())
    await ended(database, shelf, made)
    untouched(shelf, made, timedelta(seconds=-5))

    await retention(database, shelf).remove_uncharged()
    assert await shelf.holds(made)


async def test_results_of_an_uncharged_job_stay(database: Database, shelf: Shelf) -> None:
    made = await shelf.store.store(picture())
    await ended(database, shelf, made, role=Role.OUTPUT)

    await retention(database, shelf).remove_uncharged()
    assert await shelf.holds(made)


async def test_a_file_that_is_stored_again_during_the_removal_stays(shelf: Shelf) -> None:
    data = picture()
    made = await shelf.store.store(data)
    untouched(shelf, made, DAY)
    listed = await shelf.store.files()
    await shelf.store.store(data)

    await shelf.store.remove(listed)
    assert await shelf.holds(made)


async def test_room_is_made_of_the_least_recently_used(database: Database, shelf: Shelf) -> None:
    made = [await kept(database, shelf, age=days * DAY) for days in (3, 1, 2)]
    size = made[0].size
    total = sum(each.size for each in made)
    keeping = retention(database, shelf, size=total)

    async with keeping.room(0) as fits:
        assert fits
    async with keeping.room(size // 2) as fits:
        assert fits
    assert [await shelf.holds(each) for each in made] == [False, True, True]
    async with keeping.room(total + 1) as fits:
        assert not fits


async def test_room_is_made_of_the_inputs_of_uncharged_jobs_first(
    database: Database, shelf: Shelf
) -> None:
    old = await kept(database, shelf, age=5 * DAY, succeeded=True)
    garbage = await shelf.store.store(picture(size=(60, 40)))
    await ended(database, shelf, garbage)

    async with retention(database, shelf, size=old.size + 100).room(1) as fits:
        assert fits
    assert [await shelf.holds(each) for each in (old, garbage)] == [True, False]


async def test_room_that_is_reserved_is_not_given_twice(database: Database, shelf: Shelf) -> None:
    keeping = retention(database, shelf, size=100)

    async with keeping.room(60) as first, keeping.room(60) as second, keeping.room(40) as third:
        assert (first, second, third) == (True, False, False)
    async with keeping.room(60) as again:
        assert again


async def test_a_picture_without_a_row_is_held_and_then_removed(
    database: Database, shelf: Shelf
) -> None:
    keeping = retention(database, shelf, size=0)
    made = await shelf.store.store(picture())
    untouched(shelf, made, 2 * DAY)
    async with keeping.holding() as hold, keeping.holding() as other:
        hold(made)
        other(made)
        assert await keeping.sweep() == 0
    assert not await shelf.holds(made)


async def test_a_picture_that_was_stored_again_stays_with_its_old_copy(
    database: Database, shelf: Shelf
) -> None:
    data = picture()
    made = await shelf.store.store(data)
    await shelf.store.add(shelf.store.temporary(made), f"{made.sha256}-1000.jpg")
    untouched(shelf, made, 2 * DAY)
    await shelf.store.store(data)

    assert await retention(database, shelf).sweep() == 0
    assert await shelf.holds(made)


async def test_a_picture_that_another_process_may_hold_goes_after_an_hour(
    database: Database, shelf: Shelf
) -> None:
    now, store = [datetime.now(UTC)], shelf.another()
    policy = RetentionPolicy(keep=10 * DAY, keep_bytes=10**9)
    here, there = (Retention(database, store, policy, lambda: now[0]) for _ in range(2))
    made = await store.store(picture())
    shelf.age(made, timedelta(minutes=5))
    async with there.holding() as hold_there:
        hold_there(made)
        async with here.holding() as hold:
            hold(made)
        await here.remove_uncharged()
        assert await shelf.holds(made)

    now[0] += timedelta(hours=1)
    await here.remove_uncharged()
    assert not await shelf.holds(made)


async def test_a_bucket_that_fails_hides_no_other_error(
    database: Database, bucket: Bucket, tmp_path: Path
) -> None:
    now, store = [datetime.now(UTC)], bucket.store(tmp_path)
    policy = RetentionPolicy(keep=10 * DAY, keep_bytes=10**9)
    keeping = Retention(database, store, policy, lambda: now[0])
    made = await store.store(picture())
    with pytest.raises(ZeroDivisionError):
        async with keeping.holding() as hold:
            hold(made)
            bucket.server.faults.append(Fault(".*", "", "503 Service Unavailable", "SlowDown"))
            raise ZeroDivisionError
    with pytest.raises(PicturesUnavailable):
        await keeping.sweep()
    bucket.server.faults.clear()
    bucket.age(made, timedelta(minutes=5))
    now[0] += timedelta(hours=1)
    await keeping.remove_uncharged()
    assert bucket.keys == {}


async def test_what_others_store_in_a_bucket_counts_after_an_hour(
    database: Database, bucket: Bucket, tmp_path: Path
) -> None:
    now, store = [datetime.now(UTC)], bucket.store(tmp_path)
    keeping = Retention(
        database, store, RetentionPolicy(keep=DAY, keep_bytes=20_000), lambda: now[0]
    )
    async with keeping.room(1) as fits:
        assert fits
    for _ in range(5):
        bucket.age(await bucket.store(tmp_path).store(picture()), timedelta(minutes=2))
    async with keeping.room(1) as fits:
        assert fits
    now[0] += timedelta(minutes=61)
    async with keeping.room(1) as fits:
        assert fits  # by removal
    assert len(bucket.keys) < 5


async def test_the_loop_removes_and_sweeps(
    database: Database, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNCHARGED_INTERVAL", 0.01)
    now = [NOW]
    keeping = Retention(
        database,
        shelf.store,
        RetentionPolicy(keep=DAY, keep_bytes=10**9),
        lambda: now[0],
    )
    old = await kept(database, shelf, age=2 * DAY)
    task = asyncio.create_task(keeping.run())
    await asyncio.sleep(0.1)
    assert await shelf.holds(old)  # the first sweep follows after five minutes
    now[0] += timedelta(minutes=5)
    await gone(shelf, old)
    older = await kept(database, shelf, age=2 * DAY)
    await asyncio.sleep(0.1)
    assert await shelf.holds(older)
    now[0] += DAY
    await gone(shelf, older)
    task.cancel()


async def gone(shelf: Shelf, made: Picture) -> None:
    async with asyncio.timeout(20):
        while await shelf.holds(made):
            await asyncio.sleep(0.01)


async def test_the_loop_goes_on_after_an_error(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    store = FileStore(tmp_path / "pictures")
    shelf = Shelf(store, tmp_path)
    made = await store.store(picture())
    await ended(database, shelf, made)
    folder = store.path(made).parent
    hidden = folder.rename(folder.with_name("hidden"))
    folder.mkdir()
    store.path(made).mkdir()  # cannot be unlinked
    untouched(shelf, made, timedelta(minutes=2))
    task = asyncio.create_task(retention(database, shelf).run())
    async with asyncio.timeout(20):
        while "old pictures not removed, retrying in an hour" not in caplog.text:
            await asyncio.sleep(0.01)
    store.path(made).rmdir()
    folder.rmdir()
    hidden.rename(folder)
    await gone(shelf, made)
    task.cancel()
