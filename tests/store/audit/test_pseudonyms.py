"""The books of members who have deleted their data, in databases of both kinds."""

import pytest
from sqlalchemy import text

from bot.rights import Rights, Subject
from bot.store import servers
from bot.store.audit import verify
from bot.store.backends import open_database
from bot.store.database import Database
from tests.support.books import GIFTED, REPORTED, charges, write_books
from tests.support.pseudonyms import KEY, pseudonymise
from tests.support.rows import new_job, one


async def findings(database: Database) -> list[str]:
    async with database.reading() as view:
        return [str(each) for each in (await verify(view, charges())).findings]


async def test_the_books_add_up_before_and_after(database_url: str) -> None:
    await write_books(open_database(database_url))
    async with open_database(database_url) as database:
        async with database.transaction() as tx:
            for name in ("1", "4"):
                await servers.store_rights(tx, 10, Subject.MEMBER, name, Rights(pictures=4))
        assert await findings(database) == []

        await pseudonymise(database, 1)
        await pseudonymise(database, GIFTED.user_id)
        assert await findings(database) == []

        await one(database, new_job(1))  # who comes back
        async with database.reading() as view:
            found = await verify(view, charges())
    assert found.findings == ()
    assert found.accounts == 5  # of the losses, the pseudonyms, member 2, and the one who came back


@pytest.mark.parametrize("pseudonym", [KEY.of(1), KEY.of(2)])
async def test_an_entry_in_another_account_than_its_jobs_is_found(
    database_url: str, pseudonym: int
) -> None:
    """A deletion by halves: the id of an entry has become a pseudonym, and that of the job not."""
    await write_books(open_database(database_url))
    async with open_database(database_url) as database:
        async with database.transaction() as tx:
            values = f"user_id = {pseudonym} WHERE job_id = '{REPORTED}' AND kind = 'hold'"
            await tx.execute(text(f"UPDATE ledger SET {values}"))  # noqa: S608
        found = await findings(database)

    assert f"job {REPORTED}: has a hold in the account of user {pseudonym}, server 10" in found


@pytest.mark.parametrize("name", ["-", "", "-x", "--5"])
async def test_a_strange_name_of_a_member_is_found(database_url: str, name: str) -> None:
    await write_books(open_database(database_url))
    async with open_database(database_url) as database:
        async with database.transaction() as tx:
            await tx.execute(
                text("INSERT INTO rights VALUES (10, 'member', :name, '{}')"), {"name": name}
            )
        found = await findings(database)

    assert found == [f"row 10, member, {name} of rights: “{name}” is not the name of a member"]
