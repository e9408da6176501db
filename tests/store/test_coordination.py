"""Processes that share a PostgreSQL database: who lives, who has a duty, and what they hear."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest

from bot.clock import elapsed
from bot.store.backends import open_coordination, open_database, open_permits
from bot.store.coordination import Alone, Coordination, Duty, News, Role
from bot.store.database import Database
from bot.store.postgres import PostgresDatabase
from bot.store.postgres_coordination import PostgresCoordination
from bot.store.tables import processes
from tests.support.easel import Clock


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(postgres_url) as database:
        yield database


@asynccontextmanager
async def process(
    database: Database, role: Role, clock: Callable[[], float] = elapsed
) -> AsyncIterator[Coordination]:
    """Take part as one process; leave at the end."""
    made = open_coordination(database, role, clock)
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.long
async def test_processes_count_each_other(shared: PostgresDatabase) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(process(shared, Role.GATEWAY))
        await stack.enter_async_context(process(shared, Role.WORKER))
        last = await stack.enter_async_context(process(shared, Role.ALL))
        await until(lambda: last.processes == 3)

        assert (last.processes, last.workers) == (3, 2)
    async with shared.reading() as view:
        assert (await view.execute(processes.select())).all() == []  # all have left


async def test_a_process_that_was_killed_counts_for_half_a_minute(
    shared: PostgresDatabase,
) -> None:
    now = datetime.now(UTC)
    async with shared.transaction() as tx:
        for name, age in (("killed", 20), ("long dead", 40)):
            seen = now - timedelta(seconds=age)
            row = {"id": name, "role": "worker", "started_at": seen, "seen_at": seen}
            await tx.execute(processes.insert().values(row))
    async with process(shared, Role.WORKER) as made:
        await until(lambda: made.workers > 1)

        assert made.workers == 2


async def test_one_process_has_a_duty_and_another_takes_over(shared: PostgresDatabase) -> None:
    async with process(shared, Role.WORKER) as second, AsyncExitStack() as stack:
        await until(lambda: second.has(Duty.RETENTION))
        first = await stack.enter_async_context(process(shared, Role.WORKER))
        gateway = await stack.enter_async_context(process(shared, Role.GATEWAY))
        await until(lambda: first.processes > 1)

        assert all(second.has(duty) for duty in Duty)
        assert not any(first.has(duty) or gateway.has(duty) for duty in Duty)
    async with process(shared, Role.WORKER) as third:
        await until(lambda: all(third.has(duty) for duty in Duty))


async def test_a_process_that_was_stopped_has_no_duty(shared: PostgresDatabase) -> None:
    clock = Clock()
    async with process(shared, Role.WORKER, clock.seconds) as made:
        await until(lambda: made.has(Duty.PROBES))

        clock.move(seconds=20)  # without a heartbeat

        assert not made.has(Duty.PROBES)


@pytest.mark.long
async def test_a_lost_session_is_replaced_and_the_duties_return(
    shared: PostgresDatabase, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with process(shared, Role.WORKER) as made:
        await until(lambda: made.has(Duty.RETENTION))
        session = await shared.session(idle_seconds=30)
        await session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await session.close()
        await until(lambda: "session for coordination lost, retrying" in caplog.text)
        await until(lambda: made.has(Duty.RETENTION))


async def test_news_reach_every_process_once(shared: PostgresDatabase) -> None:
    async with process(shared, Role.WORKER) as one, process(shared, Role.GATEWAY) as other:
        heard: list[tuple[str, str]] = []
        for name, made in (("one", one), ("other", other)):
            made.listen(News.ENDED, partial(lambda by, text: heard.append((by, text)), name))
        await until(lambda: one.has(Duty.EVENTS))
        await asyncio.sleep(0.3)  # the other listens

        other.announce(News.ENDED, "a:b")
        other.announce(News.ENDED, "a:b")  # both at once: one notification
        await until(lambda: ("one", "a:b") in heard)
        await asyncio.sleep(0.1)

    assert heard.count(("one", "a:b")) == 1
    assert heard.count(("other", "a:b")) == 2  # at once, without the server


async def test_a_process_alone_has_every_duty_and_hears_itself() -> None:
    made = Alone()
    heard: list[str] = []
    made.listen(News.ROWS, heard.append)

    made.announce(News.ROWS, "x")
    await made.run()

    assert heard == ["x"]
    assert all(made.has(duty) for duty in Duty)
    assert (made.workers, made.processes) == (1, 1)


def test_the_id_of_a_process_has_64_random_bits() -> None:
    ids = {Alone().process for _ in range(10)}

    assert len(ids) == 10
    assert {len(bytes.fromhex(each)) for each in ids} == {8}


async def test_only_postgresql_is_shared(database_url: str) -> None:
    async with open_database(database_url) as database:
        made = open_coordination(database, Role.ALL)

        assert database.shared == isinstance(made, PostgresCoordination)
        assert database.shared == (open_permits(database) is not None)


async def test_a_permit_excludes_every_other_process(shared: PostgresDatabase) -> None:
    permits, others = open_permits(shared), open_permits(shared)
    assert permits is not None
    assert others is not None
    held = asyncio.Event()

    async def hold() -> None:
        async with others.hold(0):
            held.set()

    async with permits.hold(0), others.hold(1):  # of another bucket
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(0.3)
        assert not held.is_set()
    await asyncio.wait_for(waiting, 20)
    assert held.is_set()


async def test_a_statement_at_the_moment_of_the_end_of_a_session_ends_no_process(
    shared: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    """The driver raises this error of its own when the server has just ended the session."""
    attempts: list[object] = []

    async def connect() -> Any:  # noqa: ANN401  # asyncpg has no types
        attempts.append(None)
        if len(attempts) == 1:
            raise asyncpg.InternalClientError("cannot switch to state 12")
        return await shared.session(idle_seconds=30)

    made = PostgresCoordination(connect, Role.WORKER)
    running = asyncio.create_task(made.run())
    await until(lambda: made.has(Duty.RETENTION))
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert len(attempts) == 2
    assert "session for coordination lost, retrying: InternalClientError" in caplog.text
