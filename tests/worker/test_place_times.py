"""When a status message is edited because of the place of its job, and by which place."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.delivery import PLACES
from bot.errors import ProviderError, Reason
from bot.health import FAILURES, Cause
from bot.jobs import Job, JobStatus
from bot.store import jobs
from bot.store.backends import open_database
from bot.worker.places import EVERY, FIRST, Places
from bot.worker.recovery import QUEUE_TIMEOUT
from tests.support.parts import Served, served
from tests.support.rows import NOW, new_job, one

MOMENT = timedelta(milliseconds=1)
BEHIND = PLACES + 1
SHOWN = NOW + FIRST + MOMENT  # of jobs that are requested now


@pytest.fixture
def places(made: Served) -> Places:
    return Places(made.services)


async def queued(made: Served, number: int, *, at: datetime = NOW) -> list[Job]:
    """Store jobs of as many members, in the order of their places."""
    return [
        await one(made.database, new_job(each + 1, at=at + each * timedelta(microseconds=1)))
        for each in range(number)
    ]


async def changed(places: Places, made: Served, now: datetime | None = None) -> list[str]:
    made.clock.now = now or made.clock.now
    async with made.database.reading() as view:
        found = await places.changed(
            view, made.clock.now, created_after=made.clock.now - QUEUE_TIMEOUT
        )
    return [job.id for job in found]


def show(places: Places, found: Sequence[Job]) -> list[int | None]:
    return [places.show(job) for job in found]


async def test_a_new_job_shows_its_place_after_three_seconds(made: Served, places: Places) -> None:
    (job,) = await queued(made, 1)

    assert await changed(places, made, NOW + FIRST - MOMENT) == []
    assert await changed(places, made, NOW + FIRST) == [job.id]


async def test_a_job_of_an_earlier_run_shows_its_place_after_half_a_minute(
    made: Served, places: Places
) -> None:
    """The earlier run may have edited its status message a moment before."""
    (job,) = await queued(made, 1, at=NOW - MOMENT)

    assert await changed(places, made, NOW + EVERY - MOMENT) == []
    assert await changed(places, made, NOW + EVERY) == [job.id]


async def test_another_place_is_shown_half_a_minute_after_the_last_edit(
    made: Served, places: Places
) -> None:
    first, second = await queued(made, 2)
    assert await changed(places, made, SHOWN) == [first.id, second.id]
    assert show(places, [first, second]) == [1, 2]
    shown_at = made.clock.now
    async with made.database.transaction() as tx:
        await jobs.request_cancel(tx, first.id, NOW)

    assert await changed(places, made, shown_at + EVERY - MOMENT) == []
    assert places.of(second) == 1
    assert await changed(places, made, shown_at + EVERY) == [second.id]
    assert show(places, [second]) == [1]
    assert await changed(places, made, shown_at + 3 * EVERY) == []


async def test_an_edit_whose_outcome_is_unknown_is_repeated(made: Served, places: Places) -> None:
    first, second = await queued(made, 2)
    await changed(places, made, NOW + FIRST)
    show(places, [first, second])
    shown_at = made.clock.now
    places.miss(second)

    assert await changed(places, made, shown_at + EVERY - MOMENT) == []
    assert await changed(places, made, shown_at + EVERY) == [second.id]
    assert places.of(second) == 2


async def test_a_job_that_was_never_shown_cannot_miss_its_edit(
    made: Served, places: Places
) -> None:
    (job,) = await queued(made, 1)
    places.miss(job)

    assert await changed(places, made, NOW + FIRST) == [job.id]


async def test_a_job_that_left_the_queue_has_no_place(made: Served, places: Places) -> None:
    """Put back, it is shown like a new one."""
    (job,) = await queued(made, 1)
    await changed(places, made, NOW + FIRST)
    assert places.show(job) == 1
    async with made.database.transaction() as tx:
        running = await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
    assert (places.of(running), places.show(running)) == (None, None)
    async with made.database.transaction() as tx:
        await jobs.requeue(tx, job.id, submit_after=NOW, reason=None)

    assert await changed(places, made, NOW + FIRST + MOMENT) == [job.id]


async def test_behind_ten_jobs_all_have_the_same_place(made: Served, places: Places) -> None:
    found = await queued(made, BEHIND + 1)
    shown = await changed(places, made, SHOWN)
    assert shown[:PLACES] == [job.id for job in found[:PLACES]]
    assert sorted(shown[PLACES:]) == sorted(job.id for job in found[PLACES:])
    assert show(places, found) == [*range(1, PLACES + 1), BEHIND, BEHIND]
    assert await changed(places, made, SHOWN + EVERY) == []


async def test_with_ten_jobs_no_other_is_behind(made: Served, places: Places) -> None:
    found = await queued(made, PLACES)
    old = await one(made.database, new_job(99, at=NOW + FIRST - QUEUE_TIMEOUT))  # it has expired
    await changed(places, made, NOW + FIRST)

    assert [places.of(job) for job in found] == [*range(1, PLACES + 1)]
    assert places.of(old) is None


async def test_a_job_that_falls_behind_the_tenth_or_comes_forward_is_edited(
    made: Served, places: Places
) -> None:
    found = await queued(made, PLACES)
    await changed(places, made, SHOWN)
    show(places, found)
    ahead = await one(made.database, new_job(50, at=NOW - MOMENT))
    later = await changed(places, made, SHOWN + EVERY)
    assert later == [ahead.id, *(job.id for job in found)]
    assert show(places, found)[-1] == BEHIND
    async with made.database.transaction() as tx:
        await jobs.request_cancel(tx, ahead.id, NOW)
    later = await changed(places, made, SHOWN + 2 * EVERY)

    assert later == [job.id for job in found]
    assert show(places, found)[-1] == PLACES


async def test_while_a_provider_is_down_no_job_has_a_place(made: Served, places: Places) -> None:
    (job,) = await queued(made, 1)
    await changed(places, made, NOW + FIRST)
    assert places.of(job) == 1
    for member in range(FAILURES):
        made.services.health.submitted("oxen", Cause(member), ProviderError(Reason.UNAVAILABLE))

    assert await changed(places, made) == []
    assert places.of(job) is None


async def test_a_status_message_that_is_not_edited_any_more_keeps_its_text(
    made: Served, places: Places
) -> None:
    """After the last edit with its token, and while a cancel is on the way."""
    found = await queued(made, BEHIND)
    async with made.database.transaction() as tx:
        await jobs.mark_final_status(tx, found[0].id)
        await jobs.request_cancel(tx, found[-1].id, NOW)
        last = await jobs.add(tx, new_job(50, at=NOW + MOMENT))
        await jobs.confirm_reply(tx, last.id, 1)
    later = await changed(places, made, NOW + MOMENT + FIRST)

    assert found[0].id not in later
    assert found[-1].id not in later
    assert [places.of(job) for job in (found[0], found[1], last)] == [1, 2, BEHIND]


async def test_a_process_that_takes_over_waits_for_edits_of_the_other(
    made: Served, places: Places
) -> None:
    (job,) = await queued(made, 1)
    await changed(places, made, NOW + FIRST)
    places.show(job)
    places.leave()
    assert places.of(job) is None
    begun = NOW + timedelta(minutes=2)
    new = await one(made.database, new_job(2, at=begun))

    assert await changed(places, made, begun) == []
    assert await changed(places, made, begun + FIRST) == [new.id]
    assert sorted(await changed(places, made, begun + EVERY)) == sorted([job.id, new.id])


@pytest.mark.long
async def test_a_process_that_shares_the_database_begins_with_its_first_turn(
    postgres_url: str, tmp_path: Path
) -> None:
    """Until then, another one has shown the places."""
    async with open_database(postgres_url) as database, served(database, tmp_path) as made:
        places = Places(made.services)
        before = await one(database, new_job(1, at=NOW))
        begun = NOW + EVERY
        new = await one(database, new_job(2, at=begun))
        assert await changed(places, made, begun) == []
        assert await changed(places, made, begun + FIRST) == [new.id]
        assert await changed(places, made, begun + EVERY) == [before.id, new.id]


async def test_expired_jobs_are_forgotten(made: Served, places: Places) -> None:
    (job,) = await queued(made, 1)
    places.show(job)
    kept = await one(made.database, new_job(2, at=NOW + MOMENT))
    places.show(kept)
    await changed(places, made, NOW + QUEUE_TIMEOUT)

    assert [*places._shown] == [kept.id]
