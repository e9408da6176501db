"""The menu of a result: who sees what, favourites up to their number, and where it came from."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.jobs import Job, JobStatus
from bot.quotas import Member
from bot.services import Services
from bot.store import jobs
from bot.store.database import Database
from bot.studio import menu
from bot.studio.menu import (
    MAX_CHILDREN,
    ExpandedTooLong,
    Lineage,
    Menu,
    Menus,
    NotEnded,
    NotExpanded,
    NotPosted,
    NotYours,
    OriginalsRemoved,
    TooManyFavourites,
    expanded_prompt,
)
from bot.studio.results import ResultUnavailable
from tests.support.rows import NOW, new_job, one
from tests.support.studio import (
    ADA,
    BEN,
    CHANNEL,
    MODERATOR,
    NOBODY,
    failed,
    made,
    posted,
    stored,
    succeeded,
)


@pytest.fixture
def menus(services: Services) -> Menus:
    return Menus(services)


@pytest.mark.parametrize(("member", "may_change"), [(ADA, True), (BEN, False), (MODERATOR, True)])
async def test_the_requester_and_moderators_may_change_a_result(
    database: Database, menus: Menus, member: Member, may_change: bool
) -> None:
    job = await posted(database)

    assert await menus.see(member, CHANNEL, job.id) == Menu(
        job, favourite=False, may_change=may_change
    )
    if may_change:
        assert await menus.change(member, CHANNEL, job.id) == job
    else:
        with pytest.raises(NotYours, match="Only the member who requested this picture"):
            await menus.change(member, CHANNEL, job.id)


async def test_every_use_case_begins_with_a_look_at_the_job(
    database: Database, menus: Menus
) -> None:
    job, active = await posted(database), await one(database)
    cases = [
        (BEN, CHANNEL + 1, job.id, ResultUnavailable),
        (MODERATOR, CHANNEL + 1, job.id, ResultUnavailable),
        (ADA, CHANNEL, NOBODY, ResultUnavailable),
        (ADA, CHANNEL, active.id, NotEnded),
    ]
    for member, channel, job_id, refusal in cases:
        for denied in (
            menus.see(member, channel, job_id),
            menus.change(member, channel, job_id),
            menus.add_favourite(member, channel, job_id),
            menus.originals(member, channel, job_id),
            menus.lineage(member, channel, job_id),
        ):
            with pytest.raises(refusal, match=r"\."):
                await denied


@pytest.mark.parametrize(
    ("values", "is_posted"),
    [
        ({"delivered_at": None}, False),
        ({"delivered_at": NOW}, True),  # undeliverable
        ({"result_message_id": 5}, True),  # not known yet as delivered
        ({"delivered_at": NOW, "result_message_id": 5}, True),
    ],
)
async def test_a_result_is_changed_after_its_delivery(
    database: Database, menus: Menus, values: dict[str, object], is_posted: bool
) -> None:
    job = await succeeded(database)
    async with database.transaction() as tx:
        await jobs.change(tx, job.id, **values)  # type: ignore[arg-type]
    assert (await menus.see(ADA, CHANNEL, job.id)).posted is is_posted

    if is_posted:
        assert (await menus.change(ADA, CHANNEL, job.id)).id == job.id
    else:
        with pytest.raises(NotPosted, match="not posted yet"):
            await menus.change(ADA, CHANNEL, job.id)


async def test_a_favourite_is_that_of_one_member_and_counts_once(
    database: Database, menus: Menus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(menu, "MAX_FAVOURITES", 2)
    first, second, third = [await posted(database, message_id=each) for each in (50, 51, 52)]
    for job in (first, second, second):
        assert (await menus.add_favourite(ADA, CHANNEL, job.id)).favourite
    assert (await menus.see(ADA, CHANNEL, first.id)).favourite
    assert not (await menus.see(BEN, CHANNEL, first.id)).favourite

    with pytest.raises(TooManyFavourites, match="You have 2 favourites"):
        await menus.add_favourite(ADA, CHANNEL, third.id)
    assert not (await menus.see(ADA, CHANNEL, third.id)).favourite
    assert (await menus.add_favourite(BEN, CHANNEL, third.id)).favourite

    removed = await menus.remove_favourite(ADA, CHANNEL, first.id)
    assert removed == Menu(first, favourite=False, may_change=True)
    assert not (await menus.see(ADA, CHANNEL, first.id)).favourite
    assert (await menus.add_favourite(ADA, CHANNEL, third.id)).favourite


async def test_a_favourite_that_is_no_longer_seen_can_be_removed(
    database: Database, menus: Menus
) -> None:
    job = await posted(database)
    await menus.add_favourite(BEN, CHANNEL, job.id)
    await menus.hide(job.id)

    assert await menus.remove_favourite(BEN, CHANNEL, job.id) is None
    async with database.transaction() as tx:
        await jobs.change(tx, job.id, hidden_at=None)
    assert not (await menus.see(BEN, CHANNEL, job.id)).favourite


async def test_a_spoiler_and_the_deletion_are_stored(database: Database, menus: Menus) -> None:
    job = await posted(database)
    for spoiler in (True, False):
        await menus.set_spoiler(job.id, spoiler=spoiler)
        assert (await stored(database, job.id)).spoiler is spoiler

    await menus.hide(job.id)
    assert (await stored(database, job.id)).hidden_at == NOW
    with pytest.raises(ResultUnavailable):
        await menus.see(BEN, CHANNEL, job.id)


async def test_originals_are_the_pictures_of_the_result(database: Database, menus: Menus) -> None:
    pictures = made("one", "two")
    job, none = await posted(database, outputs=pictures), await failed(database)

    assert await menus.originals(BEN, CHANNEL, job.id) == pictures
    with pytest.raises(OriginalsRemoved, match="no longer stored"):
        await menus.originals(ADA, CHANNEL, none.id)


async def line(database: Database, number: int) -> list[Job]:
    """Store results, each made from the one before."""
    found: list[Job] = []
    for each in range(number):
        new = new_job(at=NOW + timedelta(minutes=each))
        source = found[-1].id if found else None
        found.append(
            await posted(database, replace(new, source_job_id=source), message_id=60 + each)
        )
    return found


async def test_the_line_of_a_result_names_its_ancestors_and_children(
    database: Database, menus: Menus
) -> None:
    first, second, third, fourth = await line(database, 4)

    found = await menus.lineage(ADA, CHANNEL, third.id)

    assert found == Lineage(third, (second, first), (fourth,), cut=False)
    assert found.parent == second
    root = await menus.lineage(ADA, CHANNEL, first.id)
    assert (root.ancestors, root.parent, root.children) == ((), None, (second,))


async def test_jobs_that_are_not_seen_leave_a_gap_in_the_line(
    database: Database, menus: Menus
) -> None:
    first, second, third, fourth = await line(database, 4)
    for job in (second, fourth):
        await menus.hide(job.id)

    found = await menus.lineage(BEN, CHANNEL, third.id)
    assert (found.ancestors, found.children, found.parent) == ((None, first), (), None)


async def test_a_line_that_is_longer_than_shown_says_so(database: Database, menus: Menus) -> None:
    found = await line(database, 22)

    assert not (await menus.lineage(ADA, CHANNEL, found[20].id)).cut
    longest = await menus.lineage(ADA, CHANNEL, found[21].id)
    assert longest.cut
    assert len(longest.ancestors) == 20


async def test_the_newest_ten_results_made_from_one_are_listed(
    database: Database, menus: Menus
) -> None:
    parent = await posted(database)
    of_parent = [
        replace(new_job(at=NOW + timedelta(minutes=each)), source_job_id=parent.id)
        for each in range(1, MAX_CHILDREN + 4)
    ]
    made = [await posted(database, new, message_id=70) for new in of_parent[:-2]]
    await failed(database, of_parent[-2])
    late = await failed(database, of_parent[-1])
    async with database.transaction() as tx:
        overdue = await jobs.change(tx, late.id, overdue_at=NOW)

    children = (await menus.lineage(ADA, CHANNEL, parent.id)).children
    assert children == (overdue, *made[:-MAX_CHILDREN:-1])


def test_the_prompt_that_was_drawn_is_repeated_up_to_the_longest() -> None:
    new = new_job()
    job = Job(
        *(new.id, JobStatus.SUCCEEDED, 1, new.route, new.request, "oxen", 1, NOW),
        expanded_prompt="a red fox",
    )

    assert expanded_prompt(job, 9) == "a red fox"
    with pytest.raises(ExpandedTooLong, match="has 9 characters, and a request has at most 8"):
        expanded_prompt(job, 8)
    for none in (None, ""):
        with pytest.raises(NotExpanded, match="has not rewritten this prompt"):
            expanded_prompt(replace(job, expanded_prompt=none), 9)
