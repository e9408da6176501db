"""PostgreSQL alone: outages, lost commits, the set-up, and addresses that are wrong."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import BigInteger, Connection, Executable, literal, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bot.errors import NotNow, OutcomeUnknown, StartupError
from bot.store import jobs, ledger
from bot.store.audit import verify
from bot.store.backends import inspected, open_database
from bot.store.database import (
    REVISION,
    Database,
    EmptyDatabase,
    OlderDatabase,
    read_note,
    revision_of,
    write_note,
)
from bot.store.postgres import WRITERS, PostgresDatabase
from bot.store.tables import metadata
from tests.support.books import charges
from tests.support.cluster import Cluster
from tests.support.old_books import (
    REVISIONS,
    counted_sums,
    stored_sums,
    write_old_postgres,
)
from tests.support.relay import Loss, Relay, relayed
from tests.support.rows import NOW, new_job, one


@pytest.fixture
async def relay(postgres_url: str) -> AsyncIterator[Relay]:
    async with relayed(postgres_url) as made:
        yield made


@pytest.fixture
async def database(relay: Relay) -> AsyncIterator[Database]:
    """A database whose connections the relay can lose."""
    async with open_database(relay.url) as opened:
        yield opened


async def note_of(url: str, name: str = "name") -> str | None:
    async with open_database(url) as database, database.reading() as view:
        return await read_note(view, name)


# Outages


async def test_a_lost_connection_is_not_now_and_the_next_one_works(
    database: Database, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    async with database.transaction() as tx:
        await write_note(tx, "name", "before")
    relay.cut()

    with pytest.raises(NotNow):
        async with database.transaction() as tx:
            await write_note(tx, "name", "meanwhile")
    with pytest.raises(NotNow):
        async with database.reading() as view:
            await read_note(view, "name")
    relay.open = True
    async with database.transaction() as tx:
        assert await read_note(tx, "name") == "before"

    assert "the database cannot be used: 127.0.0.1:" in caplog.text


async def test_a_connection_that_was_lost_before_is_replaced_unnoticed(
    database: Database, relay: Relay
) -> None:
    async with database.transaction() as tx:
        await write_note(tx, "name", "before")
    relay.cut()
    relay.open = True
    await asyncio.sleep(0.05)  # the loop sees the end of the connection

    async with database.transaction() as tx:
        assert await read_note(tx, "name") == "before"


async def test_a_connection_that_was_unused_for_long_is_tried_first(
    database: Database, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No end of the connection has arrived, as after a change of the network."""
    monkeypatch.setattr("bot.store.postgres.IDLE_SECONDS", 0.0)
    async with database.transaction() as tx:
        await write_note(tx, "name", "before")
    relay.cut()
    relay.open = True

    async with database.transaction() as tx:
        assert await read_note(tx, "name") == "before"


async def test_a_connection_that_is_lost_in_a_block_is_not_now(
    database: Database, relay: Relay
) -> None:
    with pytest.raises(NotNow) as caught:
        async with database.transaction() as tx:
            await write_note(tx, "name", "value")
            relay.cut()
            await write_note(tx, "name", "another")

    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_server_that_is_silent_is_not_waited_for_without_end(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.postgres.COMMAND_SECONDS", 2.0)  # the set-up has time enough
    async with open_database(relay.url) as database:
        monkeypatch.setattr("bot.store.postgres.CONNECT_SECONDS", 0.3)
        with pytest.raises(NotNow):
            async with asyncio.timeout(20), database.transaction() as tx:
                await write_note(tx, "name", "value")
                relay.held.clear()
                await write_note(tx, "name", "another")
        with pytest.raises(NotNow):
            async with asyncio.timeout(20), database.transaction(timeout=0.3):
                pass


async def test_a_transaction_waits_for_a_connection_only_so_long(database: Database) -> None:
    done, occupied = asyncio.Event(), asyncio.Barrier(WRITERS + 1)

    async def occupy() -> None:
        async with database.transaction() as tx:
            await read_note(tx, "name")
            await occupied.wait()
            await done.wait()

    holding = [asyncio.create_task(occupy()) for _ in range(WRITERS)]
    await occupied.wait()
    with pytest.raises(NotNow):
        async with database.transaction(timeout=0.05):
            pass
    done.set()
    await asyncio.gather(*holding)

    async with database.transaction(timeout=5) as tx:
        await read_note(tx, "name")


async def test_no_transaction_opens_a_connection_after_the_start(
    database: Database, relay: Relay
) -> None:
    await database.connect_all()
    relay.open = False  # for new connections
    done = asyncio.Event()

    async def occupy() -> None:
        async with database.transaction(timeout=1) as tx:
            await read_note(tx, "name")
            await done.wait()

    holding = [asyncio.create_task(occupy()) for _ in range(WRITERS)]
    async with database.reading() as view:
        assert await read_note(view, "name") is None
    done.set()
    await asyncio.gather(*holding)


async def test_a_lock_is_waited_for_only_so_long(database: Database, postgres_url: str) -> None:
    job = await one(database)
    async with open_database(postgres_url) as another, another.transaction() as tx:
        await jobs.lock(tx, job.id)
        with pytest.raises(NotNow):
            async with database.transaction() as blocked:
                await jobs.lock(blocked, job.id)


async def test_a_server_that_became_a_replica_is_not_now(
    database: Database, postgres: Cluster, postgres_url: str
) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("SET TRANSACTION READ ONLY"))
        with pytest.raises(NotNow):
            async with database.transaction() as replica:
                await replica.execute(text("SET TRANSACTION READ ONLY"))
                await write_note(replica, "name", "value")


# Commits


@pytest.mark.parametrize("loss", Loss)
async def test_a_lost_commit_has_an_unknown_outcome(
    database: Database, relay: Relay, postgres_url: str, loss: Loss
) -> None:
    relay.loss = loss
    with pytest.raises(OutcomeUnknown):
        async with database.transaction() as tx:
            await write_note(tx, "name", "value")

    assert await note_of(postgres_url) == ("value" if loss is Loss.AFTER_COMMIT else None)


async def test_an_error_of_a_row_shows_no_value(database: Database) -> None:
    job = new_job(prompt="a secret fox")
    with pytest.raises(IntegrityError) as caught:
        async with database.transaction() as tx:
            await jobs.add(tx, job)
            await tx.execute(text("UPDATE jobs SET price = NULL"))

    shown: list[BaseException | None] = [caught.value]
    while shown[-1] is not None:
        shown.append(shown[-1].__cause__)
    assert not any("secret" in str(each) or "interaction-token" in str(each) for each in shown)


# Text that PostgreSQL refuses


async def test_text_is_stored_without_nul(database: Database) -> None:
    new = new_job()
    new = replace(new, request=replace(new.request, prompt="a\0 fox"))
    async with database.transaction() as tx:
        await jobs.add(tx, new)
        await jobs.change(tx, new.id, remark="re\0mark", delivery_error="er\0ror")
        await write_note(tx, "name", "va\0lue")

    async with database.reading() as view:
        stored = await jobs.get(view, new.id)
        assert await read_note(view, "name") == "value"
    assert stored is not None
    assert (stored.request.prompt, stored.remark, stored.delivery_error) == (
        "a fox",
        "remark",
        "error",
    )


# The set-up


@pytest.fixture
async def empty_url(postgres: Cluster) -> AsyncIterator[str]:
    url = await postgres.copy("template0")
    yield url
    await postgres.drop(url)


async def test_two_processes_that_start_at_once_set_the_database_up_once(empty_url: str) -> None:
    async def start() -> None:
        async with open_database(empty_url) as database, database.reading() as view:
            assert await ledger.entries_of(view, "none") == []

    await asyncio.gather(*(start() for _ in range(4)))


async def test_the_set_up_makes_just_the_tables(empty_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with open_database(empty_url) as database, database.transaction() as tx:
        assert await tx.run_sync(differences) == []
        assert await tx.run_sync(revision_of) == REVISION


async def test_an_empty_database_is_created_by_a_migration_too(empty_url: str) -> None:
    with pytest.raises(EmptyDatabase, match="first `easel run` creates"):
        async with inspected(empty_url):
            pass
    database = open_database(empty_url)
    try:
        assert await database.migrate() is None
        assert await database.migrate() == REVISION
    finally:
        await database.close()
    async with inspected(empty_url) as checked, checked.reading() as view:
        assert await view.run_sync(revision_of) == REVISION


@pytest.mark.parametrize(
    ("revision", "error", "says"),
    [
        ("0008", OlderDatabase, "by an older Easel .*easel migrate"),
        ("9999", StartupError, "by a newer Easel .*Install that version"),
    ],
)
async def test_another_revision_is_refused_with_the_remedy(
    own_postgres_url: str,
    postgres: Cluster,
    revision: str,
    error: type[Exception],
    says: str,
) -> None:
    await postgres.execute(
        f"UPDATE alembic_version SET version_num = '{revision}'",  # noqa: S608  # of the test
        url=own_postgres_url,
    )
    with pytest.raises(error, match=says):
        async with open_database(own_postgres_url):
            pass
    with pytest.raises(error, match=says):
        async with inspected(own_postgres_url):
            pass


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_older_database_is_migrated_by_alembic(
    own_postgres_url: str, postgres: Cluster, revision: str
) -> None:
    await write_old_postgres(postgres, own_postgres_url, revision)
    database = open_database(own_postgres_url)
    try:
        assert await database.migrate() == revision
    finally:
        await database.close()

    async with open_database(own_postgres_url) as opened, opened.reading() as view:
        assert (await verify(view, charges())).findings == ()
        stored, counted = await stored_sums(view), await counted_sums(view)
    assert stored == counted
    # Entries of the operator have no provider.
    assert {scope for scope, _ in stored} - {"provider:"} == {
        "bot",
        "provider:oxen",
        "provider:skills",
        "server:10",
    }


async def test_a_table_of_another_program_is_not_overwritten(
    empty_url: str, postgres: Cluster
) -> None:
    await postgres.execute("CREATE TABLE jobs (id integer)", url=empty_url)
    for opened in (open_database(empty_url), inspected(empty_url)):
        with pytest.raises(StartupError, match=r"the table “jobs” of another program\. Name"):
            async with opened:
                pass


async def test_the_ledger_cannot_be_truncated(database: Database) -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        async with database.transaction() as tx:
            await tx.execute(text("TRUNCATE ledger"))


# Wrong addresses and servers


async def refusal(url: str) -> str:
    """Return the line by which a start and a check refuse an address: one line, no password."""
    said: list[str] = []
    for opened in (lambda: open_database(url), lambda: inspected(url)):
        with pytest.raises(StartupError) as caught:
            async with opened():
                pass
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "\n" not in said[0]
    assert "S3CRPW" not in said[0]
    assert said[0].startswith("DATABASE_URL: ")
    return said[0].removeprefix("DATABASE_URL: ")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:S3CRPW@host", "does not end with a database's name"),
        ("postgresql://u:S3CRPW@host/", "does not end with a database's name"),
        ("postgresql:///easel", "has no host"),
        ("postgresql://u:S3CRPW@host:port/easel", "not an address"),
        ("postgresql://u:S3CRPW@[host/easel", "not an address"),
        ("postgresql+psycopg://u:S3CRPW@host/easel", "does not begin with postgresql://"),
        ("postgres:u:S3CRPW@h", "has no host"),
        ("postgresql://u:S3CRPW@127.0.0.1:1/easel", "cannot be reached"),
        ("postgresql://u:S3CRPW@nowhere.invalid/easel", "cannot be reached"),
        ("postgresql://u:S3CRPW@127.0.0.1:1/easel?sslmode=often", "`sslmode` parameter must be"),
        ("postgresql:///easel?host=h&port=x&password=S3CRPW", "a parameter with a wrong value"),
    ],
)
async def test_a_wrong_address_is_refused_with_the_remedy(url: str, says: str) -> None:
    said = await refusal(url)

    assert says in said
    assert ". " in said


async def test_a_missing_database_is_named(postgres: Cluster) -> None:
    said = await refusal(postgres.named("nothing"))

    assert "/nothing does not exist. Create the database" in said


async def test_a_wrong_password_is_named(postgres: Cluster, own_postgres_url: str) -> None:
    parts = urlsplit(own_postgres_url)
    said = await refusal(parts._replace(netloc=f"nobody:S3CRPW@{parts.netloc[6:]}").geturl())

    assert "refuses the user or the password. Correct them" in said


async def test_a_user_without_rights_is_refused(
    postgres: Cluster, empty_url: str, own_postgres_url: str
) -> None:
    with suppress(Exception):
        await postgres.execute("CREATE ROLE guest LOGIN")
    await postgres.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", url=empty_url)
    guest = [
        urlsplit(url)._replace(netloc=f"guest@{urlsplit(url).netloc[6:]}").geturl()
        for url in (empty_url, own_postgres_url)
    ]

    assert "guest may not create tables" in await refusal(guest[0])
    assert "GRANT" in await refusal(guest[0])
    assert "may not use all of" in await refusal(guest[1])


async def test_a_read_only_server_is_refused(own_postgres_url: str, postgres: Cluster) -> None:
    name = urlsplit(own_postgres_url).path[1:]
    await postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    assert "is read-only, as a replica is. Name the primary" in await refusal(own_postgres_url)


async def test_another_encoding_is_refused(postgres: Cluster) -> None:
    await postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        assert "encoding LATIN1. Create the database with ENCODING 'UTF8'" in await refusal(
            postgres.named("latin")
        )
    finally:
        await postgres.drop(postgres.named("latin"))


async def test_an_old_server_is_refused(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is raised, because no such server is installed where the tests run."""
    monkeypatch.setattr("bot.store.postgres_setup.OLDEST", 99)

    assert ". Install PostgreSQL 99 or newer." in await refusal(postgres_url)


def test_a_missing_driver_is_named_and_sqlite_needs_none(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['asyncpg'] = None\n"
        "from importlib import util; found = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'asyncpg' else found(name)\n"
        "import bot.store.postgres; bot.store.postgres.find_spec = util.find_spec\n"
        "from bot.store.backends import open_database\n"
        f"open_database('sqlite:///{tmp_path}/easel.db')\n"
        "try: open_database('postgresql://h/easel')\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert "pip install '.[cluster]'" in done.stdout


@pytest.mark.parametrize(
    "statement",
    [text("SELECT nothing"), select(literal(2**70, BigInteger)), select(literal("a", BigInteger))],
    ids=str,
)
async def test_a_wrong_statement_is_an_error_of_the_program(
    database: Database, statement: Executable
) -> None:
    with pytest.raises(DBAPIError):
        async with database.transaction() as tx:
            await tx.execute(statement)


async def test_no_log_line_names_the_password(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = relay.url.replace("easel@", "easel:S3CRPW@")
    async with open_database(url) as database:
        relay.cut()
        with pytest.raises(NotNow):
            async with database.reading():
                pass

    assert "cannot be used" in caplog.text
    assert "S3CRPW" not in caplog.text
    assert isinstance(database, PostgresDatabase)
    assert NOW
