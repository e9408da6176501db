"""The end of a deletion: the rows of the member that belong to no job."""

from sqlalchemy import Table, insert, select

from bot.jobs import Notify
from bot.ledger import Account, EntryKind
from bot.rights import Rights, Subject
from bot.store import (
    changes,
    erasure,
    erasure_requests,
    favourites,
    jobs,
    preferences,
    servers,
)
from bot.store.changes import Change
from bot.store.database import Database, Transaction
from bot.store.erasure_requests import Erasure
from bot.store.tables import (
    changes as change_rows,
)
from bot.store.tables import favourites as favourite_rows
from bot.store.tables import jobs as job_rows
from bot.store.tables import (
    ledger,
    rights,
    warnings,
)
from bot.store.tables import preferences as preference_rows
from tests.support.deletions import ADA, BEN, HIDDEN, LATER, asked, drawn, values
from tests.support.rights import add_grant
from tests.support.rows import NOW


async def end(database: Database, wanted: Erasure) -> None:
    async with database.transaction() as tx:
        await erasure.end(tx, wanted, HIDDEN)


async def store(tx: Transaction, table: Table, **row: object) -> None:
    await tx.execute(insert(table).values(**row))


async def test_the_end_leaves_nothing_under_the_id_of_the_member(database: Database) -> None:
    other = await drawn(database, BEN)
    async with database.transaction() as tx:
        for each in (ADA, BEN):
            await favourites.add(tx, each, other.id, NOW)
            await preferences.choose_notify(tx, each, Notify.SILENT, NOW)
            await add_grant(tx, Account(each, 10), 5, NOW)
            await changes.append(
                tx, Change(10, each, NOW, f"<@{each}>", f"<@{each}>", f"<@{each}>")
            )
            for scope in (f"month:{each}", f"member:10:{each}", f"member:11:{each}"):
                await store(tx, warnings, scope=scope, begins_at=NOW)
        await store(tx, warnings, scope=f"server:{ADA}", begins_at=NOW)
        await jobs.request_cancel(tx, other.id, NOW, moderator_id=ADA)
    wanted = await asked(database)

    await end(database, wanted)

    assert await values(database, favourite_rows.c.user_id) == {BEN}
    assert await values(database, preference_rows.c.user_id) == {BEN}
    granted = select(ledger.c.user_id).where(ledger.c.kind == EntryKind.GRANT)
    async with database.reading() as view:
        assert {*(await view.execute(granted)).scalars()} == {HIDDEN, BEN}
        assert await erasure_requests.of_member(view, ADA) is None
    assert await values(
        database,
        *(change_rows.c.user_id, change_rows.c.subject, change_rows.c.before, change_rows.c.after),
    ) == {
        (HIDDEN, *(["deleted member"] * 3)),
        (BEN, *([f"<@{BEN}>"] * 3)),
    }
    assert await values(database, warnings.c.scope) == {
        f"server:{ADA}",
        *(f"month:{BEN}", f"member:10:{BEN}", f"member:11:{BEN}"),
    }
    assert await values(database, job_rows.c.canceled_by) == {HIDDEN}


async def test_rights_of_the_member_follow_the_pseudonym(database: Database) -> None:
    """Those that the pseudonym has in a server since an earlier deletion are replaced there."""
    async with database.transaction() as tx:
        for server, name, number in (
            (10, ADA, 1),
            (10, HIDDEN, 2),
            (11, HIDDEN, 3),
            (12, ADA, 4),
            (12, BEN, 5),
        ):
            await servers.store_rights(
                tx, server, Subject.MEMBER, str(name), Rights(pictures=number)
            )
        await servers.store_rights(tx, 10, Subject.ROLE, str(ADA), Rights(pictures=6))

    await end(database, await asked(database))

    async with database.reading() as view:
        rows = await view.execute(select(rights))
        found = {(row.server_id, row.name, row.rights["pictures"]) for row in rows}
    assert found == {
        (10, str(HIDDEN), 1),
        (11, str(HIDDEN), 3),
        (12, str(HIDDEN), 4),
        (12, str(BEN), 5),
        (10, str(ADA), 6),
    }


async def test_what_is_newer_than_the_request_stays(database: Database) -> None:
    other = await drawn(database, BEN)
    async with database.transaction() as tx:
        await favourites.add(tx, ADA, other.id, LATER)
        await preferences.choose_notify(tx, ADA, Notify.SILENT, LATER)
        await add_grant(tx, Account(ADA, 10), 5, LATER)
        await changes.append(tx, Change(10, ADA, LATER, f"<@{ADA}>", "", ""))
    wanted = await asked(database)

    await end(database, wanted)

    assert ADA in await values(database, favourite_rows.c.user_id)
    assert ADA in await values(database, preference_rows.c.user_id)
    assert ADA in await values(database, ledger.c.user_id)
    assert await values(database, change_rows.c.user_id, change_rows.c.subject) == {
        (ADA, f"<@{ADA}>")
    }
