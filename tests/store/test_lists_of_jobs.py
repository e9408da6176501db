"""Lists of jobs by their member, their lease or their charges, and pictures among their inputs."""

from dataclasses import replace
from datetime import timedelta

from bot.errors import Reason
from bot.jobs import Attachment, Job, JobStatus
from bot.ledger import Cost
from bot.store import (
    generations,
    inputs_of_others,
    jobs,
    leases,
    losses,
    members,
    pictures,
    queue,
    running,
    settlement,
)
from bot.store.database import Database, Transaction
from bot.store.erasure_requests import Erasure
from bot.store.leases import Terms
from bot.store.pictures import Role
from bot.store.tables import jobs as table
from tests.support.books import picture
from tests.support.rows import NOW, add, new_job

MINUTE = timedelta(minutes=1)
LATER = NOW + MINUTE


def terms(process: str) -> Terms:
    return Terms(process, NOW, LATER)


async def set_status(tx: Transaction, status: JobStatus, *found: Job) -> None:
    ids = [each.id for each in found]
    await tx.execute(table.update().where(table.c.id.in_(ids)).values(status=status))


# Of a member


async def test_a_member_has_active_jobs_from_the_oldest_and_ended_ones_from_the_newest(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        made = [await add(tx, new_job(at=NOW + number * MINUTE)) for number in range(6)]
        await add(tx, new_job(2))
        await set_status(tx, JobStatus.RUNNING, made[1])
        await set_status(tx, JobStatus.CANCELED, made[2], made[4])
        ids = {each.id: number for number, each in enumerate(made)}

        def numbers(found: list[Job]) -> list[int]:
            return [ids[each.id] for each in found]

        assert numbers(await members.active_of(tx, 1, 9)) == [0, 1, 3, 5]
        assert numbers(await members.active_of(tx, 1, 2)) == [0, 1]
        assert numbers(await members.ended_of(tx, 1, 9)) == [4, 2]
        assert numbers(await members.ended_of(tx, 1, 1)) == [4]
        assert numbers(await members.recent_of(tx, 1, 9)) == [5, 4, 3, 2, 1, 0]
        assert numbers(await members.recent_of(tx, 1, 2)) == [5, 4]
        assert await members.active_of(tx, 3, 9) == await members.recent_of(tx, 3, 9) == []


async def test_input_bytes_are_those_of_requests_after_a_moment(database: Database) -> None:
    def inputs(*sizes: int) -> tuple[Attachment, ...]:
        return tuple(Attachment("a.png", "https://cdn/a", size=size) for size in sizes)

    async with database.transaction() as tx:
        for minute, sizes in ((0, (100,)), (1, ()), (2, (20, 3)), (3, (4,))):
            new = new_job(at=NOW + minute * MINUTE)
            await add(tx, replace(new, inputs=inputs(*sizes)))
        await add(tx, replace(new_job(2, at=LATER), inputs=inputs(5_000)))

        assert await members.input_bytes_since(tx, 1, NOW) == (27, NOW + 2 * MINUTE)
        assert await members.input_bytes_since(tx, 1, NOW - MINUTE) == (127, NOW)
        assert await members.input_bytes_since(tx, 1, NOW + 3 * MINUTE) == (0, None)


# By their leases


async def test_running_jobs_that_nobody_polls_are_found(database: Database) -> None:
    async with database.transaction() as tx:
        free, known, held, queued = [await add(tx, new_job()) for _ in range(4)]
        assert await running.count(tx) == 0
        await set_status(tx, JobStatus.RUNNING, free, known, held)
        held = replace(held, status=JobStatus.RUNNING)
        assert len(await leases.take(tx, [held], terms("a"))) == 1

        found = await running.unwatched(tx, NOW, known=[known.id])
        assert [each.id for each in found] == [free.id]
        assert await running.count(tx) == 3
        assert queued.status is JobStatus.QUEUED


async def test_a_process_that_ends_frees_no_lease_of_another_or_of_a_job_not_running(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        made = [await add(tx, new_job()) for _ in range(3)]
        for job, process in zip(made, "aab", strict=True):
            await leases.take(tx, [job], terms(process))
        await set_status(tx, JobStatus.RUNNING, made[0], made[2])
        await leases.release_running(tx, "a")
        free = (await tx.execute(table.select().where(table.c.lease_until.is_(None)))).all()

    assert [row.id for row in free] == [made[0].id]


async def test_a_lease_that_is_extended_keeps_others_away(database: Database) -> None:
    async with database.transaction() as tx:
        job, other = await add(tx, new_job()), await add(tx, new_job())
        await leases.extend(tx, job.id, LATER)
        taken = await leases.take(tx, [job, other], terms("b"))

    assert [each.id for each in taken] == [other.id]


async def test_cancel_requests_are_for_the_process_that_polls_the_job(database: Database) -> None:
    async with database.transaction() as tx:
        made = [await add(tx, new_job()) for _ in range(4)]
        for job, process in zip(made[:2], "ab", strict=True):
            await leases.take(tx, [job], terms(process))
        await set_status(tx, JobStatus.RUNNING, *made)
        for job in made[:3]:
            await jobs.request_cancel(tx, job.id, NOW)
        found = await queue.cancel_requests(tx, "a", NOW, known=[])

    assert {each.id for each in found} == {made[0].id, made[2].id}


# By their charges


async def test_jobs_with_a_generation_that_has_neither_a_picture_nor_a_loss_are_unreported(
    database: Database,
) -> None:
    async def ended(at: timedelta, *lost: str) -> Job:
        job = await add(tx, new_job())
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        first, second = await generations.add(tx, job.id, "oxen", [f"a{job.id}", f"b{job.id}"])
        ends = {first.id: JobStatus.FAILED, second.id: JobStatus.CANCELED}
        charged = {f"{letter}{job.id}": Cost(7) for letter in lost}
        return await settlement.fail(
            tx, job.id, NOW + at, reason=Reason.REJECTED, ends=ends, losses=charged
        )

    async with database.transaction() as tx:
        none, half, whole = [await ended(MINUTE, *lost) for lost in ("", "a", "ab")]
        for at in (timedelta(0), 2 * MINUTE, 3 * MINUTE):
            await ended(at)
        span = (NOW + timedelta(seconds=1), LATER)

        found = await losses.unreported(tx, *span, known=[])
        assert {each.id for each in found} == {none.id, half.id}
        found = await losses.unreported(tx, *span, known=[none.id])
        assert {each.id for each in found} == {half.id}
        assert len(await losses.unreported(tx, NOW, NOW + 2 * MINUTE, known=[])) == 4
        assert await losses.recorded(tx, whole.id) == {f"a{whole.id}", f"b{whole.id}"}
        assert await losses.recorded(tx, none.id) == set()


# Inputs


async def test_only_the_pictures_of_the_member_are_blanked_among_the_inputs_of_others(
    database: Database,
) -> None:
    erasure = Erasure(1, NOW, with_results=True)
    inputs = tuple(
        Attachment(f"{number}.png", f"https://cdn/{number}", sha256=picture(number).sha256)
        for number in range(3)
    )
    async with database.transaction() as tx:
        other, whole, erased = [await add(tx, replace(new_job(2), inputs=inputs)) for _ in range(3)]
        stored = [picture(number) for number in range(3)]
        for job in (other, whole, erased):
            await pictures.attach(tx, job.id, Role.INPUT, stored, NOW, authors=[None, 1, 1])
        await jobs.store_inputs(tx, erased.id, inputs[:1])  # shorter than its pictures
        await inputs_of_others.blank(
            tx,
            erasure,
            [whole.id],
            owned=[],
            taken=[picture(0).sha256, picture(1).sha256],
        )
        assert await _names(tx, other) == ["0.png", "", "2.png"]
        assert await _names(tx, whole) == ["0.png", "1.png", "2.png"]
        assert await _names(tx, erased) == ["0.png"]
        await inputs_of_others.blank(tx, erasure, [whole.id], owned=[picture(0).sha256], taken=[])
        assert await _names(tx, other) == ["", "", "2.png"]
        await inputs_of_others.replace(tx, {})


async def test_pictures_of_the_member_that_were_never_stored_leave_no_address(
    database: Database,
) -> None:
    inputs = tuple(
        Attachment(f"{author}.png", f"https://cdn/{author}", author_id=author)
        for author in (1, 12, None)
    )
    async with database.transaction() as tx:
        settled, active = [await add(tx, replace(new_job(2), inputs=inputs)) for _ in range(2)]
        await settlement.cancel(tx, settled.id, NOW)
        found = await inputs_of_others.never_stored(tx, Erasure(1, NOW, with_results=True))
        assert found.keys() == {settled.id}
        await inputs_of_others.replace(tx, found)
        replaced = await jobs.get(tx, settled.id)

        assert await _names(tx, active) == ["1.png", "12.png", "None.png"]
    assert replaced is not None
    assert [(each.name, each.url, each.author_id) for each in replaced.inputs] == [
        ("", "", None),
        ("12.png", "https://cdn/12", 12),
        ("None.png", "https://cdn/None", None),
    ]


async def _names(tx: Transaction, job: Job) -> list[str]:
    found = await jobs.get(tx, job.id)
    assert found is not None
    return [each.name for each in found.inputs]
