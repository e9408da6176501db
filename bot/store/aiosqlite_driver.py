"""A faster aiosqlite connection for SQLAlchemy: one trip to the thread for each statement.

Workaround, read from aiosqlite 0.22.1 (pyproject.toml pins the minor version; a test fails when a
private part is gone). aiosqlite makes four trips to the connection's thread for a statement (open
a cursor, execute, fetch, close), and each waits for other work of the event loop: storing a
request took 12 trips. Rows are few here, so they are fetched in the trip that executes the
statement; opening and closing a cursor costs nothing and needs no trip. A BEGIN is executed
together with the statement that follows it.

Private parts: `Connection._thread`, `Connection._conn`, `Cursor._execute`, `Cursor._cursor`.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

import aiosqlite
from aiosqlite.context import contextmanager


class Connection(aiosqlite.Connection):
    """An opened one is the result of `create_async_engine(async_creator=…)`."""

    def __init__(self, uri: str, *, timeout: float) -> None:
        """`timeout`, in seconds, limits the wait for another program that writes."""
        opened = partial(sqlite3.connect, uri, uri=True, timeout=timeout, check_same_thread=False)
        super().__init__(opened, iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy sets it: an open connection must not block exit
        self._begin: str | None = None  # to be executed before the next statement

    def begin(self, statement: str) -> None:
        """Begin a transaction with the next statement; with none if a commit comes first."""
        self._begin = statement

    @property
    def is_open(self) -> bool:
        """Return whether there is a transaction, or one begins with the next statement."""
        return self._begin is not None or self.in_transaction

    def take_begin(self) -> str | None:
        """Return the BEGIN that is to be executed, if any, once.

        To be called when a statement is queued. The task may be cancelled before the thread
        executes the statement, which without a BEGIN would commit itself.
        """
        begin, self._begin = self._begin, None
        return begin

    async def commit(self) -> None:
        self._begin = None
        await super().commit()

    async def rollback(self) -> None:
        self._begin = None
        await super().rollback()

    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        return Cursor(self, self._conn.cursor())


class Cursor(aiosqlite.Cursor):
    """A cursor that has its rows as soon as the statement is executed."""

    def __init__(self, connection: Connection, cursor: sqlite3.Cursor) -> None:
        super().__init__(connection, cursor)
        self._connection = connection
        self._rows: Sequence[sqlite3.Row] = ()

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> "Cursor":
        values = () if parameters is None else tuple(parameters)
        begin = self._connection.take_begin()
        rows = await self._execute(self._run, begin, sql, values)  # type: ignore[no-untyped-call]
        self._rows = cast(Sequence[sqlite3.Row], rows)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> "Cursor":
        begin = self._connection.take_begin()
        await self._execute(self._run_many, begin, sql, parameters)  # type: ignore[no-untyped-call]
        return self

    async def fetchall(self) -> Iterable[sqlite3.Row]:
        return self._rows

    async def close(self) -> None:
        self._cursor.close()

    def _run(self, begin: str | None, sql: str, values: tuple[Any, ...]) -> Sequence[sqlite3.Row]:
        if begin:
            self._cursor.execute(begin)
        self._cursor.execute(sql, values)
        return self._cursor.fetchall()  # none of a statement without a result

    def _run_many(self, begin: str | None, sql: str, parameters: Iterable[Any]) -> None:
        if begin:
            self._cursor.execute(begin)
        self._cursor.executemany(sql, parameters)
