import asyncio
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.jobs import Picture
from bot.pictures import PictureStore
from bot.pictures.retention import Retention, RetentionPolicy
from bot.store import jobs, pictures, settlement
from bot.store.database import Database
from bot.store.pictures import Role
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.rows import add, new_job

DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    return PictureStore(tmp_path / "pictures")


def retention(database: Database, store: PictureStore, **limits: int) -> Retention:
    return Retention(
        database,
        store,
        RetentionPolicy(keep=DAY * limits.get("days", 10), keep_bytes=limits.get("size", 10**9)),
        lambda: NOW,
    )


async def kept(
    database: Database, store: PictureStore, *, age: timedelta, delivered: bool = True
) -> Picture:
    """A picture of a job that was asked for some time ago."""
    made = await store.store(picture(size=(60, 40)))
    asked = NOW - age
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=asked))
        await pictures.attach(tx, job.id, Role.OUTPUT, [made], asked)
        settle = settlement.withdraw if delivered else settlement.cancel
        await settle(tx, job.id, asked)
    untouched(store.path(made), age)
    return made


def untouched(path: Path, age: timedelta) -> None:
    then = (NOW - age).timestamp()
    os.utime(path, (then, then))


async def test_what_is_too_old_goes_and_its_row_stays(
    database: Database, store: PictureStore
) -> None:
    old = await kept(database, store, age=11 * DAY)
    young = await kept(database, store, age=9 * DAY)

    assert await retention(database, store).sweep() == 1
    assert not store.path(old).exists()
    assert store.path(young).exists()
    async with database.reading() as view:
        assert len(await jobs.recent_of(view, 1, 10)) == 2


async def test_the_daily_sweep_goes_on_after_an_error(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Through the whole bot: old pictures go day by day, and an error waits for the next day."""
    monkeypatch.setattr("bot.pictures.retention.FIRST_SWEEP", 0.05)
    monkeypatch.setattr("bot.pictures.retention.INTERVAL", 0.05)
    store = PictureStore(at.folder / "pictures")
    async with at.easel():
        await gone(await lost_file(store))
        rename(at.path, "job_pictures", "away")
        waiting = await lost_file(store)
        async with asyncio.timeout(5):
            while "old pictures not removed, retrying tomorrow" not in caplog.text:
                await asyncio.sleep(0.02)
        assert waiting.exists()
        rename(at.path, "away", "job_pictures")
        await gone(waiting)
        await gone(await lost_file(store))


async def lost_file(store: PictureStore) -> Path:
    """Return a file that a crash has left behind two days ago."""
    path = store.path(await store.store(picture()))
    untouched(path, 2 * DAY)
    return path


async def gone(path: Path) -> None:
    async with asyncio.timeout(5):
        while path.exists():
            await asyncio.sleep(0.02)


def rename(database: Path, table: str, to: str) -> None:
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO {to}")


async def test_what_is_over_the_size_goes_oldest_first(
    database: Database, store: PictureStore
) -> None:
    made = [await kept(database, store, age=days * DAY) for days in (3, 1, 2)]
    two = made[1].size + made[2].size

    assert await retention(database, store, size=two).sweep() == 1
    assert [store.path(each).exists() for each in made] == [False, True, True]


async def test_what_a_member_still_waits_for_stays(database: Database, store: PictureStore) -> None:
    waiting = await kept(database, store, age=400 * DAY, delivered=False)

    assert await retention(database, store, size=0).sweep() == 0
    assert store.path(waiting).exists()


async def test_what_a_newer_job_has_too_is_as_old_as_that(
    database: Database, store: PictureStore
) -> None:
    made = await kept(database, store, age=400 * DAY)
    async with database.transaction() as tx:
        job = await add(tx, new_job(at=NOW - DAY))
        await pictures.attach(tx, job.id, Role.INPUT, [made], NOW)
        await settlement.withdraw(tx, job.id, NOW)

    assert await retention(database, store).sweep() == 0


async def test_what_was_kept_again_a_moment_ago_stays(
    database: Database, store: PictureStore
) -> None:
    """A job that is being settled has the same picture, and no row yet."""
    made = await kept(database, store, age=400 * DAY)
    await store.store(store.path(made).read_bytes())

    assert await retention(database, store).sweep() == 0


async def test_what_a_crash_left_goes_after_a_day(database: Database, store: PictureStore) -> None:
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
