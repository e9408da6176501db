"""Which rows make a member one who has data, and what is left of a deletion."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.jobs import Attachment, Notify
from bot.ledger import Account
from bot.rights import Rights, Subject
from bot.store import (
    changes,
    erasure_requests,
    favourites,
    jobs,
    pictures,
    preferences,
    servers,
    settlement,
)
from bot.store.backends import open_database
from bot.store.changes import Change
from bot.store.database import Database, Transaction
from bot.store.erasure_requests import Erasure
from bot.store.pictures import Role
from tests.support.books import picture
from tests.support.rights import add_grant
from tests.support.rows import NOW, add, new_job

ADA, BEN = 1, 2
BEFORE = NOW - timedelta(microseconds=1)
TAKEN = Attachment("a.png", "https://cdn.example/a.png", 9, 1, 1, author_id=ADA)
WANTED = Erasure(ADA, NOW, with_results=False)


async def job(tx: Transaction) -> None:
    await add(tx, new_job(ADA))


async def stopped(tx: Transaction) -> None:
    other = await add(tx, new_job(BEN))
    await jobs.request_cancel(tx, other.id, NOW, moderator_id=ADA)


async def entry(tx: Transaction) -> None:
    await add_grant(tx, Account(ADA, 10), 5, NOW)


async def favourite(tx: Transaction) -> None:
    other = await add(tx, new_job(BEN))
    await favourites.add(tx, ADA, other.id, NOW)


async def choice(tx: Transaction) -> None:
    await preferences.choose_notify(tx, ADA, Notify.SILENT, NOW)


async def change(tx: Transaction) -> None:
    await changes.append(tx, Change(10, ADA, NOW, "tier", "", ""))


async def mention(tx: Transaction) -> None:
    await changes.append(tx, Change(10, BEN, NOW, "tier", "", f"for <@{ADA}>"))


async def taken(tx: Transaction) -> None:
    other = await add(tx, new_job(BEN))
    await pictures.attach(tx, other.id, Role.INPUT, [picture(1)], NOW, authors=[ADA])


async def awaited(tx: Transaction) -> str:
    """Store a job of another member, of which the member's picture is not stored yet."""
    new = replace(new_job(BEN), inputs=(TAKEN,))
    return (await add(tx, new)).id


Stored = Callable[[Transaction], Awaitable[object]]


@pytest.mark.parametrize("stored", [job, stopped, entry, favourite, choice, change, mention, taken])
async def test_each_row_of_the_member_is_data_from_its_time_on(
    database: Database, stored: Stored
) -> None:
    async with database.transaction() as tx:
        await stored(tx)
    async with database.reading() as view:
        assert await erasure_requests.has_data(view, ADA, NOW)
        assert not await erasure_requests.has_data(view, ADA, BEFORE)
        assert not await erasure_requests.has_data(view, 3, NOW)
        assert ADA in await erasure_requests.members(view)


@pytest.mark.parametrize("stored", [job, taken, awaited])
async def test_a_deletion_goes_on_while_a_job_or_a_picture_is_left(
    database: Database, stored: Stored
) -> None:
    async with database.transaction() as tx:
        await stored(tx)
    async with database.reading() as view:
        assert await erasure_requests.is_left(view, WANTED) is True
        assert await erasure_requests.is_left(view, replace(WANTED, requested_at=BEFORE)) is False
        assert await erasure_requests.is_left(view, replace(WANTED, user_id=3)) is False


@pytest.mark.parametrize("stored", [entry, favourite, choice, change, mention, stopped])
async def test_what_belongs_to_no_job_of_the_member_holds_no_deletion_up(
    database: Database, stored: Stored
) -> None:
    async with database.transaction() as tx:
        await stored(tx)
    async with database.reading() as view:
        assert await erasure_requests.is_left(view, WANTED) is False


async def test_a_picture_is_awaited_while_its_job_is_active(database: Database) -> None:
    async with database.transaction() as tx:
        job_id = await awaited(tx)
        await settlement.cancel(tx, job_id, NOW)
    async with database.reading() as view:
        assert await erasure_requests.is_left(view, WANTED) is False


async def test_a_name_in_the_rights_of_a_server_is_no_data_of_a_time(database: Database) -> None:
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.MEMBER, str(ADA), Rights(pictures=1))
        await servers.store_rights(tx, 10, Subject.ROLE, str(BEN), Rights(pictures=1))
    async with database.reading() as view:
        assert await erasure_requests.is_named(view, ADA) is True
        assert await erasure_requests.is_named(view, BEN) is False
        assert not await erasure_requests.has_data(view, ADA, NOW)


async def test_members_are_known_by_every_mention_and_pseudonyms_are_none(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        await changes.append(tx, Change(10, -5, NOW, "<@3>, <@!4>", "<@5>", "deleted member"))
        await add_grant(tx, Account(-6, 10), 5, NOW)
        await add_grant(tx, Account(7, 10), 5, NOW)
    async with database.reading() as view:
        assert await erasure_requests.members(view) == {3, 4, 5, 7}


async def test_the_newest_request_of_a_member_is_known(database: Database) -> None:
    async with database.transaction() as tx:
        await add(tx, new_job(ADA, at=NOW))
        await add(tx, new_job(ADA, at=BEFORE))
    async with database.reading() as view:
        assert await erasure_requests.newest_job(view, ADA) == NOW
        assert await erasure_requests.newest_job(view, BEN) is None
        assert await erasure_requests.jobs_left(view, ADA, NOW) == 2
        assert await erasure_requests.jobs_left(view, ADA, BEFORE) == 1


async def test_deletions_are_listed_oldest_first_and_each_once(database: Database) -> None:
    async with database.transaction() as tx:
        late = await erasure_requests.request(tx, ADA, NOW, with_results=True)
        early = await erasure_requests.request(tx, BEN, BEFORE, with_results=False)
        await add(tx, new_job(ADA))
        again = await erasure_requests.request(tx, ADA, NOW, with_results=False)
        assert await erasure_requests.pending(tx) == [early, again]
        assert await erasure_requests.of_member(tx, 3) is None

    assert (late.total, late.erased, early.with_results) == (0, 0, False)
    assert again == replace(late, total=1)


@pytest.mark.long
async def test_a_request_beside_another_extends_the_one_that_was_first(postgres_url: str) -> None:
    """The first is not committed when the second finds none and stores its own."""
    waits = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    async def ask(tx: Transaction) -> Erasure:
        return await erasure_requests.request(tx, ADA, NOW, with_results=True)

    async with open_database(postgres_url) as one, open_database(postgres_url) as other:
        async with asyncio.timeout(30), one.transaction() as tx:
            await erasure_requests.request(tx, ADA, BEFORE, with_results=False)
            second = asyncio.create_task(other.run(ask))
            async with other.reading() as view:
                while not (await view.execute(waits)).scalar_one():
                    await asyncio.sleep(0.01)
        asked = await second
        async with one.reading() as view:
            assert await erasure_requests.pending(view) == [asked]

    assert asked == Erasure(ADA, NOW, with_results=True)
