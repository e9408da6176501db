"""Group commit: transactions that wait for each other share one commit, and so one fsync.

The fsync is most of the time of a small transaction. The blocks run one after another on the
writer's connection. While others wait, the commit does too: the next block runs in a savepoint of
the same transaction. A block's caller goes on after the commit, so that nothing is announced which
a power failure could take back. A block that fails is rolled back alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

from sqlalchemy import Connection as SyncConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction

from bot.errors import Conflict
from bot.store.aiosqlite_driver import Connection as Driver

T = TypeVar("T")

MOST_BLOCKS = 32  # in one transaction
LONGEST = 0.02  # seconds from the begin of a transaction after which no other block joins


@dataclass(eq=False)
class Group:
    """A transaction of the database, and the blocks in it."""

    connection: AsyncConnection
    transaction: AsyncTransaction
    began_at: float  # by the clock of the event loop
    ended: asyncio.Future[None]  # the commit, for all blocks that ended well
    blocks: int = 0  # that ended well; 0 if they have written nothing that may be committed
    _is_lost: bool = False  # has writes of a block that failed

    @property
    def is_usable(self) -> bool:
        """Return whether the transaction exists: SQLite ends one itself if a disk is full."""
        return not self._is_lost and not self.connection.invalidated and self._driver.is_open

    @property
    def _driver(self) -> Driver:
        raw = cast(SyncConnection, self.connection.sync_connection).connection
        return cast(Driver, raw.driver_connection)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """Take back what the block has written if it fails.

        A savepoint begins with the block's first statement; an earlier one of the same name, which
        nothing refers to any more, ends with the transaction.
        """
        is_first = not self._driver.in_transaction  # that executes a statement
        if not is_first:
            self._driver.begin("SAVEPOINT block")
        try:
            yield
        except BaseException:
            if is_first:
                self.blocks = 0
            elif self.is_usable and self._driver.take_begin() is None:
                self._is_lost = True
                await self.connection.exec_driver_sql("ROLLBACK TO block")
                self._is_lost = False
            raise
        self.blocks += 1

    def takes_another(self, now: float) -> bool:
        return self.blocks < MOST_BLOCKS and now - self.began_at < LONGEST


class GroupCommit:
    def __init__(self, engine: AsyncEngine) -> None:
        """`engine` has one connection."""
        self._engine = engine
        self._lock = asyncio.Lock()  # first come, first served
        self._waiting = 0
        self._group: Group | None = None
        self._ends: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def transaction(self, timeout: float) -> AsyncIterator[AsyncConnection]:
        """Run the block as the only writer, and return after its commit.

        TimeoutError if no turn is free within `timeout` seconds. Conflict if another block took
        the transaction down, as one that is cancelled within a statement does.
        """
        await self._take_turn(timeout)
        try:
            group = self._group = self._group or await self._begin()
        except BaseException:
            self._lock.release()
            raise
        try:
            async with group.block():
                yield group.connection
        finally:
            self._end_turn(group)
        await asyncio.shield(group.ended)

    async def alone(self, work: Callable[[Driver], Awaitable[T]]) -> T:
        """Return the result of work on the driver's connection, while no transaction is open."""
        await self._take_turn(None)
        while group := self._group:  # it waits for one more block
            self._group = None
            self._start(self._end(group, usable=group.is_usable))
            await self._take_turn(None)
        try:
            async with self._engine.connect() as connection:
                opened = await connection.get_raw_connection()
                return await work(cast(Driver, opened.driver_connection))
        finally:
            self._lock.release()

    async def close(self) -> None:
        """Wait for the commits that are on their way."""
        while self._ends:
            await asyncio.wait(self._ends)

    async def _take_turn(self, timeout: float | None) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout):
                await self._lock.acquire()
        except BaseException:
            if self._waiting == 1 and not self._lock.locked():  # others waited for this one
                self._start(self._end_abandoned())
            raise
        finally:
            self._waiting -= 1

    async def _end_abandoned(self) -> None:
        """End the transaction that the last one to wait for a turn would have joined."""
        await self._take_turn(None)
        if self._group is None:
            self._lock.release()
        else:
            self._end_turn(self._group)

    async def _begin(self) -> Group:
        loop, connection = asyncio.get_running_loop(), await self._engine.connect()
        try:
            transaction = await connection.begin()
        except BaseException:
            await connection.close()
            raise
        ended = loop.create_future()
        ended.add_done_callback(_retrieve)
        return Group(connection, transaction, loop.time(), ended)

    def _end_turn(self, group: Group) -> None:
        """Give the turn to the next block, or end the transaction first."""
        usable = group.is_usable
        joins = self._waiting and group.takes_another(asyncio.get_running_loop().time())
        if usable and group.blocks and joins:
            self._lock.release()
            return
        self._group = None
        # A task of its own: a commit must not end with the task of one of its blocks.
        self._start(self._end(group, usable=usable))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        end = asyncio.create_task(work, name="commit")
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)

    async def _end(self, group: Group, *, usable: bool) -> None:
        """Commit, or roll back what is left of a transaction without a block that ended well."""
        try:
            try:
                if usable and group.blocks:
                    await group.transaction.commit()
                elif not usable and group.blocks:
                    raise Conflict
                else:
                    await group.transaction.rollback()
            except BaseException:
                await group.connection.invalidate()  # SQLite may have left the transaction open
                raise
            finally:
                await group.connection.close()
        except BaseException as error:  # the callers raise it
            group.ended.set_exception(error)
        else:
            group.ended.set_result(None)
        finally:
            self._lock.release()


def _retrieve(ended: "asyncio.Future[None]") -> None:
    """Read the error of a commit whose callers have all been cancelled: asyncio would log it."""
    if not ended.cancelled():
        ended.exception()
