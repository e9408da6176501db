"""Charges for generations without a picture, which a service reports after the settlement."""

import logging
from collections.abc import Mapping
from datetime import timedelta

import pytest

from bot.jobs import Job, JobStatus
from bot.ledger import EntryKind
from bot.sandbox.http.faults import Answer, Rule
from bot.store import ledger
from bot.worker.late_losses import FIRST, LAST, RETRY, LateLosses
from bot.worker.leases import Leases
from tests.support.parts import Served

MOMENT = timedelta(milliseconds=1)
ENDED = {"gen_1": JobStatus.FAILED}


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def late(made: Served) -> LateLosses:
    return LateLosses(made.services, Leases(made.services))


async def due(late: LateLosses, made: Served) -> list[str]:
    async with made.database.reading() as view:
        return [job.id for _, job in await late.due(view, made.clock.now)]


async def losses(made: Served, job: Job) -> dict[str, int]:
    async with made.database.reading() as view:
        entries = await ledger.entries_of(view, job.id)
    return {each.reason: each.amount for each in entries if each.kind is EntryKind.LOSS}


def reports(made: Served, credits: Mapping[str, int]) -> list[Rule]:
    """Let skills.video report these charges."""
    return [
        made.skills.faults.add(
            "GET",
            f".*/{remote_id}",
            Answer(200, {"status": "FAILED", "usage": {"total": number}}),
            times=None,
        )
        for remote_id, number in credits.items()
    ]


async def test_a_service_is_asked_from_a_minute_to_an_hour_after_the_settlement(
    made: Served, late: LateLosses
) -> None:
    job = await made.failed(["gen_1"], ends=ENDED)
    now = made.clock.now
    asked = {}
    for later in (FIRST - MOMENT, FIRST, LAST, LAST + MOMENT):
        made.clock.now = now + later
        asked[later] = await due(late, made) == [job.id]

    assert list(asked.values()) == [False, True, True, False]


async def test_a_charge_is_recorded_and_not_asked_for_again(
    made: Served, late: LateLosses, caplog: pytest.LogCaptureFixture
) -> None:
    job = await made.failed(["gen_1"], ends=ENDED)
    (row,) = reports(made, {"gen_1": 20})
    made.clock.now += FIRST
    await late.ask(job)

    assert await losses(made, job) == {"gen_1": -20_000}
    assert caplog.text.count("skills charged 20 credits for gen_1 without a picture") == 1
    assert await due(late, made) == []
    await LateLosses(made.services, Leases(made.services)).ask(job)  # after a restart
    assert row.hits == 1


async def test_a_job_without_a_charge_is_asked_for_once_in_a_run(
    made: Served, late: LateLosses, caplog: pytest.LogCaptureFixture
) -> None:
    job = await made.failed(["gen_1"], ends=ENDED)
    reports(made, {"gen_1": 0})
    made.clock.now += FIRST
    await late.ask(job)

    assert await losses(made, job) == {}
    assert caplog.messages == []
    made.clock.now += LAST - FIRST
    assert await due(late, made) == []
    assert await due(LateLosses(made.services, Leases(made.services)), made) == [job.id]


async def test_a_cost_that_cannot_be_asked_for_is_asked_for_after_five_minutes(
    made: Served, late: LateLosses, caplog: pytest.LogCaptureFixture
) -> None:
    job = await made.failed(["gen_1"], ends=ENDED)
    made.skills.faults.add("GET", ".*/gen_1", Answer(400), times=None)
    made.clock.now += FIRST
    await late.ask(job)

    assert caplog.text.count("cost of a job without a picture not reported, retrying") == 1
    made.clock.now += RETRY - MOMENT
    assert await due(late, made) == []
    made.clock.now += MOMENT
    assert await due(late, made) == [job.id]


async def test_only_ends_without_a_picture_and_without_a_loss_are_asked_for(
    made: Served, late: LateLosses
) -> None:
    names = ["gen_1", "gen_2", "gen_3", "gen_4"]
    states = (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.SUCCEEDED)
    ends = dict(zip(names[:3], states, strict=True))  # the last one is open
    job = await made.failed(names, ends=ends, count=4)
    rows = reports(made, dict.fromkeys(names, 20))
    await late.ask(job)

    assert [each.hits for each in rows] == [1, 1, 0, 0]
    assert await losses(made, job) == {"gen_1": -20_000, "gen_2": -20_000}


async def test_of_several_costs_those_that_are_charged_are_losses(
    made: Served, late: LateLosses
) -> None:
    ends = dict.fromkeys(["gen_1", "gen_2"], JobStatus.FAILED)
    job = await made.failed([*ends], ends=ends, count=2)
    reports(made, {"gen_1": 0, "gen_2": 20})
    await late.ask(job)

    assert await losses(made, job) == {"gen_2": -20_000}


async def test_a_provider_without_a_key_is_not_asked(made: Served, late: LateLosses) -> None:
    await made.failed(["gen_1"], ends=ENDED, provider="removed")
    made.clock.now += FIRST

    assert await due(late, made) == []
