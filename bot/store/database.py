"""One SQLite file through two engines: a writer of one connection, and a reader beside it.

Every write is a transaction that began with BEGIN IMMEDIATE, so that what it reads cannot change
before it writes (design.md, Storage, tells what was lost otherwise).
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.errors import NotNow, StartupError
from bot.store.driver import Connection as Driver

log = logging.getLogger(__name__)

Transaction = AsyncConnection  # what `Database.transaction` yields
Connection = AsyncConnection  # what `Database.reading` yields

REVISION = "0005"  # the newest migration; a test holds it against the folder
BUSY_SECONDS = 1.5  # how long to wait for another program that writes to the file
PATIENCE = 60.0  # seconds until it is one's turn to write; a member's command has less
READERS = 3
CHECKPOINT_SECONDS = 5.0
CLOSE_SECONDS = 5.0

REMEDY = (
    "DATABASE_URL: {problem}. Set it to a file that Easel may write, e.g. sqlite:///data/easel.db"
)

NEWER = (
    "DATABASE_URL: {path} was written by a newer Easel (revision {found}, and this one knows "
    f"{REVISION}). Install that version again, or go back to a backup from before."
)


class Database:
    """Open it with `async with`; `transaction()` writes, `reading()` reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = _engine(path, begin="BEGIN IMMEDIATE", pragmas=WRITER_PRAGMAS, size=1)
        self._reader = _engine(path, begin="BEGIN", pragmas=READER_PRAGMAS, size=READERS)
        self._checkpoints: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # to write: first come, first served
        self._blocks = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> "Database":
        try:
            await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
            await self._migrate()
            await self._open_readers()
            self._checkpoints = asyncio.create_task(self._keep_checkpointing(), name="checkpoints")
        except StartupError:
            await self.close()
            raise
        except (OSError, DatabaseError) as error:
            await self.close()
            cause = error.orig if isinstance(error, DatabaseError) else error
            raise StartupError(REMEDY.format(problem=f"{self.path}: {cause}")) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection: one left open would hang the exit (discord.md, Libraries).

        Blocks that are open, such as that of a command just being answered, may end first.
        """
        if self._checkpoints is not None:
            self._checkpoints.cancel()
            await asyncio.wait({self._checkpoints})
        await self.quiet()
        await self._writer.dispose()
        await self._reader.dispose()

    async def quiet(self) -> None:
        """Wait, for a few seconds at most, until no block is open.

        A task that is cancelled inside a block loses its connection, so tasks are cancelled in the
        moment that this returns.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._blocks:
                    await self._idle.wait()

    @asynccontextmanager
    async def transaction(self, *, patience: float = PATIENCE) -> AsyncIterator[AsyncConnection]:
        """Run the block alone and whole: commit at its end, roll back on any exception.

        NotNow where its turn does not come within `patience` seconds, or where SQLite cannot.
        """
        with self._in_use(), self._told():
            async with asyncio.timeout(patience):
                await self._turn.acquire()
            try:
                async with self._writer.begin() as connection:
                    yield connection
            finally:
                self._turn.release()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of what is committed; it cannot write. NotNow as above."""
        with self._in_use(), self._told():
            async with self._reader.begin() as connection:
                yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, PoolTimeoutError, TimeoutError) as error:
            cause = error.orig if isinstance(error, OperationalError) else "it is too busy"
            log.error("the database cannot be used: %s: %s", self.path, cause)
            raise NotNow from error

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        self._blocks += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks:
                self._idle.set()

    async def _keep_checkpointing(self) -> None:
        """Move what is committed from the log into the file, without holding up any writer."""
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            try:
                await asyncio.to_thread(_checkpoint, self.path)
            except sqlite3.Error as error:
                log.warning("the database's log could not be written back: %s", error)

    async def _open_readers(self) -> None:
        """All at once and now: one that is cancelled while it opens would be lost, and its thread
        would keep the process from ending."""
        async with AsyncExitStack() as stack:
            for _ in range(READERS):
                await stack.enter_async_context(self._reader.connect())

    async def _migrate(self) -> None:
        async with self._writer.connect() as connection:
            found = await connection.run_sync(revision_of)
        if found == REVISION:
            return
        if found is not None and found > REVISION:
            raise StartupError(NEWER.format(path=self.path, found=found))
        # Alembic costs a fifth of a second and 10 MB: only where there is something to do.
        from bot.store.migrations import upgrade

        async with self._writer.begin() as connection:
            await connection.run_sync(upgrade)


def database_path(url: str) -> Path:
    """The file that DATABASE_URL names; StartupError where it is none of SQLite's."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StartupError(REMEDY.format(problem=f"“{url}” is not an address")) from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise StartupError(REMEDY.format(problem="only SQLite files are possible"))
    return Path(parsed.database)


def pictures_folder(database: Path) -> Path:
    """Where the pictures of a database are kept."""
    return database.parent / "pictures"


WRITER_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # A checkpoint takes 10 to 20 ms, and SQLite would do it inside the commit that a member waits
    # for: it is done beside (`_keep_checkpointing`), and here only if that has fallen far behind.
    "PRAGMA wal_autocheckpoint=20000",
    "PRAGMA synchronous=FULL",  # an answered request survives a power cut
    "PRAGMA foreign_keys=ON",
)
READER_PRAGMAS = ("PRAGMA query_only=ON",)


def _engine(path: Path, *, begin: str, pragmas: tuple[str, ...], size: int) -> AsyncEngine:
    async def connect(*_: object, **__: object) -> aiosqlite.Connection:
        return await Driver(path, timeout=BUSY_SECONDS)

    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        pool_reset_on_return=None,
        hide_parameters=True,  # its errors would show prompts and interaction tokens
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: object) -> None:  # noqa: ANN401  # the driver's own
        connection.isolation_level = None  # the driver begins nothing by itself: we do, below
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: SyncConnection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def revision_of(connection: SyncConnection) -> str | None:
    """What the file was migrated to; None where Easel has made nothing in it yet."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(found) if found else None
