"""Retention while a bucket fails: what could not be removed is not forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.pictures import PicturesUnavailable, Retention, RetentionPolicy
from bot.store.database import Database
from tests.support.bucket import Bucket
from tests.support.files import picture

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


async def test_a_removal_that_failed_is_made_up_for_after_an_hour(
    database: Database, bucket: Bucket, tmp_path: Path
) -> None:
    now, store = [datetime.now(UTC)], bucket.store(tmp_path)
    policy = RetentionPolicy(keep=24 * HOUR, keep_bytes=10**9)
    keeping = Retention(database, store, policy, lambda: now[0])
    made = await store.store(picture())
    bucket.age(made, 2 * HOUR)
    async with keeping.holding() as hold:
        hold(made)
        bucket.server.stop()
    bucket.server.start()

    now[0] += HOUR - SECOND
    await keeping.remove_uncharged()
    assert bucket.keys
    now[0] += SECOND
    await keeping.remove_uncharged()
    assert bucket.keys == {}


async def test_a_deletion_in_a_bucket_waits_until_the_pictures_are_old_enough(
    database: Database, bucket: Bucket, tmp_path: Path
) -> None:
    store = bucket.store(tmp_path)
    policy = RetentionPolicy(keep=24 * HOUR, keep_bytes=10**9)
    keeping = Retention(database, store, policy, lambda: datetime.now(UTC))
    made = await store.store(picture())
    assert not await keeping.erase([made.sha256])
    bucket.age(made, timedelta(minutes=1))
    with bucket.server.failing("POST"), pytest.raises(PicturesUnavailable):
        await keeping.erase([made.sha256])
    assert await store.find(f"{made.sha256}.png") is not None
    for key, mark in bucket.keys.items():
        if key.startswith("removing/"):
            mark.last_modified -= timedelta(days=1)

    assert await keeping.erase([made.sha256])
