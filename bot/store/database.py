"""The open database, whichever backend it has: transactions, views of the rows, failures.

`bot.store.sqlite` and `bot.store.postgres` are the backends; `bot.store.backends` chooses.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import ClassVar, Self, TypeVar

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.errors import Conflict, NotNow, StartupError
from bot.pseudonyms import Pseudonyms
from bot.store.dialects import insert, replace_row
from bot.store.identities import OPTION
from bot.store.tables import notes

Transaction = AsyncConnection  # yielded by `Database.transaction`
Connection = AsyncConnection  # yielded by `Database.reading`
T = TypeVar("T")

REVISION = "0014"  # the newest migration; a test compares it with the folder
WRITE_LOCK_TIMEOUT = 60.0  # seconds to wait for a turn to write; a member's command has less
CLOSE_SECONDS = 5.0

NEWER = (
    "DATABASE_URL: {label} was written by a newer Easel (revision {found}; this one knows "
    f"{REVISION}). Install that version again, or restore a backup made before the upgrade."
)


class Database(ABC):
    """The open database: `transaction()` writes, `reading()` reads. Use with `async with`.

    `shared` says whether several processes may work on the rows at once.
    """

    shared: ClassVar[bool]

    def __init__(self, label: str) -> None:
        """`label` names the database in messages and logs, without a password."""
        self.label = label
        self.pseudonyms: Pseudonyms | None = None
        self._blocks = 0
        self._idle = asyncio.Event()  # set when the last block has ended
        self._is_closed = False

    async def __aenter__(self) -> Self:
        self._is_closed = False
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @abstractmethod
    async def _open(self) -> None:
        """Check the database, and set an empty one up. StartupError if that is impossible."""

    @abstractmethod
    async def connect_all(self) -> None:
        """Open every connection now, so that no member waits for one. StartupError."""

    @abstractmethod
    async def check(self) -> None:
        """Check that the database can be read and has this version's revision. StartupError."""

    @abstractmethod
    async def migrate(self) -> str | None:
        """Bring the database to this version's revision, and return the revision found."""

    @abstractmethod
    def transaction(
        self, *, timeout: float = WRITE_LOCK_TIMEOUT
    ) -> AbstractAsyncContextManager[AsyncConnection]:
        """Run the block in a transaction: commit at its end, roll back on any exception.

        NotNow if no turn is free within `timeout` seconds, or if the database fails; as Conflict
        if a repeated block may succeed, as OutcomeUnknown if the commit was not confirmed.
        """

    @abstractmethod
    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Yield a consistent, read-only view of the committed rows. NotNow on a failure."""

    @abstractmethod
    async def _dispose(self) -> None:
        """Close every connection."""

    async def run(
        self,
        block: Callable[[AsyncConnection], Awaitable[T]],
        *,
        timeout: float = WRITE_LOCK_TIMEOUT,
    ) -> T:
        """Run `block` in a transaction, once more if another transaction was in conflict."""
        with suppress(Conflict):
            async with self.transaction(timeout=timeout) as tx:
                return await block(tx)
        async with self.transaction(timeout=timeout) as tx:
            return await block(tx)

    def use_pseudonyms(self, pseudonyms: Pseudonyms | None) -> None:
        """Find the rows of members by these pseudonyms too, on all connections from now on."""
        self.pseudonyms = pseudonyms
        for engine in self._engines:
            engine.update_execution_options(**{OPTION: pseudonyms})

    @abstractmethod
    async def scrub(self) -> None:
        """Leave no copy of erased rows in the files, as far as the backend can do that."""

    @property
    @abstractmethod
    def _engines(self) -> Sequence[AsyncEngine]:
        """The engines of the connections that blocks get."""

    async def close(self) -> None:
        """Close every connection, after the open blocks, such as a command's, have ended.

        A block that begins later gets NotNow: discord.py's tasks may outlive its client, and the
        next process may have begun.
        """
        await self.quiet()
        self._is_closed = True
        await self._dispose()

    async def quiet(self) -> None:
        """Wait, for CLOSE_SECONDS at most, until no block is open.

        A task that is cancelled inside a block loses its connection: cancel tasks as soon as this
        returns.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._blocks:
                    await self._idle.wait()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        if self._is_closed:
            raise NotNow
        self._blocks += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks:
                self._idle.set()


class OlderDatabase(StartupError):
    """The database has to be migrated before this version can use it."""


class EmptyDatabase(StartupError):
    """The database has no tables of Easel; the first start creates them."""


def revision_of(connection: SyncConnection) -> str | None:
    """Return the database's revision; None if Easel has made no tables there yet."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(found) if found else None


def refuse_newer(label: str, found: str) -> None:
    """Raise StartupError for a revision that only a newer version knows."""
    if found > REVISION:
        raise StartupError(NEWER.format(label=label, found=found))


READ_NOTE = select(notes.c.value)
WRITE_NOTE = replace_row(insert(notes), notes)


async def read_note(connection: AsyncConnection, name: str) -> str | None:
    """Return a small fact that survives a restart; None if there is none of this name."""
    statement = READ_NOTE.where(notes.c.name == name)
    return (await connection.execute(statement)).scalar_one_or_none()


async def write_note(tx: AsyncConnection, name: str, value: str) -> None:
    """Store a small fact that survives a restart."""
    await tx.execute(WRITE_NOTE, {"name": name, "value": value})
