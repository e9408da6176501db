"""Pictures and their jobs: the order, the uses, the copies, and the generations they come from."""

from datetime import timedelta

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.ledger import Cost
from bot.store import generations, jobs, pictures, settlement
from bot.store.database import Database
from bot.store.pictures import Role, Use
from bot.store.tables import job_pictures
from bot.store.tables import jobs as table
from tests.support.books import picture
from tests.support.rows import NOW, add, new_job, one

LATER = NOW + timedelta(minutes=1)


async def test_pictures_are_attached_behind_those_that_a_job_has(database: Database) -> None:
    async with database.transaction() as tx:
        job = await add(tx, new_job())
        first, second = [picture(3), picture(2)], [picture(5), picture(4), picture(2)]
        await pictures.attach(tx, job.id, Role.OUTPUT, first, NOW)
        await pictures.attach(tx, job.id, Role.OUTPUT, second, NOW, after=2)
        await pictures.attach(
            tx, job.id, Role.INPUT, [picture(7), picture(8)], NOW, authors=[None, 6]
        )

        assert await pictures.of_job(tx, job.id, Role.OUTPUT) == [*first, *second]
        assert await pictures.of_job(tx, job.id, Role.INPUT) == [picture(7), picture(8)]
        inputs = job_pictures.select().where(job_pictures.c.role == Role.INPUT)
        rows = (await tx.execute(inputs.order_by(job_pictures.c.position))).all()
        assert [row.author_id for row in rows] == [None, 6]


async def test_a_picture_is_known_once_it_was_stored(database: Database) -> None:
    async with database.transaction() as tx:
        job = await add(tx, new_job())
        await pictures.attach(tx, job.id, Role.OUTPUT, [picture(1)], NOW)

        assert await pictures.get(tx, picture(1).sha256) == picture(1)
        assert await pictures.get(tx, picture(2).sha256) is None


async def test_uses_of_more_pictures_than_one_statement_reads(database: Database) -> None:
    asked = [picture(number).sha256 for number in range(1_002)]
    used = [0, 1, 499, 500, 501, 999, 1_000, 1_001]
    async with database.transaction() as tx:
        job = await add(tx, new_job())
        stored = [picture(number) for number in (*used, 2_000)]
        await pictures.attach(tx, job.id, Role.OUTPUT, stored, NOW)

        assert {*await pictures.uses(tx, asked)} == {asked[number] for number in used}
        assert {*await pictures.uses(tx)} == {each.sha256 for each in stored}
        assert await pictures.uses(tx, []) == {}


async def test_a_use_has_the_newest_request_and_the_newest_end_of_all_jobs(
    database: Database,
) -> None:
    shared, alone, active = picture(1), picture(2), picture(3)
    async with database.transaction() as tx:
        paid, failed, running = [
            await add(tx, new_job(at=NOW + number * (LATER - NOW))) for number in range(3)
        ]
        await jobs.move(tx, paid.id, JobStatus.SUBMITTING)
        await settlement.succeed(tx, paid, LATER, cost=Cost(1), pictures=[shared], ends={})
        await settlement.fail(tx, failed.id, NOW, reason=Reason.TIMEOUT)
        await pictures.attach(tx, failed.id, Role.INPUT, [shared, alone], NOW)
        await pictures.attach(tx, running.id, Role.INPUT, [active], NOW)
        found = await pictures.uses(tx)
        assert found == {
            shared.sha256: Use(LATER, LATER, needed=True, charged=True),
            alone.sha256: Use(LATER, NOW, needed=False, charged=False),
            active.sha256: Use(running.created_at, None, needed=True, charged=True),
        }
        await jobs.change(tx, paid.id, delivered_at=LATER)
        assert not (await pictures.uses(tx, [shared.sha256]))[shared.sha256].needed


async def test_inputs_of_uncharged_jobs_are_found_until_long_after_the_delivery(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        made = [await add(tx, new_job()) for _ in range(4)]
        for number, job in enumerate(made[:3]):
            await settlement.cancel(tx, job.id, NOW)
            await pictures.attach(tx, job.id, Role.INPUT, [picture(number)], NOW)
        await pictures.attach(tx, made[3].id, Role.INPUT, [picture(3)], NOW)  # queued
        await jobs.change(tx, made[1].id, delivered_at=LATER)
        await jobs.change(tx, made[2].id, delivered_at=NOW)

        found = await pictures.inputs_of_uncharged(tx, NOW)
    assert {*found} == {picture(0).sha256, picture(1).sha256}


async def test_the_jobs_of_a_reduced_copy_are_those_of_its_original(database: Database) -> None:
    original, copy = picture(1), picture(2)
    async with database.transaction() as tx:
        older, newer, other = [
            await add(tx, new_job(at=NOW + timedelta(minutes=number))) for number in range(3)
        ]
        for job in (older, newer):
            await pictures.attach(tx, job.id, Role.OUTPUT, [original], NOW)
        await pictures.attach(tx, other.id, Role.INPUT, [original], NOW)
        assert await pictures.jobs_of(tx, copy.sha256, 9) == []
        for _ in range(2):
            await pictures.note_copy(tx, copy.sha256, original.sha256)

        assert await pictures.jobs_of(tx, copy.sha256, 9) == [newer, older]
        assert await pictures.jobs_of(tx, original.sha256, 1) == [newer]


# Generations


async def test_running_jobs_are_read_with_their_generations(database: Database) -> None:
    async def running(number: int) -> Job:
        job = await one(database)
        async with database.transaction() as tx:
            await jobs.move(tx, job.id, JobStatus.SUBMITTING)
            await generations.add(tx, job.id, "oxen", [f"{number}b", f"{number}a"])
            return await jobs.start_running(tx, job.id, NOW)

    first, second, third = [await running(number) for number in range(3)]
    queued = await one(database)
    async with database.transaction() as tx:
        made = await generations.of_job(tx, first.id)
        await generations.end(tx, made[1].id, JobStatus.FAILED)
        await generations.add(tx, queued.id, "oxen", ["another"])
        found = await generations.of_running(tx, [first.id, third.id, queued.id, "f" * 16])
        assert await generations.of_running(tx, []) == []

        others = await generations.of_job(tx, second.id)
    assert [(each.remote_id, each.state) for each in others] == [("1b", None), ("1a", None)]
    assert {job.id: [each.state for each in known] for job, known in found} == {
        first.id: [None, JobStatus.FAILED],
        third.id: [None, None],
    }
    assert {job.id: [each.remote_id for each in known] for job, known in found} == {
        first.id: ["0b", "0a"],
        third.id: ["2b", "2a"],
    }
    assert sorted((job for job, _ in found), key=lambda each: each.id) == sorted(
        (first, third), key=lambda each: each.id
    )


async def test_remote_ids_are_owned_at_their_own_provider(database: Database) -> None:
    async with database.transaction() as tx:
        job = await add(tx, new_job())
        await generations.add(tx, job.id, "oxen", ["a", "b"])
        await tx.execute(table.update().values(status=JobStatus.FAILED))

        assert await generations.owned(tx, "oxen", ["a", "b", "c"]) == {"a", "b"}
        assert await generations.owned(tx, "skills", ["a"]) == frozenset()
        assert await generations.owned(tx, "oxen", []) == frozenset()
