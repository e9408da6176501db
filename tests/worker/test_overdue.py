"""Generations that were given up: which of them are polled, how often, and what is taken."""

import logging
from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.jobs import Generation, Job, JobStatus
from bot.ledger import EntryKind
from bot.sandbox.http.faults import Answer
from bot.store import generations, ledger, settlement
from bot.store import pictures as picture_rows
from bot.store.pictures import Role
from bot.store.queue import BATCH
from bot.worker.overdue import INTERVAL, OverduePoller
from tests.support.files import picture
from tests.support.open_worker import OpenWorker
from tests.support.parts import Served

pytestmark = pytest.mark.usefixtures("costs_at_once")

DAY = timedelta(hours=24)
MOMENT = timedelta(milliseconds=1)
PATIENCE = timedelta(minutes=30)


def overdue(made: Served) -> OverduePoller:
    return OpenWorker(made.services).housekeeping._overdue


async def due(poller: OverduePoller, made: Served) -> list[str]:
    """Return the jobs that are polled now, in the order of their ids."""
    async with made.database.reading() as view:
        found = await poller.due(view, made.clock.now)
    return sorted(job.id for _, job in found)


async def unknown(made: Served, *, at: datetime | None = None) -> Job:
    """Store a failed job whose request had an unknown outcome."""
    job = await made.running([], at=at)
    async with made.database.transaction() as tx:
        return await settlement.fail_unknown(tx, job, at or made.clock.now)


def finished(*addresses: str) -> Answer:
    body: dict[str, Any] = {"images": [{"url": each} for each in addresses]}
    return Answer(200, {"status": "COMPLETED", "data": body})


def drawn(number: int = 0) -> str:
    return f"data:image/png;base64,{b64encode(picture(size=(20 + number, 20))).decode()}"


async def states(made: Served, job: Job) -> dict[str, JobStatus | None]:
    async with made.database.reading() as view:
        found: list[Generation] = await generations.of_job(view, job.id)
    return {each.remote_id: each.state for each in found}


async def number_of_pictures(made: Served, job: Job) -> int:
    async with made.database.reading() as view:
        return len(await picture_rows.of_job(view, job.id, Role.OUTPUT))


async def amounts(made: Served, job: Job, kind: EntryKind) -> list[int]:
    async with made.database.reading() as view:
        entries = await ledger.entries_of(view, job.id)
    return [each.amount for each in entries if each.kind is kind]


async def test_all_are_polled_every_five_minutes(made: Served) -> None:
    job = await made.failed(["gen_1"])
    poller = overdue(made)

    assert await due(poller, made) == [job.id]
    made.clock.now += INTERVAL - MOMENT
    assert await due(poller, made) == []
    made.clock.now += MOMENT
    assert await due(poller, made) == [job.id]
    assert await due(poller, made) == []


async def test_a_job_is_polled_for_a_day_after_its_end(made: Served) -> None:
    """Both kinds: with an open generation, and with an outcome that is not known."""
    old = made.clock.now - DAY
    await made.failed(["gen_1"], at=old)
    await unknown(made, at=old)
    younger = [await made.failed(["gen_2"], at=old + MOMENT), await unknown(made, at=old + MOMENT)]

    assert await due(overdue(made), made) == sorted(job.id for job in younger)


async def test_a_round_takes_several_turns_and_searches_in_the_first_alone(made: Served) -> None:
    found = sorted(
        [(await made.failed([f"gen_{number}"], user_id=number + 1)).id for number in range(BATCH)]
    )
    later = await made.failed(["gen_last"], job_id="z" * 16, user_id=99)
    searched = await unknown(made)
    poller = overdue(made)

    assert await due(poller, made) == sorted([*found, searched.id])
    assert await due(poller, made) == [later.id]
    assert await due(poller, made) == []
    made.clock.now += INTERVAL
    assert await due(poller, made) == sorted([*found, searched.id])


async def test_a_round_of_one_full_list_ends_with_an_empty_one(made: Served) -> None:
    for number in range(BATCH):
        await made.failed([f"gen_{number}"], user_id=number + 1)
    poller = overdue(made)

    assert [len(await due(poller, made)) for _ in range(3)] == [BATCH, 0, 0]
    await made.failed(["gen_last"], job_id="z" * 16)
    assert await due(poller, made) == []  # before the next round


async def test_a_provider_without_a_key_is_not_asked(made: Served) -> None:
    await made.failed(["gen_1"], provider="removed")

    assert await due(overdue(made), made) == []


async def test_each_open_generation_is_asked_for_whatever_became_of_the_others(
    made: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    names = [f"gen_{number}" for number in range(4)]
    job = await made.failed(names, ends={names[0]: JobStatus.FAILED}, count=4)
    ended = made.skills.faults.add("GET", f".*/{names[0]}", finished(drawn()))
    made.skills.faults.add("GET", f".*/{names[1]}", Answer(400, {"error": {"message": "odd"}}))
    lost = {"status": "FAILED", "error": {"code": "FAILED", "message": "broken"}}
    made.skills.faults.add("GET", f".*/{names[2]}", Answer(200, lost))
    made.skills.faults.add("GET", f".*/{names[3]}", finished(drawn()))

    await overdue(made).poll(job)

    assert ended.hits == 0
    failed, succeeded = JobStatus.FAILED, JobStatus.SUCCEEDED
    found = await states(made, job)
    assert [found[each] for each in names] == [failed, None, failed, succeeded]
    assert await number_of_pictures(made, job) == 1
    assert caplog.text.count("poll of an overdue generation failed") == 1
    assert "overdue picture not downloaded" not in caplog.text
    assert caplog.text.count("finished after JOB_TIMEOUT; charged, delivery follows") == 1
    stored = await made.job(job)
    assert (stored.cost, stored.overdue_at) == (20_000, made.clock.now)


@pytest.mark.parametrize(("later", "taken"), [(PATIENCE - MOMENT, 0), (PATIENCE, 1)])
async def test_half_an_hour_long_the_pictures_of_a_generation_are_waited_for(
    made: Served, caplog: pytest.LogCaptureFixture, later: timedelta, taken: int
) -> None:
    job = await made.failed(["gen_1"], count=2)
    made.clock.now += later
    away = f"{made.skills.cdn_origin}/output/away.png"
    made.skills.faults.add("GET", "/output/away.png", Answer(404), times=None)
    made.skills.faults.add("GET", ".*/gen_1", finished(drawn(), away))

    await overdue(made).poll(job)

    assert await number_of_pictures(made, job) == taken
    state = JobStatus.SUCCEEDED if taken else None
    assert await states(made, job) == {"gen_1": state}
    assert caplog.text.count("overdue picture not downloaded") == 1
    assert "sent no picture" not in caplog.text


@pytest.mark.parametrize(("later", "given_up"), [(PATIENCE - MOMENT, False), (PATIENCE, True)])
async def test_half_an_hour_long_the_only_picture_is_waited_for(
    made: Served, caplog: pytest.LogCaptureFixture, later: timedelta, given_up: bool
) -> None:
    job = await made.failed(["gen_1"])
    made.clock.now += later
    away = f"{made.skills.cdn_origin}/output/away.png"
    made.skills.faults.add("GET", "/output/away.png", Answer(404), times=None)
    made.skills.faults.add("GET", ".*/gen_1", finished(away))

    await overdue(made).poll(job)

    state = JobStatus.FAILED if given_up else None
    assert await states(made, job) == {"gen_1": state}
    assert ("skills sent no picture" in caplog.text) is given_up
    # A service charges for what has succeeded.
    assert await amounts(made, job, EntryKind.LOSS) == ([-20_000] if given_up else [])


async def test_one_finished_generation_does_not_wait_for_the_pictures_of_another(
    made: Served,
) -> None:
    job = await made.failed(["gen_1", "gen_2"], count=2)
    away = f"{made.skills.cdn_origin}/output/away.png"
    made.skills.faults.add("GET", "/output/away.png", Answer(404), times=None)
    made.skills.faults.add("GET", ".*/gen_1", finished(away))
    made.skills.faults.add("GET", ".*/gen_2", finished(drawn()))

    await overdue(made).poll(job)

    assert await states(made, job) == {"gen_1": None, "gen_2": JobStatus.SUCCEEDED}
    assert await number_of_pictures(made, job) == 1


async def test_a_reported_cost_is_charged_with_the_prompt_that_was_drawn(made: Served) -> None:
    job = await made.failed(["gen_1"])
    data = {"images": [{"url": drawn()}], "revised_prompt": "a red fox"}
    body = {"status": "COMPLETED", "data": data, "usage": {"total": 23}}
    made.skills.faults.add("GET", ".*/gen_1", Answer(200, body))
    await overdue(made).poll(job)
    stored = await made.job(job)

    assert (stored.cost, stored.expanded_prompt) == (23_000, "a red fox")


async def test_a_generation_that_was_stopped_is_not_asked_for_again(made: Served) -> None:
    (remote_id,) = await made.submitted()
    job = await made.failed([remote_id], provider="oxen")
    made.oxen.runner.advance(remote_id, "cancelled")
    await overdue(made).poll(job)

    assert await states(made, job) == {remote_id: JobStatus.FAILED}
    assert await amounts(made, job, EntryKind.LOSS) == []
    assert await due(overdue(made), made) == []
