"""The session of one process for its coordination: heartbeats, duties and news, step by step."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from bot.store import postgres_coordination, postgres_permits
from bot.store.coordination import Duty, News, Role
from bot.store.postgres import PostgresDatabase
from bot.store.postgres_coordination import (
    CHANNEL,
    FORGET,
    LEAVE,
    LOCKS,
    NOTIFY,
    SEEN,
    SILENCE,
    TAKE_DUTY,
    PostgresCoordination,
    Session,
    number,
)
from bot.store.postgres_permits import PostgresPermits
from tests.store.test_coordination import until
from tests.support.cluster import Cluster

ROW = "INSERT INTO processes VALUES ($1, $2, clock_timestamp(), clock_timestamp() - $3::interval)"


class Server:
    """The sessions of one process, the statements that they executed, and another session."""

    def __init__(self, database: PostgresDatabase, other: Any) -> None:  # noqa: ANN401  # asyncpg
        self.database = database
        self.other = other
        self.now = 100.0
        self.sessions: list[Any] = []
        self.executed: list[tuple[object, ...]] = []  # each with its arguments
        self.on_execute: Callable[[str], None] = lambda _: None

    async def connect(self) -> Any:  # noqa: ANN401  # asyncpg has no types
        session = await self.database.session(idle_seconds=30.0)
        session.add_query_logger(self._note)
        self.sessions.append(session)
        return session

    def _note(self, logged: Any) -> None:  # noqa: ANN401
        self.executed.append((logged.query, *logged.args))
        self.on_execute(logged.query)

    def made(self, role: Role = Role.WORKER) -> PostgresCoordination:
        return PostgresCoordination(self.connect, role, lambda: self.now)

    def of(self, query: str) -> list[tuple[object, ...]]:
        """Return the arguments of each execution of a statement."""
        return [each[1:] for each in self.executed if each[0] == query]

    @property
    def wanted(self) -> list[object]:
        """The locks that were asked for."""
        return [lock for _, lock in self.of(TAKE_DUTY)]

    async def take(self, *locks: int) -> None:
        """Let another session have the locks."""
        for lock in locks:
            await self.other.execute("SELECT pg_advisory_lock($1, $2)", LOCKS, lock)

    async def release(self) -> None:
        await self.other.execute("SELECT pg_advisory_unlock_all()")

    async def add(self, name: str, role: str, age: timedelta = timedelta(0)) -> None:
        """Store the row of another process, which was seen some time ago."""
        await self.other.execute(ROW, name, role, age)

    async def rows(self) -> dict[str, str]:
        """Return the roles of the stored processes."""
        return {row["id"]: row["role"] for row in await self.other.fetch("SELECT * FROM processes")}

    async def end_session(self) -> None:
        """End the newest session as the server does at its stop."""
        pid = self.sessions[-1].get_server_pid()
        await self.other.execute("SELECT pg_terminate_backend($1, 10000)", pid)

    async def beats(self, count: int) -> None:
        """Wait for so many more heartbeats, with all that belongs to them."""
        before = len(self.of(SEEN))
        await until(lambda: len(self.of(SEEN)) > before + count)

    async def hear(self) -> list[str]:
        """Return the list to which the payloads of the news for other processes will be added."""
        heard: list[str] = []
        await self.other.add_listener(CHANNEL, lambda *given: heard.append(given[3]))
        return heard


@asynccontextmanager
async def server_at(url: str) -> AsyncIterator[Server]:
    async with PostgresDatabase(url) as database:
        other = await database.session(idle_seconds=60.0)
        yield Server(database, other)
        other.terminate()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_coordination, "HEARTBEAT", 0.01)
    monkeypatch.setattr(postgres_coordination, "RETRY", 0.01)


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each session have one heartbeat, at its begin."""
    monkeypatch.setattr(postgres_coordination, "HEARTBEAT", 60.0)


@pytest.fixture
async def server(postgres_url: str) -> AsyncIterator[Server]:
    async with server_at(postgres_url) as made:
        yield made


@asynccontextmanager
async def taking_part(made: PostgresCoordination) -> AsyncIterator[None]:
    running = asyncio.create_task(made.run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_before_the_first_heartbeat_a_process_counts_itself_and_has_no_duty(
    server: Server,
) -> None:
    made = server.made()
    assert (made.workers, made.processes) == (1, 1)
    assert not any(made.has(duty) for duty in Duty)


@pytest.mark.usefixtures("rarely")
async def test_a_process_has_joined_once_it_knows_the_others_and_has_the_free_duties(
    server: Server,
) -> None:
    await server.add("another", "worker")
    made = server.made()
    assert not await joins(made, within=0.05)
    async with taking_part(made):
        await made.joined()

        assert made.workers == 2
        assert all(made.has(duty) for duty in Duty)


@pytest.mark.usefixtures("rarely")
async def test_a_server_that_refuses_sessions_keeps_no_process_from_its_start() -> None:
    async def refused() -> Session:
        raise ConnectionRefusedError

    made = PostgresCoordination(refused, Role.WORKER)
    async with taking_part(made):
        assert await joins(made, within=2.0)

        assert (made.workers, made.processes) == (1, 1)


async def test_a_server_that_does_not_answer_delays_a_start_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert postgres_coordination.TIMEOUT <= 5.0
    made = PostgresCoordination(asyncio.Event().wait, Role.WORKER)  # type: ignore[arg-type]
    async with taking_part(made):
        assert not await joins(made, within=0.05)
        monkeypatch.setattr(postgres_coordination, "TIMEOUT", 0.01)

        assert await joins(made, within=2.0)


async def joins(made: PostgresCoordination, *, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            await made.joined()
    except TimeoutError:
        return False
    return True


async def test_live_processes_are_counted_by_their_roles(server: Server) -> None:
    for name, role in enumerate(["run", "worker", "worker", "gateway", "a later one"]):
        await server.add(str(name), role)
    made = server.made(Role.GATEWAY)
    async with taking_part(made):
        await server.beats(1)

        assert (made.workers, made.processes) == (3, 6)
        assert (await server.rows())[made.process] == "gateway"


async def test_a_gateway_asks_for_no_duty_and_forgets_no_process(server: Server) -> None:
    made = server.made(Role.GATEWAY)
    async with taking_part(made):
        await server.beats(2)

    assert server.wanted == server.of(FORGET) == []


async def test_a_worker_asks_for_each_duty_until_it_has_it(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, *others = (number(duty) for duty in Duty)
    await server.take(*others)
    made = server.made()
    async with taking_part(made):
        await server.beats(3)
        assert [made.has(duty) for duty in Duty] == [True, False, False, False]
        asked = server.wanted
        assert len(asked) > 1 + 2 * len(others)
        assert asked == [first, *others * len(asked)][: len(asked)]
        await server.release()
        await until(lambda: all(made.has(duty) for duty in Duty))
        await server.beats(0)
        asked = server.wanted
        await server.beats(2)

    assert server.wanted == asked
    assert Counter(asked)[first] == 1
    assert caplog.text.count("this process has the duty") == len(Duty)


async def test_the_numbers_of_duties_are_different_ones_of_32_bits() -> None:
    numbers = sorted(number(name) for name in (*Duty, "identify 0"))
    assert all(a < b for a, b in pairwise(numbers))
    assert -(2**31) <= numbers[0] <= numbers[-1] < 2**31


async def test_only_who_has_the_duty_of_retention_forgets_processes(server: Server) -> None:
    await server.add("gone", "worker", timedelta(minutes=61))
    await server.add("silent", "worker", timedelta(minutes=59))
    await server.take(number(Duty.RETENTION))
    made = server.made()
    async with taking_part(made):
        await server.beats(2)
        assert made.has(Duty.EVENTS)
        assert server.of(FORGET) == []
        await server.release()
        await until(lambda: server.of(FORGET))
        assert made.has(Duty.RETENTION)
        assert await server.rows() == {made.process: "worker", "silent": "worker"}


@pytest.mark.usefixtures("rarely")
async def test_a_duty_is_had_for_half_of_the_silence_after_the_begin_of_a_heartbeat(
    server: Server,
) -> None:
    def pass_time(query: str) -> None:
        server.now += 1.0 if query == SEEN else 0.0

    server.on_execute = pass_time
    made = server.made()
    async with taking_part(made):
        await until(lambda: made.has(Duty.EVENTS))
        assert server.now == 101.0
        end = 100.0 + SILENCE.total_seconds() / 2
        for moment, has in ((end - 0.001, True), (end, False), (end + 0.001, False)):
            server.now = moment
            assert [made.has(duty) for duty in Duty] == [has] * len(Duty)
    assert timedelta(seconds=30) == SILENCE


async def test_a_session_that_fails_takes_the_duties_and_another_begins(
    own_postgres_url: str, postgres: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """The details of the failure have the values of the row."""
    refuse = "ALTER TABLE processes ADD CONSTRAINT none CHECK (id = '') NOT VALID"
    async with server_at(own_postgres_url) as server:
        made = server.made()
        async with taking_part(made):
            await until(lambda: made.has(Duty.EVENTS))
            await postgres.execute(refuse, url=own_postgres_url)
            await until(lambda: not made.has(Duty.EVENTS))
            assert not any(made.has(duty) for duty in Duty)
            await postgres.execute(
                "ALTER TABLE processes DROP CONSTRAINT none", url=own_postgres_url
            )
            await until(lambda: made.has(Duty.EVENTS))

        assert len(server.sessions) > 1
        assert all(each.is_closed() for each in server.sessions)
    assert "session for coordination lost, retrying: CheckViolationError: new row" in caplog.text
    assert "DETAIL" not in caplog.text
    assert made.process not in caplog.text


@pytest.mark.usefixtures("rarely")
@pytest.mark.parametrize("lost", [False, True])
async def test_a_process_that_ends_leaves_and_has_no_duty(server: Server, lost: bool) -> None:
    made = server.made()
    async with taking_part(made):
        await until(lambda: made.has(Duty.EVENTS))
        await until(lambda: server.of(FORGET))
        if lost:
            await server.end_session()

    (session,) = server.sessions
    assert session.is_closed()
    assert not any(made.has(duty) for duty in Duty)
    if not lost:
        await until(lambda: server.executed[-1] == (LEAVE, made.process))
        assert await server.rows() == {}


# News


@pytest.mark.usefixtures("rarely")
async def test_news_are_heard_here_at_once_and_sent_in_their_order(server: Server) -> None:
    others = await server.hear()
    made = server.made()
    heard: list[str] = []
    for _ in range(2):
        made.listen(News.ENDED, heard.append)
    made.announce(News.ENDED, "b")
    made.announce(News.ROWS)
    made.announce(News.ENDED, "a:b")
    made.announce(News.ENDED, "b")
    assert heard == ["b", "b", "a:b", "a:b", "b", "b"]
    async with taking_part(made):
        await until(lambda: len(others) == 3)
        made.announce(News.ROWS, "cancels")
        await until(lambda: len(others) == 4)

    assert others == ["ended:b", "rows:", "ended:a:b", "rows:cancels"]
    assert len(server.of(NOTIFY)) == 4


@pytest.mark.usefixtures("rarely")
async def test_news_that_were_not_sent_are_sent_by_the_next_session(server: Server) -> None:
    others = await server.hear()
    made = server.made()
    async with taking_part(made):
        await until(lambda: made.has(Duty.EVENTS))
        await server.end_session()
        made.announce(News.ROWS, "x")
        await until(lambda: others)
        await until(lambda: made.has(Duty.EVENTS))

    assert len(server.sessions) == 2
    assert others == ["rows:x"]


async def test_news_of_others_are_heard_and_own_ones_not_again(server: Server) -> None:
    others = await server.hear()
    made = server.made()
    heard: list[tuple[News, str]] = []
    for news in News:
        made.listen(news, lambda text, news=news: heard.append((news, text)))  # type: ignore[misc]
    async with taking_part(made):
        await server.beats(1)
        made.announce(News.ENDED, "c")
        await until(lambda: others == ["ended:c"])  # it has come to all who listen
        for payload in ("ended:a:b", "rows:"):
            await server.other.execute(NOTIFY, CHANNEL, payload)
        await until(lambda: (News.ROWS, "") in heard)

    assert heard == [(News.ENDED, "c"), (News.ENDED, "a:b"), (News.ROWS, "")]


# Permits


async def test_a_permit_that_another_has_is_asked_for_now_and_then(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_permits, "POLL", 0.05)
    lock, loop = number("identify 3"), asyncio.get_running_loop()
    await server.take(lock)
    began = loop.time()

    async def release() -> None:
        await until(lambda: len(server.wanted) > 2)
        await server.release()

    releasing = asyncio.create_task(release())
    async with PostgresPermits(server.connect).hold(3):
        taken = loop.time() - began
        await releasing
        (session,) = server.sessions
        assert not session.is_closed()

    assert 2 < len(server.wanted) <= 1 + taken / 0.049
    assert {*server.wanted} == {lock}
    assert session.is_closed()
