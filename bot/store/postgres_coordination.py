"""Coordination through PostgreSQL: a session of its own for heartbeats, duties and news.

A duty is an advisory lock of the session, so that PostgreSQL itself gives the duty to another
process as soon as the session ends. News are notifications: hints, beside which the rows are read
every two seconds.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol
from zlib import crc32

import asyncpg

from bot.clock import elapsed
from bot.store.coordination import ADVANCING, Duty, News, Role, new_process_id

log = logging.getLogger(__name__)

CHANNEL = "easel"
HEARTBEAT = 5.0  # seconds
TIMEOUT = 5.0  # seconds for one statement, and for the connection
# Without a heartbeat for so long, a process counts as ended. PostgreSQL ends its session then.
SILENCE = timedelta(seconds=30)
RETRY = 2.0  # seconds between the loss of the session and the next attempt to open one
LOCKS = 1_634_104_677  # the first number of Easel's advisory locks; the second names the duty
FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a statement just when the server ends the session
    OSError,
    TimeoutError,
)

SEEN = """
    INSERT INTO processes (id, role, started_at, seen_at)
    VALUES ($1, $2, clock_timestamp(), clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()
"""
LIVE = "SELECT role FROM processes WHERE seen_at > clock_timestamp() - $1::interval"
FORGET = "DELETE FROM processes WHERE seen_at < clock_timestamp() - interval '1 hour'"
LEAVE = "DELETE FROM processes WHERE id = $1"
TAKE_DUTY = "SELECT pg_try_advisory_lock($1, $2)"
NOTIFY = "SELECT pg_notify($1, $2)"


class Session(Protocol):
    """The part of an asyncpg connection that the coordination uses."""

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...

    async def execute(self, query: str, *args: object) -> str: ...

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, object]]: ...

    async def fetchval(self, query: str, *args: object) -> object: ...

    def get_server_pid(self) -> int: ...

    def terminate(self) -> None: ...


Connect = Callable[[], Awaitable[Session]]


class PostgresCoordination:
    """The coordination of one process; see `bot.store.coordination.Coordination`."""

    def __init__(
        self,
        connect: Connect,
        role: Role,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        """`connect` opens a session with time-outs for every statement; `clock` counts seconds."""
        self.process = new_process_id()
        self._connect = connect
        self._role = role
        self._clock = clock
        self._duties: set[Duty] = set()
        self._live: Counter[str] = Counter()
        self._beaten_at = -math.inf
        self._listeners: dict[News, list[Callable[[str], None]]] = {}
        self._pending: dict[str, None] = {}  # announcements that were not sent yet, in their order
        self._news = asyncio.Event()
        self._attempted = asyncio.Event()  # to take part

    @property
    def workers(self) -> int:
        return max(sum(self._live[role] for role in ADVANCING), 1)

    @property
    def processes(self) -> int:
        return max(self._live.total(), 1)

    def has(self, duty: Duty) -> bool:
        return (
            duty in self._duties and self._clock() - self._beaten_at < SILENCE.total_seconds() / 2
        )

    def announce(self, news: News, text: str = "") -> None:
        self._call_listeners(news, text)  # without the round trip
        self._pending[f"{news}:{text}"] = None
        self._news.set()

    def listen(self, news: News, heard: Callable[[str], None]) -> None:
        self._listeners.setdefault(news, []).append(heard)

    async def run(self) -> None:
        """Take part until cancelled. A lost session is replaced by another."""
        try:
            while True:
                try:
                    await self._take_part()
                except FAILURES as error:
                    log.warning("session for coordination lost, retrying: %s", _summary(error))
                self._attempted.set()
                self._duties.clear()
                await asyncio.sleep(RETRY)
        finally:
            self._duties.clear()

    async def joined(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT):
                await self._attempted.wait()

    async def _take_part(self) -> None:
        async with asyncio.timeout(TIMEOUT):
            session = await self._connect()
        try:
            await session.add_listener(CHANNEL, self._heard)
            while True:
                async with asyncio.timeout(TIMEOUT):
                    await self._beat(session)
                self._attempted.set()
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        while True:
                            await self._send_news(session)
                            await self._news.wait()
                except TimeoutError:
                    pass
        except asyncio.CancelledError:  # the program ends: others need not wait for the silence
            with suppress(*FAILURES):
                async with asyncio.timeout(1.0):
                    await session.execute(LEAVE, self.process)
            raise
        finally:
            session.terminate()  # PostgreSQL releases the locks

    async def _beat(self, session: Session) -> None:
        """Renew the row of this process, count the live ones, and take the duties that are free."""
        begun = self._clock()
        await session.execute(SEEN, self.process, self._role)
        rows = await session.fetch(LIVE, SILENCE)
        self._live = Counter(str(row["role"]) for row in rows)
        for duty in Duty if self._role in ADVANCING else ():
            if duty not in self._duties and await session.fetchval(TAKE_DUTY, LOCKS, number(duty)):
                log.info("this process has the duty %s", duty)
                self._duties.add(duty)
        if Duty.RETENTION in self._duties:
            await session.execute(FORGET)
        self._beaten_at = begun

    async def _send_news(self, session: Session) -> None:
        self._news.clear()
        while self._pending:
            payload = next(iter(self._pending))
            async with asyncio.timeout(TIMEOUT):
                await session.execute(NOTIFY, CHANNEL, payload)
            self._pending.pop(payload, None)

    def _heard(self, session: Session, sender: int, _: str, payload: object) -> None:
        if sender != session.get_server_pid():
            news, _, text = str(payload).partition(":")
            self._call_listeners(News(news), text)

    def _call_listeners(self, news: News, text: str) -> None:
        for heard in self._listeners.get(news, ()):
            heard(text)


def number(name: str) -> int:
    """Return the second number of an advisory lock, a signed one of 32 bits."""
    return crc32(name.encode()) - 2**31


def _summary(error: BaseException) -> str:
    """Return the kind of a failure and its first line: details may hold values of a row."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
