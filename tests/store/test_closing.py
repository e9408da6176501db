"""The end of a database: it waits for the open blocks, for a while."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.errors import NotNow, StartupError
from bot.pseudonyms import Pseudonyms
from bot.store import database as module
from bot.store.backends import inspected, open_database
from bot.store.database import Database, read_note, write_note
from bot.store.identities import ids_of
from tests.support.books import change
from tests.support.pseudonyms import KEY

LONG = 20.0  # seconds
SOON = 20.0  # a test that waits as long fails


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", LONG)


async def steps() -> None:
    """Let the other tasks run as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("patient")
async def test_the_end_waits_for_every_open_block(database: Database) -> None:
    ended: list[str] = []

    async def hold(name: str, gate: asyncio.Event, begun: asyncio.Event) -> None:
        async with database.reading() as view:
            await view.execute(text("SELECT 1"))
            begun.set()
            await gate.wait()
            ended.append(name)

    gates, begun = [asyncio.Event() for _ in range(2)], [asyncio.Event() for _ in range(2)]
    holding = [
        asyncio.create_task(hold(str(number), gates[number], begun[number])) for number in range(2)
    ]
    for each in begun:
        await each.wait()
    waiting = asyncio.create_task(database.quiet())
    await steps()
    assert not waiting.done()

    gates[0].set()
    await holding[0]
    await steps()
    assert not waiting.done()

    gates[1].set()
    await holding[1]
    async with asyncio.timeout(SOON):
        await waiting
    assert ended == ["0", "1"]


@pytest.mark.usefixtures("patient")
async def test_without_an_open_block_the_end_waits_for_nothing(database: Database) -> None:
    async with asyncio.timeout(SOON):
        await database.quiet()
        async with database.transaction() as tx:
            await write_note(tx, "name", "value")
        with pytest.raises(ZeroDivisionError):
            async with database.reading():
                raise ZeroDivisionError
        await database.quiet()
        async with database.reading() as view:
            assert await read_note(view, "name") == "value"
        await database.quiet()


async def test_a_block_that_does_not_end_is_not_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.01)
    async with database.reading() as view:
        await view.execute(text("SELECT 1"))
        async with asyncio.timeout(SOON):
            await database.quiet()
        assert (await view.execute(text("SELECT 1"))).scalar_one() == 1


async def test_no_connection_is_left_open(empty_file: Path) -> None:
    """Each has a thread of its own, beside those of the event loop."""
    before, url = {*threading.enumerate()}, f"sqlite:///{empty_file}"

    def made() -> list[str]:
        found = [each.name for each in {*threading.enumerate()} - before]
        return [each for each in found if not each.startswith("asyncio_")]

    async def all_ended() -> None:
        async with asyncio.timeout(20):
            while made():
                await asyncio.sleep(0.01)

    async with inspected(url) as database, database.reading() as view:
        assert await read_note(view, "name") is None
        assert made()
    await all_ended()
    async with open_database(url) as database, database.transaction() as tx:
        await write_note(tx, "name", "value")
    await all_ended()
    change(empty_file, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartupError):
        async with open_database(url):
            pass
    with pytest.raises(StartupError):
        async with inspected(url):
            pass
    await all_ended()


@pytest.mark.usefixtures("patient")
async def test_a_command_that_is_under_way_ends_before_the_connections_do(
    database_url: str,
) -> None:
    begun = asyncio.Event()

    async def command(database: Database) -> None:
        async with database.transaction() as tx:
            begun.set()
            await steps()
            await write_note(tx, "name", "value")

    async with inspected(database_url) as database:
        writing = asyncio.create_task(command(database))
        await begun.wait()
    await writing

    async with inspected(database_url) as database, database.reading() as view:
        assert await read_note(view, "name") == "value"


async def test_a_block_that_begins_after_the_end_is_refused(database_url: str) -> None:
    """A command of discord.py's may outlive its client, and another process may have begun."""
    async with open_database(database_url) as database:
        pass
    for block in (database.transaction, database.reading):
        with pytest.raises(NotNow):
            async with block():
                pass
    async with database, database.reading() as view:
        assert await read_note(view, "name") is None


async def test_pseudonyms_are_known_to_both_kinds_of_blocks(database: Database) -> None:
    other = Pseudonyms(KEY.key)
    database.use_pseudonyms(other)
    for block in (database.reading, database.transaction):
        async with block() as connection:
            assert ids_of(connection, 1) == {"user": 1, "pseudonym": KEY.of(1)}
    database.use_pseudonyms(None)
    async with database.reading() as view:
        assert ids_of(view, 1) == {"user": 1, "pseudonym": 1}


async def test_a_note_is_replaced_and_others_stay(database: Database) -> None:
    async with database.transaction() as tx:
        for name, value in (("a", "1"), ("b", "2"), ("a", "3")):
            await write_note(tx, name, value)
    async with database.reading() as view:
        found = [await read_note(view, name) for name in "abc"]
    assert found == ["3", "2", None]
