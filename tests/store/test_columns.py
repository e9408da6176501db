"""Values as the columns of both databases take and return them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from bot.rights import Rights, Subject
from bot.store import jobs, servers
from bot.store.database import Database
from bot.store.tables import jobs as table
from tests.support.rows import add, new_job, one

MOMENT = datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.mark.parametrize("hours", [-11, 0, 14])
async def test_a_time_of_any_zone_comes_back_in_utc(database: Database, hours: int) -> None:
    at = MOMENT.astimezone(timezone(timedelta(hours=hours)))
    job = await one(database)
    async with database.transaction() as tx:
        written = await jobs.change(tx, job.id, deliver_after=at)
        read = await jobs.get(tx, job.id)
        after = table.c.deliver_after > at - timedelta(microseconds=1)
        assert len((await tx.execute(table.select().where(after))).all()) == 1
        not_after = table.select().where(table.c.deliver_after > at)
        assert (await tx.execute(not_after)).all() == []

    for found in (written, read):
        assert found is not None
        assert found.deliver_after is not None
        assert (found.deliver_after, found.deliver_after.utcoffset()) == (MOMENT, timedelta(0))
        assert found.settled_at is None


async def test_text_is_stored_as_it_is_but_for_what_no_message_shows(database: Database) -> None:
    new = new_job()
    texts = ("a\0 fox", "half \ud83d\0 of 🦊", "Äpfel\n\t%_\\'", "")
    async with database.transaction() as tx:
        for prompt in texts:
            each = replace(new_job(), request=replace(new.request, prompt=prompt))
            await jobs.add(tx, each)
            await jobs.change(tx, each.id, remark=prompt, delivery_error=None)
            found = await jobs.get(tx, each.id)

            assert found is not None
            shown = prompt.replace("\0", "").replace("\ud83d", "")
            assert (found.request.prompt, found.remark) == (shown, shown)
            assert found.delivery_error is None


@pytest.mark.parametrize(
    ("table", "column"), [("jobs", "status"), ("ledger", "kind"), ("rights", "subject")]
)
async def test_a_value_outside_of_an_enum_is_refused(
    database: Database, table: str, column: str
) -> None:
    async with database.transaction() as tx:
        await add(tx, new_job())
        await servers.store_rights(tx, 10, Subject.DEFAULT, "", Rights(pictures=1))
    read = text(f"SELECT {column} FROM {table}")  # noqa: S608  # names of the test
    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await tx.execute(text(f"UPDATE {table} SET {column} = 'unknown'"))  # noqa: S608
    async with database.reading() as view:
        assert (await view.execute(read)).scalars().all() != ["unknown"]
