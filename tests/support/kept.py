"""Retention on files whose ages and sizes a test chooses."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

from bot.jobs import JobStatus, Picture, PictureKind
from bot.pictures import FileStore, Retention, RetentionPolicy
from bot.pictures.retention import GRACE
from bot.store import jobs, pictures, settlement
from bot.store.database import Database
from bot.store.pictures import Role
from tests.support.rows import add, new_job

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Kept:
    """A folder of files with ages and sizes of the test, and its retention."""

    def __init__(
        self, database: Database, folder: Path, *, size: int = 10**9, shared: bool = False
    ) -> None:
        self.now = NOW
        self.store = FileStore(folder / "pictures", shared=shared)
        policy = RetentionPolicy(keep=10 * DAY, keep_bytes=size)
        self.retention = Retention(database, self.store, policy, lambda: self.now)
        self.database = database

    def put(self, age: timedelta = 2 * GRACE, size: int = 10, *, copy: bool = False) -> Picture:
        """Store a file, or a reduced copy without its original."""
        made = Picture(token_hex(32), PictureKind.PNG, size, 1, 1)
        path = self.store.path(made)
        path.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            path = path.with_name(f"{made.sha256}-1000.jpg")
        path.write_bytes(bytes(size))
        then = (self.now - age).timestamp()
        os.utime(path, (then, then))
        return made

    async def use(
        self,
        *made: Picture,
        asked: timedelta = timedelta(0),
        delivered: timedelta | None = None,
        charged: bool = False,
        role: Role = Role.INPUT,
    ) -> None:
        """Let a job that has ended have the pictures, a charged one as results.

        The times are before now.
        """
        at = self.now - asked
        async with self.database.transaction() as tx:
            job = await add(tx, new_job(at=at))
            if charged:
                job = await jobs.move(tx, job.id, JobStatus.SUBMITTING)
                await settlement.succeed(tx, job, at, cost=None, pictures=made, ends={})
            else:
                await pictures.attach(tx, job.id, role, made, at)
                await settlement.cancel(tx, job.id, at)
            if delivered is not None:
                await jobs.mark_delivered(
                    tx, job.id, self.now - delivered, message_id=1, channel_id=None, error=None
                )

    def left(self, *made: Picture) -> list[bool]:
        return [self.store.path(each).exists() for each in made]
