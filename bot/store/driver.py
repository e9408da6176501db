"""SQLite's connection for SQLAlchemy: one trip to its thread for each statement.

Every trip waits for whatever the event loop does meanwhile, and aiosqlite makes four of them for a
statement (open a cursor, execute, fetch, close): a member's request took 12 until it was stored.
What a statement gives is small here, so it is fetched in the trip that executes it; opening and
closing a cursor costs nothing, so that is done where we are.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import aiosqlite
from aiosqlite.context import contextmanager


class Connection(aiosqlite.Connection):
    """What `create_async_engine(async_creator=…)` is to be given, opened."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        """`timeout` in seconds: how long to wait for another program that writes."""
        opened = partial(sqlite3.connect, path, timeout=timeout, check_same_thread=False)
        super().__init__(opened, iter_chunk_size=64)
        self._thread.daemon = True  # as SQLAlchemy has it: one left open must not hold up the exit

    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        return Cursor(self, self._conn.cursor())


class Cursor(aiosqlite.Cursor):
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
