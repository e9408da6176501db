"""The lineage of jobs, on both databases."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from bot.jobs import Job
from bot.store import lineage
from bot.store.backends import open_database
from bot.store.database import Database
from bot.store.tables import jobs
from tests.support.rows import NOW, new_job, one


async def chain(database: Database, length: int) -> list[Job]:
    """Store a chain of jobs, the root first."""
    made: list[Job] = []
    for number in range(length):
        new = new_job(at=NOW + timedelta(minutes=number))
        source = made[-1].id if made else None
        made.append(await one(database, replace(new, source_job_id=source)))
    return made


async def test_the_nearest_ancestor_comes_first(database_url: str) -> None:
    async with open_database(database_url) as database:
        root, parent, job, child = await chain(database, 4)
        async with database.reading() as view:
            assert await lineage.ancestors(view, job.id) == [parent, root]
            assert await lineage.ancestors(view, root.id) == []
            assert await lineage.ancestors(view, "a" * 16) == []
            assert await lineage.children(view, job.id, 10) == [child]
            assert await lineage.children(view, child.id, 10) == []


async def test_both_directions_have_a_limit(database_url: str) -> None:
    async with open_database(database_url) as database:
        made = await chain(database, 23)
        for number in range(3):
            new = new_job(at=NOW + timedelta(hours=1 + number))
            await one(database, replace(new, source_job_id=made[0].id))
        async with database.reading() as view:
            above = await lineage.ancestors(view, made[-1].id)
            below = await lineage.children(view, made[0].id, 3)

    assert [each.id for each in above] == [each.id for each in reversed(made[2:22])]
    assert [each.created_at for each in below] == [NOW + timedelta(hours=n) for n in (3, 2, 1)]


async def test_a_circle_of_edited_rows_ends(database_url: str) -> None:
    async with open_database(database_url) as database:
        first, second = await chain(database, 2)
        async with database.transaction() as tx:
            await tx.execute(
                update(jobs).where(jobs.c.id == first.id).values(source_job_id=second.id)
            )
        async with database.reading() as view:
            above = await lineage.ancestors(view, second.id)

    assert len(above) == 20
    assert {each.id for each in above} == {first.id, second.id}
