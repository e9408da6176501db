"""Pages and filters of a member's history, on both databases."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from sqlalchemy import event, insert, text, update
from sqlalchemy.dialects import sqlite

from bot.jobs import JobStatus, NewJob
from bot.store import history, pictures
from bot.store.backends import open_database
from bot.store.database import Database
from bot.store.history import Place, Wanted
from bot.store.tables import favourites, jobs
from tests.support.books import picture
from tests.support.rows import NOW, add, new_job

# Results of one job, so many that PostgreSQL would rather not read them all.
MANY_PICTURES = (
    "INSERT INTO pictures (sha256, kind, size, width, height, created_at)"
    " SELECT lpad(n::text, 64, '0'), 'png', 1, 1, 1, now() FROM generate_series(1, 3000) AS n",
    "INSERT INTO job_pictures (job_id, role, position, sha256)"
    " SELECT jobs.id, 'output', n, lpad(n::text, 64, '0')"
    " FROM jobs, generate_series(1, 3000) AS n",
    "ANALYZE job_pictures",
)


async def ended(database: Database, new: Sequence[NewJob]) -> list[str]:
    """Store settled jobs, and return their ids."""
    async with database.transaction() as tx:
        for each in new:
            await add(tx, each)
        ids = [each.id for each in new]
        settled = update(jobs).where(jobs.c.id.in_(ids)).values(status=JobStatus.SUCCEEDED)
        await tx.execute(settled)
    return ids


async def found(database: Database, wanted: Wanted, limit: int = 100) -> list[str]:
    """Return the prompts of the newest jobs, newest first."""
    async with database.reading() as view:
        page = await history.older(view, 1, wanted, None, limit)
    return [job.request.prompt for job in page]


async def test_pages_go_to_the_end_and_back(database_url: str) -> None:
    """Pages also divide jobs of the same moment."""
    async with open_database(database_url) as database:
        times = [NOW - timedelta(seconds=number // 3) for number in range(10)]
        ids = await ended(database, [new_job(at=at) for at in times])
        await ended(database, [new_job(user_id=2)])
        ordered = sorted(zip(times, ids, strict=True), reverse=True)
        async with database.reading() as view:
            pages: list[list[str]] = []
            place = None
            while page := await history.older(view, 1, Wanted(), place, 4):
                place = Place(page[-1].created_at, page[-1].id)
                pages.append([job.id for job in page])
            back = await history.newer(view, 1, Wanted(), place or Place(NOW, ""), 4)
            top = await history.newer(view, 1, Wanted(), Place(back[0].created_at, back[0].id), 99)

    assert [len(each) for each in pages] == [4, 4, 2]
    assert [id for page in pages for id in page] == [id for _, id in ordered]
    assert [job.id for job in back] == [id for _, id in ordered][5:9]
    assert [job.id for job in top] == [id for _, id in ordered][:5]


@pytest.mark.parametrize(
    ("wanted", "prompts"),
    [
        ("fox", {"a Fox in the snow", "FOX_1"}),
        ("A FOX", {"a Fox in the snow"}),
        ("100%", {"100% cotton"}),
        ("%", {"100% cotton"}),
        ("_", {"FOX_1"}),
        ("\\", {"back\\slash"}),
        ("'; DROP TABLE jobs", set()),
        ("café", {"CAFÉ à la carte", "Cafe\u0301"}),
        ("É", {"CAFÉ à la carte", "Cafe\u0301"}),
        ("狐狸", {"雪中的狐狸"}),
        ("ЛИСА", {"лиса и волк"}),
        ("🦊", {"a 🦊"}),
        ("", {"a Fox in the snow", "FOX_1", "100% cotton", "back\\slash", "CAFÉ à la carte"}),
    ],
)
async def test_a_text_is_found_in_any_case_and_literally(
    database_url: str, wanted: str, prompts: set[str]
) -> None:
    stored = [
        *("a Fox in the snow", "FOX_1", "100% cotton", "back\\slash", "CAFÉ à la carte"),
        *("Cafe\u0301", "雪中的狐狸", "лиса и волк", "a 🦊"),
    ]
    async with open_database(database_url) as database:
        await ended(database, [new_job(prompt=each) for each in stored])
        if wanted:
            assert set(await found(database, Wanted(text=wanted))) == prompts
        else:
            assert set(await found(database, Wanted())) == set(stored)


@pytest.mark.long
async def test_a_rare_letter_is_found_behind_many_others(database: Database) -> None:
    """The database cannot tell: more than a batch of jobs is compared."""
    new = [new_job(prompt=f"a fox {number}", at=NOW) for number in range(450)]
    await ended(database, [*new, new_job(prompt="a Fuchs für ÄPFEL", at=NOW - timedelta(days=1))])

    assert await found(database, Wanted(text="äpfel"), 1) == ["a Fuchs für ÄPFEL"]
    assert await found(database, Wanted(text="öpfel"), 1) == []


async def test_batches_of_prompts_that_are_compared_here_follow_one_another(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many batches are read for one page; the last of a batch is compared once."""
    monkeypatch.setattr(history, "BATCH", 2)
    monkeypatch.setattr(history, "BATCHES", 3)
    prompts = ["ÄPFEL 8", "öpfel", "Äpfel 6", "äpfel 5", "Öpfel", "äpfel 3", "äpfel 2"]
    async with open_database(database_url) as database:
        times = [NOW - timedelta(hours=number) for number in range(len(prompts))]
        ids = await ended(
            database,
            [new_job(prompt=each, at=at) for each, at in zip(prompts, times, strict=True)],
        )
        wanted = ["ÄPFEL 8", "Äpfel 6", "äpfel 5", "äpfel 3"]
        assert await found(database, Wanted(text="äpfel")) == wanted
        for limit in range(1, 5):
            assert await found(database, Wanted(text="äpfel"), limit) == wanted[:limit]
        async with database.reading() as view:
            before = await history.newer(
                view, 1, Wanted(text="äpfel"), Place(times[-1], ids[-1]), 9
            )
    assert [job.request.prompt for job in before] == wanted


async def test_a_page_ends_at_the_bounds_of_its_filter(database_url: str) -> None:
    async with open_database(database_url) as database:
        days = [NOW - timedelta(days=number) for number in range(5)]
        new = [new_job(prompt=f"{number}", at=at) for number, at in enumerate(days)]
        twins = [replace(new_job(prompt="1", at=days[1]), id=letter * 16) for letter in "0z"]
        ids = await ended(database, [*new, *twins])
        wanted = Wanted(since=days[3], until=days[1])
        async with database.reading() as view:

            async def older(after: Place) -> list[str]:
                page = await history.older(view, 1, wanted, after, 9)
                return [job.request.prompt for job in page]

            newer = await history.newer(view, 1, wanted, Place(days[4], ids[4]), 9)
            assert [job.request.prompt for job in newer] == ["2", "3"]
            for place in (Place(days[0], ids[0]), Place(days[1], "z" * 16)):
                assert await older(place) == ["2", "3"]
            assert await older(Place(days[2], ids[2])) == ["3"]
            assert await older(Place(days[2], "zz")) == ["2", "3"]  # its job is gone


async def test_a_page_that_is_full_is_read_at_once(database_url: str) -> None:
    """Members wait meanwhile: one statement reads a page, two those with texts compared here."""
    statements: list[str] = []
    async with open_database(database_url) as database:
        await ended(database, [new_job(prompt="ein Fuchs für Ada") for _ in range(3)])
        async with database.reading() as view:
            event.listen(
                *(view.sync_connection, "before_cursor_execute"),
                lambda *given: statements.append(given[2]),
            )
            for wanted, number in ((Wanted(), 1), (Wanted(text="Fuchs"), 1), (Wanted("FÜR"), 2)):
                statements.clear()
                assert len(await history.older(view, 1, wanted, None, 3)) == 3
                assert len(statements) == number, wanted


async def test_a_history_has_the_settled_jobs_of_its_member(database_url: str) -> None:
    async with open_database(database_url) as database:
        await ended(database, [new_job(prompt="mine")])
        await ended(database, [new_job(2, prompt="of another")])
        async with database.transaction() as tx:
            await add(tx, new_job(prompt="queued"))
        assert await found(database, Wanted()) == ["mine"]


async def test_the_first_picture_of_each_job_is_its_first_result(database_url: str) -> None:
    async with open_database(database_url) as database, database.transaction() as tx:
        first, second = [await add(tx, new_job()) for _ in range(2)]
        await pictures.attach(tx, first.id, pictures.Role.INPUT, [picture(9)], NOW)
        await pictures.attach(tx, first.id, pictures.Role.OUTPUT, [picture(2), picture(1)], NOW)
        await pictures.attach(tx, second.id, pictures.Role.OUTPUT, [picture(1)], NOW)

        both = await history.first_pictures(tx, [first.id, second.id, "none"])
        assert both == {first.id: picture(2), second.id: picture(1)}
        assert await history.first_pictures(tx, [second.id]) == {second.id: picture(1)}


async def test_filters_go_together(database_url: str) -> None:
    async with open_database(database_url) as database:
        days = [NOW - timedelta(days=number) for number in range(4)]
        ids = await ended(database, [new_job(prompt=f"fox {at:%d}", at=at) for at in days])
        async with database.transaction() as tx:
            await tx.execute(update(jobs).where(jobs.c.id == ids[1]).values(model="skills"))
            marked = [
                {"user_id": user, "job_id": id, "created_at": NOW}
                for user, id in ((1, ids[2]), (2, ids[0]))
            ]
            await tx.execute(insert(favourites), marked)

        assert await found(database, Wanted(model="skills")) == ["fox 20"]
        assert await found(database, Wanted(favourites=True)) == ["fox 19"]
        assert await found(database, Wanted(favourites=True, text="20")) == []
        assert await found(database, Wanted(since=days[2])) == ["fox 21", "fox 20", "fox 19"]
        assert await found(database, Wanted(until=days[1])) == ["fox 19", "fox 18"]
        assert await found(database, Wanted(since=days[2], until=days[1])) == ["fox 19"]
        async with database.reading() as view:
            own = await history.favourites_among(view, 1, ids)
            none = await history.favourites_among(view, 1, [])
            assert await history.first_pictures(view, []) == {}
    assert own == {ids[2]}
    assert none == frozenset()


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("favourite", [False, True])
def test_a_page_is_a_range_of_the_index(empty_file: Path, newer: bool, favourite: bool) -> None:
    values = {"user": 1, "model": "", "pattern": "%fox%", "job_id": "a", "limit": 6}
    statement = history.STATEMENTS[newer, favourite].params(values | {"at": NOW, "bound": NOW})
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with closing(connect(empty_file)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}")]

    index = "ix_jobs_user_id_created_at (user_id=? AND created_at>? AND created_at<?)"
    assert plan[0] == f"SEARCH jobs USING INDEX {index}"
    assert not [step for step in plan if "SCAN" in step]


def test_the_jobs_of_a_picture_are_found_by_the_index(empty_file: Path) -> None:
    statement = pictures.JOBS_OF.params({"sha256": "a" * 64, "limit": 25})
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with closing(connect(empty_file)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}")]

    assert "SEARCH job_pictures USING INDEX ix_job_pictures_sha256 (sha256=?)" in plan
    scans = [step for step in plan if step.startswith("SCAN")]
    assert scans == ["SCAN CONSTANT ROW"]  # the picture itself, beside the original of a copy


async def test_the_jobs_of_a_picture_are_found_by_the_index_of_postgresql(
    postgres_url: str,
) -> None:
    statement = pictures.JOBS_OF.params({"sha256": "a" * 64, "limit": 25})
    async with open_database(postgres_url) as database, database.transaction() as tx:
        await add(tx, new_job())
        for each in MANY_PICTURES:
            await tx.execute(text(each))
        compiled = statement.compile(dialect=tx.dialect, compile_kwargs={"literal_binds": True})
        plan = " ".join([line for (line,) in await tx.execute(text(f"EXPLAIN {compiled}"))])

    assert "Index Scan using ix_job_pictures_sha256" in plan
    assert "Seq Scan on job_pictures" not in plan
