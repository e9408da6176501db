"""The session of one process for its coordination: heartbeats, duties and news, step by step.

The server is a stand-in, so that a test decides what each statement answers.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import pairwise

import asyncpg
import pytest

from bot.store import postgres_coordination, postgres_permits
from bot.store.coordination import Duty, News, Role
from bot.store.postgres_coordination import (
    FORGET,
    LEAVE,
    LIVE,
    NOTIFY,
    SEEN,
    SILENCE,
    PostgresCoordination,
    number,
)
from bot.store.postgres_permits import PostgresPermits

OWN, OTHER = 1, 2  # ids of the server's processes
Heard = Callable[..., None]


class Session:
    """A session of the stand-in's server."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.heard: Heard | None = None
        self.executed: list[tuple[object, ...]] = []
        self.wanted: list[object] = []  # the locks that were asked for
        self.terminated = False

    async def add_listener(self, channel: str, callback: Heard) -> None:
        assert channel == "easel"
        self.heard = callback

    async def execute(self, query: str, *args: object) -> str:
        self.executed.append((query, *args))
        self.server.on_execute(query)
        return ""

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, object]]:
        assert (query, *args) == (LIVE, SILENCE)
        return [{"role": role} for role in self.server.roles]

    async def fetchval(self, query: str, *args: object) -> object:
        self.wanted.append(args[1])
        return args[1] in self.server.free

    def get_server_pid(self) -> int:
        return OWN

    def terminate(self) -> None:
        self.terminated = True

    def of(self, query: str) -> list[tuple[object, ...]]:
        """Return the arguments of each execution of a statement."""
        return [each[1:] for each in self.executed if each[0] == query]


class Server:
    def __init__(self) -> None:
        self.now = 100.0
        self.roles: list[str] = []
        self.free = {number(name) for name in (*Duty, "identify 3")}  # locks that nobody has
        self.sessions: list[Session] = []
        self.on_execute: Callable[[str], None] = lambda _: None

    async def connect(self) -> Session:
        self.sessions.append(Session(self))
        return self.sessions[-1]

    def made(self, role: Role = Role.WORKER) -> PostgresCoordination:
        return PostgresCoordination(self.connect, role, lambda: self.now)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(postgres_coordination, "HEARTBEAT", 0.01)
    monkeypatch.setattr(postgres_coordination, "RETRY", 0.01)
    return Server()


@asynccontextmanager
async def taking_part(made: PostgresCoordination) -> AsyncIterator[None]:
    running = asyncio.create_task(made.run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def beats(server: Server, count: int) -> Session:
    """Wait for so many heartbeats of the newest session, with all that belongs to them."""
    await until(lambda: server.sessions and len(server.sessions[-1].of(SEEN)) > count)
    return server.sessions[-1]


async def test_before_the_first_heartbeat_a_process_counts_itself_and_has_no_duty(
    server: Server,
) -> None:
    made = server.made()
    assert (made.workers, made.processes) == (1, 1)
    assert not any(made.has(duty) for duty in Duty)


async def test_live_processes_are_counted_by_their_roles(server: Server) -> None:
    server.roles = ["run", "worker", "worker", "gateway", "of a later version"]
    made = server.made(Role.GATEWAY)
    async with taking_part(made):
        session = await beats(server, 1)

        assert (made.workers, made.processes) == (3, 5)
    assert {*session.of(SEEN)} == {(made.process, Role.GATEWAY)}


async def test_a_gateway_asks_for_no_duty_and_forgets_no_process(server: Server) -> None:
    made = server.made(Role.GATEWAY)
    async with taking_part(made):
        session = await beats(server, 2)

    assert session.wanted == session.of(FORGET) == []


async def test_a_worker_asks_for_each_duty_until_it_has_it(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, *others = (number(duty) for duty in Duty)
    server.free = {first}
    made = server.made()
    async with taking_part(made):
        session = await beats(server, 3)
        assert [made.has(duty) for duty in Duty] == [True, False, False, False]
        server.free |= {*others}
        await until(lambda: all(made.has(duty) for duty in Duty))
        await beats(server, len(session.of(SEEN)) + 2)

    asked = Counter(session.wanted)
    assert asked[first] == 1
    assert 3 < asked[others[0]] < len(session.of(SEEN))
    assert session.wanted == [first, *others * asked[others[0]]]
    assert caplog.text.count("this process has the duty") == len(Duty)


async def test_the_numbers_of_duties_are_different_ones_of_32_bits() -> None:
    numbers = sorted(number(name) for name in (*Duty, "identify 0"))
    assert all(a < b for a, b in pairwise(numbers))
    assert -(2**31) <= numbers[0] <= numbers[-1] < 2**31


async def test_only_who_has_the_duty_of_retention_forgets_processes(server: Server) -> None:
    server.free -= {number(Duty.RETENTION)}
    made = server.made()
    async with taking_part(made):
        session = await beats(server, 2)
        assert made.has(Duty.EVENTS)
        assert session.of(FORGET) == []
        server.free |= {number(Duty.RETENTION)}
        await until(lambda: session.of(FORGET))
        assert made.has(Duty.RETENTION)


async def test_a_duty_is_had_for_half_of_the_silence_after_the_begin_of_a_heartbeat(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_coordination, "HEARTBEAT", 60.0)

    def pass_time(query: str) -> None:
        server.now += 1.0 if query == SEEN else 0.0

    server.on_execute = pass_time
    made = server.made()
    async with taking_part(made):
        await until(lambda: made.has(Duty.EVENTS))
        end = 100.0 + SILENCE.total_seconds() / 2
        for moment, has in ((end - 0.001, True), (end, False), (end + 0.001, False)):
            server.now = moment
            assert [made.has(duty) for duty in Duty] == [has] * len(Duty)
    assert timedelta(seconds=30) == SILENCE


async def test_a_session_that_fails_takes_the_duties_and_another_begins(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    made = server.made()

    def fail(query: str) -> None:
        raise asyncpg.PostgresError("terminated\nDETAIL: a secret")

    async with taking_part(made):
        await until(lambda: made.has(Duty.EVENTS))
        server.on_execute = fail
        await until(lambda: not made.has(Duty.EVENTS))
        assert not any(made.has(duty) for duty in Duty)
        server.on_execute = lambda _: None
        await until(lambda: made.has(Duty.EVENTS))

    assert all(each.terminated for each in server.sessions)
    assert "session for coordination lost, retrying: PostgresError: terminated" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("lost", [False, True])
async def test_a_process_that_ends_leaves_and_has_no_duty(server: Server, lost: bool) -> None:
    made = server.made()

    def fail(query: str) -> None:
        if lost and query == LEAVE:
            raise OSError("reset")

    async with taking_part(made):
        server.on_execute = fail
        await until(lambda: made.has(Duty.EVENTS))

    (session,) = server.sessions
    assert session.executed[-1] == (LEAVE, made.process)
    assert session.terminated
    assert not any(made.has(duty) for duty in Duty)


# News


async def test_news_are_heard_here_at_once_and_sent_in_their_order(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_coordination, "HEARTBEAT", 60.0)
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
        await until(lambda: server.sessions and len(server.sessions[-1].of(NOTIFY)) == 3)
        made.announce(News.ROWS, "cancels")
        await until(lambda: len(server.sessions[-1].of(NOTIFY)) == 4)

    assert [payload for _, payload in server.sessions[-1].of(NOTIFY)] == [
        "ended:b",
        "rows:",
        "ended:a:b",
        "rows:cancels",
    ]


async def test_news_that_were_not_sent_are_sent_by_the_next_session(server: Server) -> None:
    made = server.made()

    def fail(query: str) -> None:
        if query == NOTIFY and len(server.sessions) == 1:
            raise OSError("reset")

    server.on_execute = fail
    made.announce(News.ROWS, "x")
    async with taking_part(made):
        await until(lambda: len(server.sessions) == 2 and server.sessions[1].of(NOTIFY))

    assert [payload for _, payload in server.sessions[1].of(NOTIFY)] == ["rows:x"]


async def test_news_of_others_are_heard_and_own_ones_not_again(server: Server) -> None:
    made = server.made()
    heard: list[tuple[News, str]] = []
    for news in News:
        made.listen(news, lambda text, news=news: heard.append((news, text)))  # type: ignore[misc]
    async with taking_part(made):
        session = await beats(server, 1)
        assert session.heard is not None
        session.heard(session, OTHER, "easel", "ended:a:b")
        session.heard(session, OWN, "easel", "ended:c")
        session.heard(session, OTHER, "easel", "rows:")

    assert heard == [(News.ENDED, "a:b"), (News.ROWS, "")]


# Permits


async def test_a_permit_that_another_has_is_asked_for_now_and_then(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_permits, "POLL", 0.05)
    server.free = set()
    loop = asyncio.get_running_loop()
    began = loop.time()
    loop.call_later(0.12, lambda: server.free.add(number("identify 3")))
    async with PostgresPermits(server.connect).hold(3):
        (session,) = server.sessions
        attempts, taken = len(session.wanted), loop.time() - began
        assert not session.terminated

    assert 1 < attempts <= 1 + taken / 0.049
    assert {*session.wanted} == {number("identify 3")}
    assert session.terminated
