"""The sessions at a PostgreSQL server: their settings, their number, and what ends them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from math import ceil
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection

from bot.errors import Conflict, NotNow, OutcomeUnknown, StartupError
from bot.store import postgres, postgres_setup
from bot.store.backends import inspected, open_database
from bot.store.database import REVISION, read_note, write_note
from bot.store.postgres import READERS, WRITERS, PostgresDatabase
from bot.store.postgres_setup import SETUP
from tests.support.cluster import Cluster

COUNT = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'easel'"
)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(postgres_url) as opened:
        yield opened


async def settings_of(database: PostgresDatabase, *, writing: bool) -> dict[str, str]:
    names = (
        *("transaction_isolation", "transaction_read_only", "timezone", "application_name"),
        *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"),
    )
    found: dict[str, str] = {}
    async with database.transaction() if writing else database.reading() as connection:
        for name in names:
            found[name] = (await connection.execute(text(f"SHOW {name}"))).scalar_one()
    return found


async def test_the_settings_of_both_pools_are_those_of_the_server_after_the_set_up(
    database: PostgresDatabase,
) -> None:
    """The long time-outs of the set-up are for its transaction alone."""
    common = {"timezone": "UTC", "application_name": "easel"}
    common |= {"statement_timeout": "20s", "lock_timeout": "1500ms"}
    assert await settings_of(database, writing=True) == common | {
        "transaction_isolation": "read committed",
        "transaction_read_only": "off",
        "idle_in_transaction_session_timeout": "10s",
    }
    assert await settings_of(database, writing=False) == common | {
        "transaction_isolation": "repeatable read",
        "transaction_read_only": "on",
        "idle_in_transaction_session_timeout": "1min",
    }


async def test_a_session_of_its_own_ends_after_its_idle_time(database: PostgresDatabase) -> None:
    session = await database.session(idle_seconds=30.0)
    try:
        assert await session.fetchval("SHOW idle_session_timeout") == "30s"
        assert await session.fetchval("SHOW lock_timeout") == "1500ms"
    finally:
        await session.close()


async def test_a_process_has_a_greatest_number_of_sessions_and_none_after_its_end(
    postgres_url: str,
) -> None:
    opened = PostgresDatabase(postgres_url)
    session = await opened.session(idle_seconds=30.0)
    async with opened:
        await opened.connect_all()
        assert await session.fetchval(COUNT) == WRITERS + READERS + 1
        async with AsyncExitStack() as stack:
            for enter, number in ((opened.transaction, WRITERS), (opened.reading, READERS)):
                for _ in range(number):
                    await stack.enter_async_context(enter())
            with pytest.raises(NotNow):
                async with opened.transaction(timeout=0.3):
                    pass
            assert await session.fetchval(COUNT) == WRITERS + READERS + 1
    async with asyncio.timeout(20):
        while await session.fetchval(COUNT) > 1:
            await asyncio.sleep(0.01)
    await session.close()


@pytest.mark.parametrize(("unused", "tried"), [(30.0, 0), (30.001, 1)])
async def test_only_a_connection_that_was_unused_for_long_is_tried(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, unused: float, tried: int
) -> None:
    now = float(ceil(time.monotonic()))  # after the set-up of the database
    pings: list[object] = []
    monkeypatch.setattr(AsyncAdapt_asyncpg_connection, "ping", lambda it: pings.append(it))
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(postgres, "time", clock)
    async with database.transaction() as tx:
        await write_note(tx, "name", "x")
    now += unused
    async with database.transaction() as tx:
        assert await read_note(tx, "name") == "x"

    assert len(pings) == tried


# Commits


async def test_a_commit_that_the_server_refuses_is_a_conflict_with_a_known_outcome(
    database: PostgresDatabase,
) -> None:
    """Each of two serializable transactions reads what the other one writes."""
    serializable = text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    with pytest.raises(Conflict) as caught:
        async with database.transaction() as first:
            await first.execute(serializable)
            await read_note(first, "a")
            async with database.transaction() as second:
                await second.execute(serializable)
                await read_note(second, "b")
                await write_note(second, "a", "x")
                await write_note(first, "b", "x")

    assert not isinstance(caught.value, OutcomeUnknown)
    async with database.reading() as view:
        assert (await read_note(view, "a"), await read_note(view, "b")) == ("x", None)


async def test_an_outage_is_no_conflict(
    database: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(NotNow) as caught:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    assert not isinstance(caught.value, Conflict)
    assert f"the database cannot be used: {database.label}: " in caplog.text


# The set-up


@pytest.mark.parametrize("begin", ["open", "migrate"])
async def test_a_set_up_waits_for_that_of_another_process(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    """Longer than a member's request would wait for a lock."""
    monkeypatch.setitem(postgres.TIMEOUTS, "lock_timeout", "300")
    monkeypatch.setitem(postgres.TIMEOUTS, "statement_timeout", "300")
    opened = PostgresDatabase(postgres_url)
    other = await PostgresDatabase(postgres_url).session(idle_seconds=30.0)
    try:
        await other.execute("SELECT pg_advisory_lock($1)", SETUP)
        works = opened.migrate() if begin == "migrate" else opened.__aenter__()
        waiting = asyncio.create_task(asyncio.wait_for(works, 20))
        await asyncio.sleep(0.8)
        assert not waiting.done()
        await other.execute("SELECT pg_advisory_unlock($1)", SETUP)
        await waiting
    finally:
        await other.close()
        await opened.close()


async def test_a_set_up_that_waits_too_long_is_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_setup, "SETUP_SECONDS", 0.1)
    other = await PostgresDatabase(postgres_url).session(idle_seconds=30.0)
    try:
        await other.execute("SELECT pg_advisory_lock($1)", SETUP)
        with pytest.raises(StartupError, match="DATABASE_URL: "):
            async with open_database(postgres_url):
                pass
    finally:
        await other.close()


async def test_the_oldest_version_that_is_tested_is_accepted(
    database: PostgresDatabase, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.reading() as view:
        number = (await view.execute(text("SHOW server_version_num"))).scalar_one()
    version = int(number) // 10_000
    monkeypatch.setattr(postgres_setup, "OLDEST", version)
    async with inspected(postgres_url):
        pass
    monkeypatch.setattr(postgres_setup, "OLDEST", version + 1)
    with pytest.raises(StartupError, match=f"is PostgreSQL {version}. Install"):
        async with inspected(postgres_url):
            pass


async def test_no_migration_is_made_of_a_database_that_cannot_be_used(
    own_postgres_url: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(says: str) -> None:
        database = open_database(own_postgres_url)
        try:
            with pytest.raises(StartupError, match=says):
                await database.migrate()
        finally:
            await database.close()

    revision = "UPDATE alembic_version SET version_num = "
    await postgres.execute(f"{revision}'9999'", url=own_postgres_url)
    await refused("by a newer Easel")
    await postgres.execute(f"{revision}'{REVISION}'", url=own_postgres_url)
    monkeypatch.setattr(postgres_setup, "OLDEST", 99)
    await refused("Install PostgreSQL 99 or newer")


async def test_a_database_without_a_schema_is_refused(
    own_postgres_url: str, postgres: Cluster
) -> None:
    await postgres.execute("DROP SCHEMA public CASCADE", url=own_postgres_url)
    for opened in (open_database, inspected):
        with pytest.raises(StartupError, match=r"no schema to use\. Create the schema “public”"):
            async with opened(own_postgres_url):
                pass


async def test_the_first_of_several_strange_tables_is_named(
    own_postgres_url: str, postgres: Cluster
) -> None:
    await postgres.execute("DROP TABLE alembic_version", url=own_postgres_url)
    for opened in (open_database, inspected):
        with pytest.raises(StartupError, match="has the table “changes” of another program"):
            async with opened(own_postgres_url):
                pass
