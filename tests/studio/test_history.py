"""The history's filters as they are typed, its pages in both directions, and its turns."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from bot.catalog import UnknownModel
from bot.errors import UserError
from bot.jobs import Job
from bot.providers.oxen.model import oxen_spec
from bot.services import Services
from bot.store import favourites
from bot.store.database import Database
from bot.studio.history import (
    AFTER_ALL,
    FIRST,
    LAST,
    LONGEST_TEXT,
    PAGE,
    PREPARED_AT_ONCE,
    DatesExchanged,
    Histories,
    NoDate,
    PageInPreparation,
    Place,
    TooManyPages,
    Wanted,
    day_of,
)
from tests.support.rows import NOW, new_job
from tests.support.studio import failed, made, succeeded

ALL = Wanted()


@pytest.fixture
def histories(services: Services) -> Histories:
    return Histories(services)


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("", None),
        ("  ", None),
        ("(a remark)", None),
        ("2026-01-31", date(2026, 1, 31)),
        (" 2026-1-3 (Saturday)", date(2026, 1, 3)),
        ("1970-01-01", date(1970, 1, 1)),
        ("8999-12-31", date(8999, 12, 31)),
    ],
)
def test_a_day_is_typed_like_2026_01_31(typed: str, day: date | None) -> None:
    assert day_of(typed) == day


@pytest.mark.parametrize(
    "typed",
    ["yesterday", "2026-02-30", "2026-13-01", "1969-12-31", "9000-01-01", "26-01-01", "2026-1-3x"],
)
def test_what_is_no_day_is_refused(typed: str) -> None:
    with pytest.raises(NoDate) as refused:
        day_of(typed)

    assert str(refused.value) == f"“{typed}” is no date. Write the day like 2026-01-31."


def midnight(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_without_a_filter_everything_is_wanted(histories: Histories) -> None:
    assert histories.wanted(since="", until="") == ALL
    assert (ALL.since, ALL.until) == (FIRST, LAST)


def test_the_days_of_a_filter_are_whole(histories: Histories) -> None:
    one = histories.wanted(since="2026-01-31", until="2026-01-31")
    assert (one.since, one.until) == (midnight(2026, 1, 31), midnight(2026, 2, 1))
    assert histories.wanted(since="2026-01-31", until="").until == LAST
    last = histories.wanted(since="", until="8999-12-31")
    assert (last.since, last.until) == (FIRST, midnight(9000, 1, 1))

    with pytest.raises(DatesExchanged, match="Exchange the two"):
        histories.wanted(since="2026-02-01", until="2026-01-31")


def test_a_filter_by_text_has_100_characters_and_favourites_are_one(histories: Histories) -> None:
    found = histories.wanted(text="x" * (LONGEST_TEXT + 1), favourites=True, since="", until="")

    assert (found.text, found.favourites) == ("x" * LONGEST_TEXT, True)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("", ""),
        ("oxen", "oxen"),
        (oxen_spec(price=1).title, "oxen"),
        (" Gone-1.5 ", "gone-1.5"),
        ("x" * 32, "x" * 32),
    ],
)
def test_a_model_is_one_on_offer_or_a_word_like_a_former_one(
    histories: Histories, typed: str, key: str
) -> None:
    assert histories.wanted(model=typed, since="", until="").model == key


@pytest.mark.parametrize("typed", ["x" * 33, "two words", "größe", "%"])
def test_what_can_be_no_model_is_refused(histories: Histories, typed: str) -> None:
    with pytest.raises(UnknownModel, match="Choose one of: oxen"):
        histories.wanted(model=typed, since="", until="")


async def ended(database: Database, number: int) -> list[Job]:
    """Store jobs that have ended, and return them, the newest first."""
    times = [NOW + timedelta(minutes=each) for each in range(number)]
    return [await failed(database, new_job(at=at)) for at in reversed(times)]


def place_of(job: Job) -> Place:
    return Place(job.created_at, job.id)


async def pages(histories: Histories) -> list[list[str]]:
    """Return the ids of all pages from the newest on, and check that the way back has the same."""
    page = await histories.page(1, ALL)
    assert page.newer is None
    found = [[job.id for job in page.jobs]]
    while page.older is not None:
        before, page = page, await histories.page(1, ALL, page.older)
        found.append([job.id for job in page.jobs])
        assert page.newer is not None
        back = await histories.page(1, ALL, page.newer, newer=True)
        assert (back.jobs, back.older) == (before.jobs, before.older)
        assert (back.newer is None) == (before.newer is None)
    return found


@pytest.mark.parametrize(
    ("number", "sizes"),
    [(0, [0]), (1, [1]), (PAGE, [PAGE]), (PAGE + 1, [PAGE, 1]), (2 * PAGE + 1, [PAGE, PAGE, 1])],
)
async def test_pages_lead_to_the_oldest_job_and_back(
    database: Database, histories: Histories, number: int, sizes: Sequence[int]
) -> None:
    jobs = await ended(database, number)
    found = await pages(histories)

    assert [len(each) for each in found] == sizes
    assert [id for each in found for id in each] == [job.id for job in jobs]


async def test_the_way_to_newer_jobs_is_offered_only_where_there_are_some(
    database: Database, histories: Histories
) -> None:
    jobs = await ended(database, PAGE + 2)

    second = await histories.page(1, ALL, place_of(jobs[0]))
    assert second.jobs == tuple(jobs[1 : PAGE + 1])
    assert (second.newer, second.older) == (place_of(jobs[1]), place_of(jobs[PAGE]))
    # From the oldest job on, there is one more than a page has.
    back = await histories.page(1, ALL, place_of(jobs[-1]), newer=True)
    assert back.jobs == tuple(jobs[1 : PAGE + 1])
    assert (back.newer, back.older) == (place_of(jobs[1]), place_of(jobs[PAGE]))
    newest = await histories.page(1, ALL, place_of(jobs[2]), newer=True)
    assert newest.jobs == tuple(jobs[:2])
    assert (newest.newer, newest.older) == (None, place_of(jobs[1]))
    assert (await histories.page(1, ALL, newer=True)).jobs == tuple(jobs[:PAGE])


async def test_an_empty_page_leads_back_to_a_job_at_its_own_place(
    database: Database, histories: Histories
) -> None:
    (job,) = await ended(database, 1)
    moment = job.created_at

    after = await histories.page(1, ALL, place_of(job))
    assert (after.jobs, after.newer, after.older) == ((), Place(moment, ""), None)
    assert after.newer
    assert (await histories.page(1, ALL, after.newer, newer=True)).jobs == (job,)
    before = await histories.page(1, ALL, place_of(job), newer=True)
    assert (before.jobs, before.newer, before.older) == ((), None, Place(moment, AFTER_ALL))
    assert before.older
    assert (await histories.page(1, ALL, before.older)).jobs == (job,)


async def test_from_a_place_beyond_all_jobs_no_further_ones_are_offered(
    database: Database, histories: Histories
) -> None:
    """The jobs there have been deleted."""
    jobs = tuple(await ended(database, 2))
    future, past = Place(NOW + timedelta(days=9), "a"), Place(NOW - timedelta(days=9), "a")

    newest = await histories.page(1, ALL, future)
    assert (newest.jobs, newest.newer, newest.older) == (jobs, None, None)
    oldest = await histories.page(1, ALL, past, newer=True)
    assert (oldest.jobs, oldest.newer, oldest.older) == (jobs, None, None)


async def test_a_page_has_the_first_pictures_and_the_members_favourites(
    database: Database, histories: Histories
) -> None:
    pictures = made("one", "two")
    shown, other = await succeeded(database, outputs=pictures), await failed(database)
    async with database.transaction() as tx:
        await favourites.add(tx, 1, shown.id, NOW)
        await favourites.add(tx, 2, other.id, NOW)

    page = await histories.page(1, ALL)
    assert {job.id for job in page.jobs} == {shown.id, other.id}
    assert page.pictures == {shown.id: pictures[0]}
    assert page.favourites == {shown.id}
    only = await histories.page(1, Wanted(favourites=True))
    assert [job.id for job in only.jobs] == [shown.id]


def test_four_members_pages_are_prepared_at_once(histories: Histories) -> None:
    def refused(user_id: int) -> type[UserError] | None:
        try:
            with histories.preparing(user_id):
                return None
        except UserError as error:
            return type(error) if str(error) else None

    with histories.preparing(1), histories.preparing(2), histories.preparing(3):
        assert refused(1) is PageInPreparation
        assert refused(4) is None
        assert refused(4) is None
        with histories.preparing(4):
            assert PREPARED_AT_ONCE == 4
            assert refused(4) is PageInPreparation  # the own page is the nearer reason
            assert refused(5) is TooManyPages
    assert refused(1) is None
