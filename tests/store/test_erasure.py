"""The slices of a deletion: which jobs and pictures go now, and what stays of them."""

from datetime import datetime, timedelta

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.ledger import Account, EntryKind
from bot.store import (
    erasure,
    erasure_requests,
    favourites,
    generations,
    jobs,
    pictures,
)
from bot.store.database import Database
from bot.store.erasure_requests import Erasure
from bot.store.tables import favourites as favourite_rows
from bot.store.tables import (
    job_pictures,
    ledger,
    reduced_copies,
)
from bot.store.tables import pictures as picture_rows
from tests.support.books import picture
from tests.support.deletions import (
    A_DAY,
    ADA,
    BEN,
    HIDDEN,
    LATER,
    LONG_AFTER,
    MINUTE,
    UNTIL,
    asked,
    drawn,
    values,
)
from tests.support.rights import add_grant
from tests.support.rows import NOW


async def slice_at(
    database: Database, wanted: Erasure, now: datetime = LONG_AFTER, limit: int = 10, *without: str
) -> erasure.Slice:
    async with database.reading() as view:
        return await erasure.next_slice(view, wanted, now, limit, without)


async def erase(database: Database, wanted: Erasure) -> erasure.Slice:
    """Erase all that has ended, and return it."""
    chosen = await slice_at(database, wanted)
    async with database.transaction() as tx:
        await erasure.erase(tx, wanted, HIDDEN, chosen, LATER)
    return chosen


def ids(found: erasure.Slice) -> list[str]:
    return [each.id for each in found.jobs]


# Which jobs go


async def test_a_job_goes_when_it_is_delivered(database: Database) -> None:
    wanted = await asked(database)
    await drawn(database, is_running=True)
    await drawn(database, is_delivered=False)
    await drawn(database, at=UNTIL + timedelta(microseconds=1))
    await drawn(database, BEN)
    newest = await drawn(database, at=UNTIL)
    oldest = await drawn(database)

    assert ids(await slice_at(database, wanted)) == [oldest.id, newest.id]
    assert ids(await slice_at(database, wanted, LONG_AFTER, 1)) == [oldest.id]
    assert ids(await slice_at(database, wanted, LONG_AFTER, 10, oldest.id)) == [newest.id]


@pytest.mark.parametrize("is_doubtful", [False, True])
async def test_a_job_of_which_a_charge_may_come_goes_a_day_later(
    database: Database, is_doubtful: bool
) -> None:
    job = await drawn(database, end=None)
    if is_doubtful:
        async with database.transaction() as tx:
            for each in await generations.of_job(tx, job.id):
                await generations.end(tx, each.id, JobStatus.FAILED)
            await jobs.change(tx, job.id, reason=Reason.DOUBTFUL)
    wanted = await asked(database)

    early = await slice_at(database, wanted, NOW + A_DAY - timedelta(microseconds=1))
    due = await slice_at(database, wanted, NOW + A_DAY)

    assert (ids(early), ids(due)) == ([], [job.id])
    assert bool(early) is False
    assert bool(due) is True


async def test_a_picture_that_is_in_use_holds_its_job_for_a_day(database: Database) -> None:
    shared = picture(1)
    job = await drawn(database, outputs=[shared])
    await drawn(database, BEN, inputs=[shared], is_running=True)
    wanted = await asked(database)

    early = await slice_at(database, wanted, UNTIL + A_DAY - timedelta(microseconds=1))
    due = await slice_at(database, wanted, UNTIL + A_DAY)

    assert (ids(early), ids(due)) == ([], [job.id])


# Which pictures go


async def test_pictures_of_the_member_go_from_the_inputs_of_others(database: Database) -> None:
    own, result, of_ben = picture(1), picture(2), picture(3)
    wanted = await asked(database)
    job = await drawn(database, outputs=[result], inputs=[own])
    other = await drawn(database, BEN, at=NOW + MINUTE, outputs=[of_ben], inputs=[result])

    found = await slice_at(database, wanted)
    assert found.taken == ()
    assert {*found.owned} == {own.sha256, result.sha256}
    assert {*found.unused} == {own.sha256, result.sha256}

    await erase(database, wanted)
    assert await values(database, picture_rows.c.sha256) == {of_ben.sha256}
    assert await values(database, job_pictures.c.job_id) == {other.id}
    assert job.id not in await values(database, job_pictures.c.job_id)
    async with database.reading() as view:
        kept = await jobs.get(view, other.id)
    assert kept is not None
    assert (kept.inputs[0].name, kept.inputs[0].url, kept.inputs[0].sha256) == ("", "", None)
    assert kept.user_id == BEN


async def test_a_picture_that_another_member_had_first_stays(database: Database) -> None:
    wanted = await asked(database)
    of_ben, result = picture(1), picture(2)
    other = await drawn(database, BEN, outputs=[of_ben])
    await drawn(database, at=NOW + MINUTE, outputs=[result], inputs=[of_ben])

    found = await erase(database, wanted)

    assert {*found.owned} == {*found.unused} == {result.sha256}
    assert await values(database, job_pictures.c.job_id, job_pictures.c.sha256) == {
        (other.id, of_ben.sha256)
    }
    assert await values(database, picture_rows.c.sha256) == {of_ben.sha256}


async def test_a_result_that_another_member_has_drawn_too_stays(database: Database) -> None:
    """The same bytes: the member had them first, and the other's result is no input."""
    wanted = await asked(database)
    same = picture(1)
    await drawn(database, outputs=[same])
    other = await drawn(database, BEN, at=NOW + MINUTE, outputs=[same])

    found = await erase(database, wanted)

    assert ({*found.owned}, {*found.unused}) == ({same.sha256}, set())
    assert await values(database, job_pictures.c.job_id) == {other.id}
    assert await values(database, picture_rows.c.sha256) == {same.sha256}


async def test_pictures_that_others_have_taken_come_after_the_jobs(database: Database) -> None:
    taken, of_ben = picture(1), picture(2)
    await drawn(database)
    other = await drawn(database, BEN, outputs=[of_ben], inputs=[taken], authors=[ADA])
    wanted = await asked(database)

    first, second = await erase(database, wanted), await erase(database, wanted)
    third = await slice_at(database, wanted)

    assert (len(first.jobs), first.taken) == (1, ())
    assert (second.jobs, [*second.taken]) == ([], [taken.sha256])
    assert bool(second) is True
    assert bool(third) is False
    assert await values(database, picture_rows.c.sha256) == {of_ben.sha256}
    assert await values(database, job_pictures.c.job_id, job_pictures.c.author_id) == {
        (other.id, None)
    }


async def test_a_taken_picture_that_another_member_had_first_loses_its_author(
    database: Database,
) -> None:
    """The picture itself stays with whoever had it first."""
    shared = picture(1)
    await drawn(database, 3, outputs=[shared])
    await drawn(database, BEN, at=NOW + MINUTE, inputs=[shared], authors=[ADA])
    wanted = await asked(database)

    found = await erase(database, wanted)

    assert ([*found.taken], [*found.owned], [*found.unused]) == ([shared.sha256], [], [])
    assert await values(database, job_pictures.c.author_id) == {None}
    assert shared.sha256 in await values(database, picture_rows.c.sha256)


async def test_copies_by_which_a_picture_is_recognised_go_with_it(database: Database) -> None:
    mine, of_ben = picture(1), picture(2)
    await drawn(database, outputs=[mine])
    await drawn(database, BEN, outputs=[of_ben])
    async with database.transaction() as tx:
        for each in (mine, of_ben):
            await pictures.note_copy(tx, f"{each.size:032}{each.sha256[32:]}", each.sha256)

    await erase(database, await asked(database))

    assert await values(database, reduced_copies.c.original) == {of_ben.sha256}


# What stays of a job


async def test_a_job_keeps_its_amounts_and_nothing_else(database: Database) -> None:
    job = await drawn(database, source_job_id="s" * 16, locale="de")
    later = await drawn(database, at=LATER)
    async with database.transaction() as tx:
        for each in (ADA, BEN):
            await favourites.add(tx, each, job.id, LATER)
        await favourites.add(tx, BEN, later.id, LATER)
        await add_grant(tx, Account(ADA, 10), 5, NOW)  # of no job
    wanted = await asked(database)

    await erase(database, wanted)

    async with database.reading() as view:
        found, kept = await jobs.get(view, job.id), await jobs.get(view, later.id)
        pending = await erasure_requests.pending(view)
    assert found is not None
    assert (found.user_id, found.request.prompt, found.request.options) == (
        HIDDEN,
        "",
        {"count": 1},
    )
    assert (found.price, found.cost, found.hidden_at) == (job.price, job.cost, LATER)
    assert (found.route.channel_id, found.route.interaction_token) == (0, None)
    assert (found.result_message_id, found.source_job_id, found.secret) == (None, None, None)
    assert found.epoch == job.epoch + 1
    assert kept == later
    assert await values(database, favourite_rows.c.user_id, favourite_rows.c.job_id) == {
        (BEN, later.id)
    }
    entries = await values(database, ledger.c.job_id, ledger.c.user_id, ledger.c.kind)
    of_jobs = (EntryKind.HOLD, EntryKind.RELEASE, EntryKind.CAPTURE)
    assert entries == {
        *((job.id, HIDDEN, kind) for kind in of_jobs),
        *((later.id, ADA, kind) for kind in of_jobs),
        (None, ADA, EntryKind.GRANT),
    }
    assert [(each.total, each.erased) for each in pending] == [(1, 1)]


async def test_a_request_in_the_middle_counts_the_jobs_of_both(database: Database) -> None:
    await drawn(database)
    wanted = await asked(database)
    await erase(database, wanted)
    await drawn(database, at=LATER)
    async with database.transaction() as tx:
        await erasure_requests.request(tx, ADA, LATER, with_results=True)
        earlier = await erasure_requests.request(tx, ADA, NOW, with_results=False)
        stored = await erasure_requests.of_member(tx, ADA)

    assert earlier.requested_at == LATER  # the later one holds
    assert (earlier.with_results, earlier.erased) == (True, 1)
    assert stored == earlier


async def test_a_request_that_was_extended_is_not_counted_by_its_former_time(
    database: Database,
) -> None:
    """A process that has read the request before the extension erases the last job."""
    job = await drawn(database)
    wanted = await asked(database)
    async with database.transaction() as tx:
        await erasure_requests.request(tx, ADA, LATER, with_results=False)
        await erasure.erase(tx, wanted, HIDDEN, erasure.Slice([job]), LATER)
        await erasure.end(tx, wanted, HIDDEN)
        (left,) = await erasure_requests.pending(tx)

    assert (left.requested_at, left.erased) == (LATER, 0)
