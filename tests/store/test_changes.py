"""The log of the managers' changes: append-only, newest first, page by page."""

from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.store import changes
from bot.store.changes import Change
from bot.store.database import Database
from tests.support.rows import NOW

CHANGE = Change(10, 1, NOW, "allowance of the role artist", "40 a week", "200 a week")


async def append(database: Database, *several: Change) -> None:
    async with database.transaction() as tx:
        for each in several:
            await changes.append(tx, each)


async def test_changes_are_read_newest_first_and_page_by_page(database: Database) -> None:
    await append(database, *(replace(CHANGE, after=str(number)) for number in range(5)))
    await append(database, replace(CHANGE, server_id=11))
    async with database.reading() as view:
        first = await changes.of_server(view, 10, 2)
        second = await changes.of_server(view, 10, 10, before_id=first[-1].id)
        past = await changes.of_server(view, 10, 10, before_id=second[-1].id)

    assert [each.after for each in first] == ["4", "3"]
    assert [each.after for each in second] == ["2", "1", "0"]
    assert past == []
    assert replace(first[0], id=0) == replace(CHANGE, after="4")


async def test_a_subject_is_cut_and_texts_are_without_nul(database: Database) -> None:
    await append(database, replace(CHANGE, subject="é" * 101, before="a\0b", after="x" * 5000))
    async with database.reading() as view:
        (found,) = await changes.of_server(view, 10, 1)

    assert (found.subject, len(found.after)) == ("é" * 100, 5000)
    assert "\0" not in found.before


@pytest.mark.parametrize("statement", ["UPDATE changes SET after = ''", "DELETE FROM changes"])
async def test_changes_are_append_only(database: Database, statement: str) -> None:
    await append(database, CHANGE)
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as tx:
            await tx.execute(text(statement))


async def test_a_change_is_part_of_its_transaction(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await changes.append(tx, CHANGE)
            raise ZeroDivisionError
    async with database.reading() as view:
        assert await changes.of_server(view, 10, 1) == []
