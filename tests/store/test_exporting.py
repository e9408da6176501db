"""The pages of a member's rows, and what is said of pictures that several members have used."""

from datetime import datetime, timedelta

from bot.jobs import Picture
from bot.ledger import Account, EntryKind, LedgerEntry
from bot.store import ledger
from bot.store.database import Database
from bot.store.exporting import (
    ENTRIES,
    PAGE,
    PREFERENCES,
    REQUESTS,
    TAKEN,
    Listing,
    MemberRows,
    StoredRow,
)
from tests.support.books import picture
from tests.support.deletions import ADA, BEN, LATER, MINUTE, drawn
from tests.support.pseudonyms import KEY, pseudonymise
from tests.support.rows import NOW


async def pages(rows: MemberRows, listing: Listing) -> list[list[StoredRow]]:
    return [page async for page in rows.pages(listing)]


async def test_rows_come_newest_first_in_full_pages(database: Database) -> None:
    """Several entries have the same time."""
    account = Account(ADA, 10)
    entries = [
        LedgerEntry(account, EntryKind.GRANT, each, at, at)
        for each in range(1, 2 * PAGE + 2)
        for at in [NOW + (each // 7) * MINUTE]
    ]
    async with database.transaction() as tx:
        await ledger.append(tx, *entries)

    found = await pages(MemberRows(database, ADA), ENTRIES)

    assert [len(page) for page in found] == [PAGE, PAGE, 1]
    amounts = [row["amount"] for page in found for row in page]
    assert amounts == [*range(2 * PAGE + 1, 0, -1)]
    assert await pages(MemberRows(database, BEN), ENTRIES) == []


async def test_the_rows_of_the_pseudonym_come_after_those_of_the_id(database: Database) -> None:
    former = await drawn(database, at=LATER)
    await pseudonymise(database, ADA)
    job = await drawn(database)

    found = await pages(MemberRows(database, ADA), REQUESTS)

    assert [[row["id"] for row in page] for page in found] == [[job.id], [former.id]]
    assert "user_id" not in found[0][0]
    database.use_pseudonyms(None)
    assert len(await pages(MemberRows(database, ADA), REQUESTS)) == 1


async def test_a_member_without_choices_has_no_row_of_them(database: Database) -> None:
    assert await MemberRows(database, ADA).one(PREFERENCES) is None


async def flags(database: Database, user_id: int, job_id: str) -> list[tuple[object, ...]]:
    found = await MemberRows(database, user_id).pictures_of([job_id])
    return [(each["role"], each["foreign"], each["again"]) for each in found]


async def shared(
    database: Database, *uses: tuple[int, datetime, Picture], same: Picture
) -> list[str]:
    """Store a job of each member with the same input, and return the ids of the jobs."""
    made = [
        await drawn(database, user_id, at=at, outputs=[output], inputs=[same])
        for user_id, at, output in uses
    ]
    return [each.id for each in made]


async def test_a_picture_is_foreign_to_who_used_it_later(database: Database) -> None:
    uses = [(ADA, NOW, picture(2)), (BEN, NOW + MINUTE, picture(3)), (ADA, LATER, picture(4))]
    first, of_ben, last = await shared(database, *uses, same=picture(1))

    assert await flags(database, ADA, first) == [("output", False, False), ("input", False, True)]
    assert await flags(database, ADA, last) == [("output", False, False), ("input", False, False)]
    assert await flags(database, BEN, of_ben) == [("output", False, False), ("input", True, False)]


async def test_a_result_that_two_members_have_drawn_is_foreign_to_neither(
    database: Database,
) -> None:
    first = await drawn(database, BEN, outputs=[picture(1)])
    second = await drawn(database, ADA, at=LATER, outputs=[picture(1)], inputs=[picture(1)])

    assert await flags(database, BEN, first.id) == [("output", False, False)]
    assert await flags(database, ADA, second.id) == [
        ("output", False, False),
        ("input", False, False),
    ]


async def test_a_picture_in_a_message_of_another_is_foreign(database: Database) -> None:
    job = await drawn(database, BEN, inputs=[picture(1)], authors=[ADA])
    own = await drawn(database, ADA, at=LATER, inputs=[picture(2)])

    assert ("input", True, False) in await flags(database, BEN, job.id)
    ((taken,),) = await pages(MemberRows(database, ADA), TAKEN)
    assert (taken["job_id"], taken["sha256"], taken["own"]) == (job.id, picture(1).sha256, False)
    await drawn(database, ADA, at=LATER + MINUTE, inputs=[picture(1)])
    ((taken,),) = await pages(MemberRows(database, ADA), TAKEN)
    assert taken["own"] is True
    assert await pages(MemberRows(database, BEN), TAKEN) == []
    assert ("input", False, False) in await flags(database, ADA, own.id)


async def test_the_bytes_of_all_pictures_count_each_once(database: Database) -> None:
    size = picture(1).size
    same = picture(1)
    await drawn(database, outputs=[picture(2)], inputs=[same])
    await drawn(database, at=LATER, outputs=[picture(3)], inputs=[same])
    await drawn(database, BEN, outputs=[picture(4)])

    assert await MemberRows(database, ADA).picture_bytes() == 3 * size
    assert await MemberRows(database, 3).picture_bytes() == 0
    database.use_pseudonyms(KEY)
    await drawn(database, KEY.of(ADA), at=LATER + timedelta(days=1), outputs=[picture(5)])
    assert await MemberRows(database, ADA).picture_bytes() == 4 * size


async def test_the_generations_of_several_jobs_come_in_their_order(database: Database) -> None:
    first, second = await drawn(database), await drawn(database, at=LATER)
    rows = MemberRows(database, ADA)

    found = await rows.generations_of([second.id, first.id])

    assert [each["remote_id"] for each in found] == [f"remote-{first.id}", f"remote-{second.id}"]
    assert [{*each} for each in found] == [{"job_id", "provider", "remote_id", "state"}] * 2
    assert await rows.generations_of([]) == []
