"""A faster aiosqlite connection for SQLAlchemy: one trip to the thread for each statement.

Workaround, read from aiosqlite 0.22.1 (pyproject.toml pins the minor version; a test fails when a
private part is gone). aiosqlite makes four trips to the connection's thread for a statement (open
a cursor, execute, fetch, close), and each waits for other work of the event loop: storing a
request took 12 trips. Rows are few here, so they are fetched in the trip that executes the
statement; opening and closing a cursor costs nothing and needs no trip.

Private parts: `Connection._thread`, `Connection._conn`, `Cursor._execute`, `Cursor._cursor`.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import aiosqlite
from aiosqlite.context import contextmanager


class Connection(aiosqlite.Connection):
    """An opened one is the result of `create_async_engine(async_creator=…)`."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        """`timeout`, in seconds, limits the wait for another program that writes."""
        opened = partial(sqlite3.connect, path, timeout=timeout, check_same_thread=False)
        super().__init__(opened, iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy sets it: an open connection must not block exit

    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        return Cursor(self, self._conn.cursor())


class Cursor(aiosqlite.Cursor):
    """A cursor that has its rows as soon as the statement is executed."""

    def __init__(self, connection: Connection, cursor: sqlite3.Cursor) -> None:
        super().__init__(connection, cursor)
        self._rows: Sequence[sqlite3.Row] = ()

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> "Cursor":
        values = () if parameters is None else tuple(parameters)
        rows = await self._execute(self._run, sql, values)  # type: ignore[no-untyped-call]
        self._rows = cast(Sequence[sqlite3.Row], rows)
        return self

    async def fetchall(self) -> Iterable[sqlite3.Row]:
        return self._rows

    async def close(self) -> None:
        self._cursor.close()

    def _run(self, sql: str, values: tuple[Any, ...]) -> Sequence[sqlite3.Row]:
        self._cursor.execute(sql, values)
        return self._cursor.fetchall() if self._cursor.description else ()
