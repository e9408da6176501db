"""One SQLite file through two engines: a writer of one connection, and readers beside it.

Every write is a transaction that begins with BEGIN IMMEDIATE, so that no row changes between the
transaction's reads and its writes.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import aiosqlite
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.database_address import SQLITE_REMEDY
from bot.errors import NotNow, StartupError
from bot.store.aiosqlite_driver import Connection as Driver
from bot.store.database import (
    REVISION,
    WRITE_LOCK_TIMEOUT,
    Database,
    OlderDatabase,
    refuse_newer,
    revision_of,
)
from bot.store.group_commit import GroupCommit

log = logging.getLogger(__name__)

BUSY_SECONDS = 1.5  # to wait for another program that writes to the file
READERS = 3
CHECKPOINT_SECONDS = 5.0
LONG_LOG = 2000  # pages of the write-ahead log, 8 MB
RESTART_WAIT = 20  # milliseconds, for readers
SCRUBS, SCRUB_WAIT = 20, 0.5  # attempts to empty the write-ahead log, and the seconds between


class SQLiteDatabase(Database):
    """A file that belongs to one process. All writes share one connection, in turns."""

    shared: ClassVar[bool] = False

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path
        self._file: tuple[int, int] | None = None  # device and inode
        self._writer = self._engine("BEGIN IMMEDIATE", WRITER_PRAGMAS, size=1)
        self._reader = self._engine("BEGIN", ("PRAGMA query_only=ON",), size=READERS)
        self._checkpoints: asyncio.Task[None] | None = None
        self._is_replaced = False
        self._commits = GroupCommit(self._writer)

    async def _open(self) -> None:
        with self._failures_as_startup_error():
            await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
            await self.migrate()
            await self._open_readers()
            self._file = await asyncio.to_thread(_identity, self.path)
            self._checkpoints = asyncio.create_task(self._keep_checkpointing(), name="checkpoints")

    async def connect_all(self) -> None:
        """Do nothing: the readers are open already, and the writer since the migration."""

    async def close(self) -> None:
        """Close every connection, after the open blocks, such as a command's, have ended.

        A connection left open would keep its thread, and the process with it, from ending.
        """
        if self._checkpoints is not None:
            self._checkpoints.cancel()
            await asyncio.wait({self._checkpoints})
        await super().close()

    def _engine(self, begin: str, pragmas: tuple[str, ...], *, size: int) -> AsyncEngine:
        async def connect(*_: object, **__: object) -> aiosqlite.Connection:
            uri = _uri(self.path, create=self._file is None)
            return await Driver(uri, timeout=BUSY_SECONDS)

        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self.path}",
            async_creator=connect,
            pool_size=size,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
            pool_reset_on_return=None,
            hide_parameters=True,  # errors would show prompts and interaction tokens
        )

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: Any, _: object) -> None:  # noqa: ANN401  # the driver's own
            connection.isolation_level = None  # `start` begins transactions, not the driver
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(pragma)
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def start(connection: SyncConnection) -> None:
            cast(Driver, connection.connection.driver_connection).begin(begin)

        return engine

    @property
    def _engines(self) -> Sequence[AsyncEngine]:
        return self._writer, self._reader

    async def _dispose(self) -> None:
        await self._commits.close()
        await self._writer.dispose()
        await self._reader.dispose()

    @asynccontextmanager
    async def transaction(
        self, *, timeout: float = WRITE_LOCK_TIMEOUT
    ) -> AsyncIterator[AsyncConnection]:
        """Run the block as the only writer; blocks that wait for each other share a commit."""
        with self._in_use(), self._failures_as_not_now():
            async with self._commits.transaction(timeout) as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        with self._in_use(), self._failures_as_not_now():
            async with self._reader.begin() as connection:
                yield connection

    @contextmanager
    def _failures_as_startup_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, DatabaseError) as error:
            cause = error.orig if isinstance(error, DatabaseError) else error
            raise StartupError(SQLITE_REMEDY.format(problem=f"{self.path}: {cause}")) from error

    @contextmanager
    def _failures_as_not_now(self) -> Iterator[None]:
        if self._is_replaced:  # what is written now would be lost at the end of the program
            raise NotNow
        try:
            yield
        except (OperationalError, PoolTimeoutError, TimeoutError) as error:
            cause = error.orig if isinstance(error, OperationalError) else "too busy"
            log.error("the database cannot be used: %s: %s", self.path, cause)
            raise NotNow from error

    async def _keep_checkpointing(self) -> None:
        """Write committed pages from the log back into the file, without blocking a writer."""
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            if await asyncio.to_thread(_identity, self.path) != self._file:
                if not self._is_replaced:
                    log.critical(
                        "database file removed or replaced, nothing is stored: %s", self.path
                    )
                self._is_replaced = True
                continue
            self._is_replaced = False
            try:
                if await asyncio.to_thread(_checkpoint, self.path) > LONG_LOG:
                    # SQLite begins the log anew at a commit before which all pages were written
                    # back. Under a steady load there is none: the log grows, and slows each read.
                    await self._commits.alone(partial(_begin_log_anew, mode="RESTART"))
            except sqlite3.Error as error:
                log.warning("checkpoint of the database failed, retrying: %s", error)

    async def _open_readers(self) -> None:
        """Open all readers at once and now.

        A connection whose opening is cancelled is lost, and its thread keeps the process from
        ending.
        """
        async with AsyncExitStack() as stack:
            for _ in range(READERS):
                await stack.enter_async_context(self._reader.connect())

    async def migrate(self) -> str | None:
        with self._failures_as_startup_error():
            return await self._migrate()

    async def _migrate(self) -> str | None:
        async with self._writer.connect() as connection:
            found = await connection.run_sync(revision_of)
        if found == REVISION:
            return found
        if found is not None:
            refuse_newer(self.label, found)
        # Alembic costs a fifth of a second and 10 MB: import it only for a migration.
        from bot.store.migrations import upgrade

        async with self._writer.begin() as connection:
            await connection.run_sync(upgrade)
        return found

    async def scrub(self) -> None:
        """Empty the write-ahead log, which has former pages; readers may be in the way."""
        for _ in range(SCRUBS):
            if await self._commits.alone(partial(_begin_log_anew, mode="TRUNCATE")):
                return
            await asyncio.sleep(SCRUB_WAIT)
        log.warning("the write-ahead log still has pages with erased rows")

    async def check(self) -> None:
        if not await asyncio.to_thread(self.path.is_file):
            raise StartupError(
                f"DATABASE_URL: there is no file {self.path} yet. The first `easel run` creates it."
            )
        try:
            async with self.reading() as view:
                found = await view.run_sync(revision_of)
        except DatabaseError as error:
            problem = f"{self.path}: {error.orig}"
            raise StartupError(SQLITE_REMEDY.format(problem=problem)) from error
        if found is None:
            problem = f"{self.path} is not a database of Easel"
            raise StartupError(SQLITE_REMEDY.format(problem=problem))
        refuse_newer(self.label, found)
        if found != REVISION:
            raise OlderDatabase(
                f"DATABASE_URL: {self.path} was written by an older Easel (revision {found}; this "
                f"version needs {REVISION}). Start this version once with `easel run` to migrate "
                "the file."
            )


WRITER_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # A checkpoint takes 10 to 20 ms, and SQLite would run it inside the commit that a member waits
    # for. `_keep_checkpointing` runs it instead, SQLite only when the log has grown very long.
    "PRAGMA wal_autocheckpoint=20000",
    "PRAGMA synchronous=FULL",  # a confirmed request survives a power failure
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # what a member has deleted is in no free part of a page
)


def _uri(path: Path, *, create: bool = False) -> str:
    """Return the address of a file as SQLite's URI; a file that is gone is not created again.

    To an empty file, SQLite would delete the write-ahead log of the former one with its commits.
    """
    return f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:  # also if a folder of the path was replaced by a file
        return None
    return found.st_dev, found.st_ino


async def _begin_log_anew(writer: Driver, mode: str) -> bool:
    """Let the write-ahead log begin anew, on the connection of the writer.

    The mode TRUNCATE also empties the file. Return false if a reader still needs the log.
    """
    await writer.execute(f"PRAGMA busy_timeout={RESTART_WAIT}")
    try:
        cursor = await writer.execute(f"PRAGMA wal_checkpoint({mode})")
        ((busy, _, _),) = await cursor.fetchall()
        return not busy
    finally:
        await writer.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")


def _checkpoint(path: Path) -> int:
    """Write committed pages back, and return the number of pages in the log."""
    with closing(sqlite3.connect(_uri(path), uri=True, timeout=BUSY_SECONDS)) as connection:
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)
