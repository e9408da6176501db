"""A PostgreSQL database, which several processes may share: a pool that writes, one that reads.

Transactions are READ COMMITTED: a read-then-write locks the row (`jobs.lock`) or the quotas
(`dialects.lock_quotas`) first. Views are REPEATABLE READ and READ ONLY.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import Any, ClassVar

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncTransaction,
    create_async_engine,
)

from bot.database_address import POSTGRES_REMEDY, label_of
from bot.errors import Conflict, NotNow, OutcomeUnknown, StartupError
from bot.store.database import WRITE_LOCK_TIMEOUT, Database
from bot.store.postgres_errors import (
    FAILURES,
    READ_ONLY,
    NoConnection,
    explain,
    is_conflict,
    is_outage,
    is_refused,
    state_of,
    summary,
)
from bot.store.postgres_setup import check_revision, check_server, migrate, set_up

log = logging.getLogger(__name__)

WRITERS, READERS = 8, 4  # connections of one process, at most
CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 30.0  # for the whole of a statement, should the server not answer at all
ACQUIRE_SECONDS = 5.0  # to wait for a connection that reads
IDLE_SECONDS = 30.0  # unused for longer, a connection is tried before it is used
TIMEOUTS = {  # in milliseconds, held by the server
    "statement_timeout": "20000",
    "lock_timeout": "1500",  # a member's reply has 3 s
    # A process that is stopped, or whose host is gone, must not hold its locks for long.
    "idle_in_transaction_session_timeout": "10000",
}
READING = {
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "60000",  # the audit computes between its pages
}


class PostgresDatabase(Database):
    """A database of a PostgreSQL server, through asyncpg."""

    shared: ClassVar[bool] = True

    def __init__(self, url: str) -> None:
        """StartupError if `url` is no complete address, or if asyncpg is not installed."""
        super().__init__(label_of(url))
        if find_spec("asyncpg") is None:
            raise StartupError(
                "DATABASE_URL: PostgreSQL needs the package asyncpg, which is not installed. "
                "Install Easel's extra “cluster”, in the folder of its code: "
                "`pip install '.[cluster]'`."
            )
        self._url = url
        self._writer = _engine(url, TIMEOUTS, size=WRITERS, isolation="READ COMMITTED")
        reading = {**TIMEOUTS, **READING}
        self._reader = _engine(url, reading, size=READERS, isolation="REPEATABLE READ")

    async def _open(self) -> None:
        with self._explained():
            async with self._connected(self._writer, CONNECT_SECONDS) as connection:
                await check_server(connection, self.label)
                await set_up(connection, self.label)
                await connection.commit()

    async def connect_all(self) -> None:
        with self._explained():
            async with AsyncExitStack() as stack:
                for engine, size in ((self._writer, WRITERS), (self._reader, READERS)):
                    for _ in range(size):
                        opened = self._connected(engine, CONNECT_SECONDS)
                        await stack.enter_async_context(opened)

    async def check(self) -> None:
        with self._explained():
            async with self._connected(self._writer, CONNECT_SECONDS) as connection:
                await check_server(connection, self.label)
                await check_revision(connection, self.label)

    async def migrate(self) -> str | None:
        with self._explained():
            async with self._connected(self._writer, CONNECT_SECONDS) as connection:
                await check_server(connection, self.label)
                found = await migrate(connection, self.label)
                await connection.commit()
        return found

    async def session(self, *, idle_seconds: float) -> Any:  # noqa: ANN401  # asyncpg has no types
        """Open a connection of its own, which the server ends after so many idle seconds."""
        idle = {"idle_session_timeout": str(int(idle_seconds * 1000))}
        return await connect(self._url, {**TIMEOUTS, **idle})

    @asynccontextmanager
    async def transaction(
        self, *, timeout: float = WRITE_LOCK_TIMEOUT
    ) -> AsyncIterator[AsyncConnection]:
        """Run the block in a READ COMMITTED transaction."""
        with self._in_use(), self._failures_as_not_now(READ_ONLY):
            async with self._connected(self._writer, timeout) as connection:
                begun = await connection.begin()
                yield connection
                await _commit(begun)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        with self._in_use(), self._failures_as_not_now():
            async with self._connected(self._reader, ACQUIRE_SECONDS) as connection:
                yield connection

    async def scrub(self) -> None:
        """Leave the files to autovacuum, which overwrites former rows; dumps have none of them."""

    @property
    def _engines(self) -> Sequence[AsyncEngine]:
        return self._writer, self._reader

    async def _dispose(self) -> None:
        for engine in (self._writer, self._reader):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await engine.dispose()
            except FAILURES as error:  # the server ends the connection by itself
                log.info("connections of the database not closed: %s", summary(error))

    @asynccontextmanager
    async def _connected(
        self, engine: AsyncEngine, timeout: float
    ) -> AsyncIterator[AsyncConnection]:
        """Yield a connection, and roll back whatever was not committed at the end."""
        async with asyncio.timeout(timeout):
            connection = await engine.connect()
        try:
            yield connection
        finally:
            await connection.close()

    @contextmanager
    def _failures_as_not_now(self, *states: str) -> Iterator[None]:
        """Raise NotNow for an outage, which `states` of the server are too."""
        try:
            yield
        except FAILURES as error:
            if not is_outage(error) and state_of(error) not in states:
                raise
            log.error("the database cannot be used: %s: %s", self.label, summary(error))
            raise (Conflict if is_conflict(error) else NotNow) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise StartupError(explain(error, self.label)) from error
        except ValueError as error:  # the driver reads the parameters when it connects
            problem = f"the address of {self.label} has a parameter with a wrong value"
            raise StartupError(POSTGRES_REMEDY.format(problem=problem)) from error


async def _commit(begun: AsyncTransaction) -> None:
    """Commit. OutcomeUnknown unless the server has either confirmed or refused."""
    try:
        await begun.commit()
    except FAILURES as error:
        if is_refused(error):
            raise
        log.error("outcome of a commit unknown: %s", summary(error))
        raise OutcomeUnknown from error


async def connect(url: str, settings: Mapping[str, str]) -> Any:  # noqa: ANN401  # the driver's own
    """Open a connection of asyncpg, with these settings of the server. NoConnection, OSError."""
    import asyncpg  # only where used: the package is in an extra

    try:
        return await asyncpg.connect(
            url.strip(),
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings={"application_name": "easel", "timezone": "UTC", **settings},
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NoConnection(error) from error


def _engine(url: str, settings: Mapping[str, str], *, size: int, isolation: str) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda *_, **__: connect(url, settings),
        isolation_level=isolation,
        pool_size=size,
        max_overflow=0,
        pool_timeout=WRITE_LOCK_TIMEOUT,  # `_connected` has a time-out of its own
        pool_use_lifo=True,  # the statements of a used connection are prepared already
        hide_parameters=True,  # errors would show prompts and interaction tokens
    )

    @event.listens_for(engine.sync_engine, "checkin")
    def note_time(_: object, record: Any) -> None:  # noqa: ANN401  # SQLAlchemy's own
        record.info["used_at"] = time.monotonic()

    # SQLAlchemy's pool_pre_ping costs three round trips for each transaction. A connection that the
    # server has closed is known without one, so that only a long unused one is tried.
    @event.listens_for(engine.sync_engine, "checkout")
    def try_out(adapted: Any, record: Any, _: object) -> None:  # noqa: ANN401
        if adapted.driver_connection.is_closed():
            raise DisconnectionError
        if time.monotonic() - record.info.get("used_at", time.monotonic()) > IDLE_SECONDS:
            try:
                adapted.ping()
            except Exception as error:
                raise DisconnectionError from error

    @event.listens_for(engine.sync_engine, "handle_error")
    def hide_rows(context: ExceptionContext) -> None:
        """Leave out the details of an error, which hold the values of a row, such as a prompt."""
        original = context.original_exception
        for error in (original, context.sqlalchemy_exception):
            if error is not None:  # SQLAlchemy 2.0 copies the whole text
                texts = (re.sub(r"\n.*", "", str(each), flags=re.S) for each in error.args)
                error.args = tuple(texts)
        if (cause := original.__cause__) is not None and getattr(cause, "detail", None):
            cause.detail = None  # type: ignore[attr-defined]

    return engine
