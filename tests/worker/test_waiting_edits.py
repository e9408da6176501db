"""Which waiting and slow jobs are shown anew, and when no such edit is made at all."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.jobs import Job, JobStatus
from bot.providers.base import Submitted, Waiting
from bot.store import generations, jobs, settlement
from bot.store.database import Database
from bot.worker import waiting
from bot.worker.turns import Slots
from tests.providers.clients import oxen_at
from tests.support import cluster
from tests.support.books import picture
from tests.support.parts import Parts, parts_on
from tests.support.rows import NOW, add, new_job, one
from tests.support.services import limited

MOMENT = timedelta(milliseconds=1)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture
def parts(database: Database, tmp_path: Path) -> Parts:
    return parts_on(database, tmp_path, {"oxen": oxen_at()})


@pytest.fixture
def slots() -> Slots:
    return Slots(1, of_member=1)


@pytest.fixture
def edits(parts: Parts, slots: Slots) -> waiting.Waiting:
    return waiting.Waiting(parts.services, parts.leases, parts.deliverer, parts.poller, slots)


async def made(parts: Parts, seconds: Sequence[float]) -> None:
    """Store successes that took so many seconds."""
    began = NOW - timedelta(days=1)
    async with parts.database.transaction() as tx:
        for number, taken in enumerate(seconds):
            job = await add(tx, new_job(99, at=began))
            await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=began)
            running = await jobs.start_running(tx, job.id, began)
            known = await generations.add(tx, job.id, "oxen", [f"made {number}"])
            end, ends = began + after(taken), {known[0].id: JobStatus.SUCCEEDED}
            shown = [picture(number)]
            await settlement.succeed(tx, running, end, cost=None, pictures=shown, ends=ends)
            await jobs.mark_delivered(tx, job.id, end, message_id=1, channel_id=0, error=None)


async def running(parts: Parts, number: int = 1) -> list[Job]:
    found = []
    for each in range(number):
        remote_id = f"g{each} {parts.clock.now}"
        job = await parts.begun(
            await one(parts.database, new_job(each, at=parts.clock.now)), remote_id
        )
        await parts.poller.begin(job, [Submitted(remote_id, Waiting())])
        found.append(job)
    return found


async def slow(edits: waiting.Waiting, parts: Parts) -> list[Job]:
    return [job for _, job in await edits.slow(parts.clock.now)]


async def test_a_job_is_slow_two_seconds_after_the_90th_percentile(
    parts: Parts, edits: waiting.Waiting
) -> None:
    await made(parts, [10] * 8 + [20] * 2)
    (job,) = await running(parts)
    parts.clock.now = NOW + after(22) - MOMENT
    assert await slow(edits, parts) == []
    parts.clock.now = NOW + after(22)
    assert await slow(edits, parts) == [job]


async def test_without_an_estimate_no_job_is_slow(parts: Parts, edits: waiting.Waiting) -> None:
    await running(parts)
    parts.clock.move(hours=1)
    assert await slow(edits, parts) == []


async def test_a_slow_job_is_shown_once_and_stored_as_that(
    parts: Parts, edits: waiting.Waiting
) -> None:
    await made(parts, [10] * 10)
    (job,) = await running(parts)
    parts.clock.move(minutes=1)
    ((method, found),) = await edits.slow(parts.clock.now)
    await method(found)
    assert (await parts.job(job)).slow_shown

    parts.clock.move(minutes=1)  # after the pause: Discord is not connected here
    (other,) = await running(parts)
    parts.clock.move(minutes=1)
    assert await slow(edits, parts) == [other]
    await edits.show_slow(found)  # stored already: no second edit, and no pause after it
    assert await slow(edits, parts) == [other]


async def test_a_job_whose_slowness_or_last_status_was_shown_is_not_slow(
    parts: Parts, edits: waiting.Waiting
) -> None:
    await made(parts, [10] * 10)
    for user_id, mark in ((1, jobs.mark_slow), (2, jobs.mark_final_status)):
        job = await parts.begun(await one(parts.database, new_job(user_id)), f"g{user_id}")
        async with parts.database.transaction() as tx:
            marked = await mark(tx, job.id)
        assert marked is not None
        await parts.poller.begin(marked, [Submitted(f"g{user_id}", Waiting())])
    parts.clock.move(minutes=1)

    assert len(parts.poller.running) == 2
    assert await slow(edits, parts) == []


async def test_after_an_edit_without_an_answer_there_are_none_for_half_a_minute(
    parts: Parts, edits: waiting.Waiting
) -> None:
    await made(parts, [10] * 10)
    first, second = await running(parts, 2)
    parts.clock.move(minutes=1)
    await edits.show_place(first)
    parts.clock.now += after(30) - MOMENT
    assert await slow(edits, parts) == []
    parts.clock.now += MOMENT
    assert await slow(edits, parts) == [first, second]


async def test_no_status_is_edited_while_a_delivery_waits_for_a_slot(
    parts: Parts, edits: waiting.Waiting, slots: Slots
) -> None:
    await made(parts, [10] * 10)
    (job,) = await running(parts)
    parts.clock.move(minutes=1)
    (busy,) = slots.choose([job])
    assert await slow(edits, parts) == []
    slots.end(busy)
    assert await slow(edits, parts) == [job]


async def test_five_edits_are_made_at_once(parts: Parts, edits: waiting.Waiting) -> None:
    await made(parts, [10] * 10)
    found = await running(parts, 7)
    parts.clock.move(minutes=1)
    listed, shows = [len(edits._chosen(found, parts.clock.now))], []
    for each in found[:6]:
        shows.append(asyncio.create_task(edits.show_place(each)))
        await asyncio.sleep(0)  # an edit reads the usual time first
        listed.append(len(edits._chosen(found, parts.clock.now)))
    await asyncio.gather(*shows)
    assert listed == [5, 4, 3, 2, 1, 0, 0]

    parts.clock.move(seconds=30)  # after the pause: Discord is not connected here
    assert await slow(edits, parts) == found[:5]


@pytest.mark.parametrize(("candidates", "found"), [(3, False), (4, True)])
async def test_no_status_is_edited_in_a_channel_that_takes_no_message(
    parts: Parts,
    edits: waiting.Waiting,
    monkeypatch: pytest.MonkeyPatch,
    candidates: int,
    found: bool,
) -> None:
    """Nor in others, if there are more slow jobs than one turn looks at."""
    monkeypatch.setattr(waiting, "CANDIDATES", candidates)
    await made(parts, [10] * 10)
    here = await running(parts, 3)
    new = new_job(9)
    there = await one(parts.database, replace(new, route=replace(new.route, channel_id=21)))
    there = await parts.begun(there, "there")
    await parts.poller.begin(there, [Submitted("there", Waiting())])
    limited(parts.services, channel_id=20)
    parts.clock.move(minutes=1)

    assert len(parts.poller.running) == len(here) + 1
    assert await slow(edits, parts) == ([there] if found else [])


async def test_no_place_is_shown_in_a_pause_or_while_deliveries_wait(
    parts: Parts, edits: waiting.Waiting, slots: Slots
) -> None:
    job = await one(parts.database)

    async def moved() -> int:
        async with parts.database.reading() as view:
            return len(await edits.moved(view, parts.clock.now))

    parts.clock.move(minutes=1)
    (busy,) = slots.choose([job])
    assert await moved() == 0
    slots.end(busy)
    await edits.show_place(job)
    parts.clock.now += after(30) - MOMENT
    assert await moved() == 0
    parts.clock.now += MOMENT
    assert await moved() == 1


async def test_a_job_that_is_to_be_stopped_is_not_slow(
    parts: Parts, edits: waiting.Waiting
) -> None:
    await made(parts, [10] * 10)
    job = await parts.begun(await one(parts.database), "g1")
    async with parts.database.transaction() as tx:
        await jobs.request_cancel(tx, job.id, NOW)
    await parts.poller.begin(job, [Submitted("g1", Waiting())])
    parts.clock.move(minutes=1)

    assert await slow(edits, parts) == []


async def test_the_places_of_waiting_jobs_are_shown(parts: Parts, edits: waiting.Waiting) -> None:
    """Those of half an hour ago have expired."""
    await one(parts.database)
    first, second = [await one(parts.database, new_job(user)) for user in (2, 3)]
    parts.clock.move(minutes=29)
    async with parts.database.reading() as view:
        found = await edits.moved(view, parts.clock.now)
    assert {job.id for _, job in found} >= {first.id, second.id}
    assert {method for method, _ in found} == {edits.show_place}
    parts.clock.move(minutes=2)
    async with parts.database.reading() as view:
        assert await edits.moved(view, parts.clock.now) == []
