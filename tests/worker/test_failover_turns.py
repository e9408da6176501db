"""Outages in the turns of the housekeeping: which jobs move, which report it, and when no more."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.catalog import Catalog
from bot.errors import ProviderError, Reason
from bot.health import FAILURES, Cause
from bot.jobs import Job
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec
from bot.quotas import Quotas
from bot.rights import ALL_MODELS, Allowance
from bot.service_balances import ServiceBalance, ServiceBalances
from bot.services import Services
from bot.store import queue, settlement
from bot.worker.deliver import Deliverer
from bot.worker.failover import Failover
from bot.worker.leases import Leases
from tests.support.outcomes import Outcomes
from tests.support.parts import PRICES, Served
from tests.support.rows import NOW, new_job, one

MOMENT = timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bot.worker.failover")


@pytest.fixture
def services(made: Served, discord: Outcomes) -> Services:
    balances = ServiceBalances(made.clock, {"skills": 1_000})
    return replace(made.services, delivery=discord, balances=balances)


def failover_of(services: Services) -> Failover:
    return Failover(services, Deliverer(services, Leases(services)))


@pytest.fixture
def failover(services: Services) -> Failover:
    return failover_of(services)


def fail(services: Services, provider: str = "oxen") -> None:
    for member in range(FAILURES):
        services.health.submitted(provider, Cause(member), ProviderError(Reason.UNAVAILABLE))
    assert provider in services.health.down


def recover(services: Services, provider: str = "oxen") -> None:
    services.health.submitted(provider, Cause(9))


async def queued(
    made: Served,
    user_id: int = 1,
    *,
    auto: bool = True,
    at: datetime = NOW - MOMENT,
    count: int = 1,
    allowance: int | None = None,
    models: frozenset[str] | None = None,
) -> Job:
    new = new_job(user_id, at=at, count=count, price=PRICES["oxen"] * count)
    limit = None if allowance is None else Allowance(amount=allowance)
    new = replace(new, model_auto=auto, allowance=limit, allowed_models=models)
    return await one(made.database, new)


async def due(failover: Failover, made: Served) -> tuple[list[str], list[str]]:
    """Return the jobs to hand over, and those whose status message is edited."""
    async with made.database.reading() as view:
        found = await failover.due(view, made.clock.now)
    moving = [job.id for method, job in found if method == failover.hand_over]
    return moving, [job.id for method, job in found if method == failover.report]


async def report(failover: Failover, jobs: Sequence[Job]) -> None:
    for job in jobs:
        await failover.report(job)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [each for each in caplog.records if each.name == "bot.worker.failover"]
    return [each.getMessage() for each in found]


async def test_without_an_outage_nothing_is_due(made: Served, failover: Failover) -> None:
    await queued(made)

    assert await due(failover, made) == ([], [])


async def test_an_outage_and_its_end_are_reported_once_each(
    made: Served, services: Services, failover: Failover
) -> None:
    job = await queued(made, auto=False)
    fail(services)
    assert await due(failover, made) == ([], [job.id])
    await failover.report(job)
    assert await due(failover, made) == ([], [])
    recover(services)
    assert await due(failover, made) == ([], [job.id])
    await failover.report(job)

    assert await due(failover, made) == ([], [])


async def test_a_reply_during_the_outage_has_reported_it(
    made: Served, services: Services, failover: Failover
) -> None:
    before = await queued(made, auto=False)
    fail(services)
    during = await queued(made, 2, auto=False, at=NOW)
    assert await due(failover, made) == ([], [before.id])
    await failover.report(before)
    recover(services)
    moving, reported = await due(failover, made)

    assert (moving, sorted(reported)) == ([], sorted([before.id, during.id]))


async def test_a_job_that_left_the_queue_is_forgotten(
    made: Served, services: Services, failover: Failover
) -> None:
    jobs = [await queued(made, number + 1, auto=False) for number in range(queue.BATCH + 1)]
    fail(services)
    await report(failover, jobs)
    async with made.database.transaction() as tx:
        for job in jobs[:-1]:
            await settlement.cancel(tx, job.id, NOW)
    recover(services)
    assert await due(failover, made) == ([], [])  # a batch at a time

    assert await due(failover, made) == ([], [jobs[-1].id])


async def test_what_another_model_takes_moves_and_the_rest_reports_the_outage(
    made: Served, services: Services, failover: Failover, discord: Outcomes
) -> None:
    moving = await queued(made, count=2)
    staying = await queued(made, 2, auto=False)
    fail(services)
    assert await due(failover, made) == ([moving.id], [staying.id])
    await failover.hand_over(moving)
    moved = await made.job(moving)

    assert (moved.provider, moved.request.model, moved.price) == ("skills", "skills", 40_000)
    ((shown, _),) = discord.edits
    assert shown == moved
    assert await due(failover, made) == ([], [staying.id])


async def test_a_batch_that_cannot_move_hides_no_job_that_can(
    made: Served, services: Services, failover: Failover
) -> None:
    for number in range(queue.BATCH):
        wide = new_job(number + 1, at=NOW - timedelta(minutes=1), aspect_ratio="2:1")
        await one(made.database, replace(wide, model_auto=True))
    job = await queued(made, 99)
    fail(services)
    assert job.id not in (await due(failover, made))[0]

    assert (await due(failover, made))[0] == [job.id]


async def test_a_batch_that_has_reported_the_outage_hides_no_job_that_has_not(
    made: Served, services: Services, failover: Failover
) -> None:
    jobs = [await queued(made, number + 1, auto=False) for number in range(queue.BATCH + 1)]
    fail(services)
    _, first = await due(failover, made)
    assert len(first) == queue.BATCH
    await report(failover, [job for job in jobs if job.id in first])

    assert await due(failover, made) == ([], [job.id for job in jobs if job.id not in first])


async def test_while_the_other_has_no_credits_everything_stays(
    made: Served, services: Services, failover: Failover
) -> None:
    job = await queued(made)
    services.balances.adopt({"skills": ServiceBalance(999, NOW)})
    fail(services)
    assert await due(failover, made) == ([], [job.id])
    services.balances.adopt({"skills": ServiceBalance(1_000, NOW)})

    assert await due(failover, made) == ([job.id], [])


async def test_while_the_other_is_down_too_everything_stays(
    made: Served, services: Services, failover: Failover
) -> None:
    job = await queued(made)
    for provider in ("oxen", "skills"):
        fail(services, provider)
    assert await due(failover, made) == ([], [job.id])
    recover(services, "skills")

    assert await due(failover, made) == ([job.id], [])


@pytest.mark.parametrize(("left", "moves"), [(20_000, True), (19_999, False)])
async def test_a_price_of_exactly_the_rest_is_accepted(
    made: Served,
    services: Services,
    failover: Failover,
    caplog: pytest.LogCaptureFixture,
    left: int,
    moves: bool,
) -> None:
    job = await queued(made, allowance=left)
    fail(services)
    assert await due(failover, made) == ([job.id], [])
    await failover.hand_over(job)

    assert (await made.job(job)).provider == ("skills" if moves else "oxen")
    expected = (
        "job moved to skills: oxen is down"
        if moves
        else "job stays: skills costs more than its member has left"
    )
    assert lines(caplog) == [expected]
    assert await due(failover, made) == ([], [] if moves else [job.id])


@pytest.mark.parametrize(
    ("models", "moves"),
    [(None, True), (ALL_MODELS, True), ({"oxen", "skills"}, True), ({"oxen"}, False), ((), False)],
)
async def test_a_job_moves_only_to_a_model_that_the_roles_of_its_member_allow(
    made: Served,
    services: Services,
    failover: Failover,
    models: Collection[str] | None,
    moves: bool,
) -> None:
    job = await queued(made, models=None if models is None else frozenset(models))
    fail(services)

    assert await due(failover, made) == (([job.id], []) if moves else ([], [job.id]))
    await failover.hand_over(job)
    assert (await made.job(job)).provider == ("skills" if moves else "oxen")


async def test_a_provider_whose_budget_is_used_up_is_passed_over(
    made: Served, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    third = replace(skills_spec(price=1_000), key="third", provider="third", title="Third")
    specs = [oxen_spec(price=7_500), skills_spec(price=20_000), third]
    services = replace(
        services,
        catalog=Catalog(specs),
        quotas=Quotas(provider_budgets={"skills": 19_999, "third": 1_000}),
    )
    failover = failover_of(services)
    jobs = [await queued(made, number) for number in (1, 2)]
    fail(services)
    await due(failover, made)
    for job in jobs:
        await failover.hand_over(job)

    assert [(await made.job(job)).provider for job in jobs] == ["third", "oxen"]
    assert lines(caplog) == [
        "job not moved to skills: the provider's budget is used up",
        "job moved to third: oxen is down",
        "job not moved to skills: the provider's budget is used up",
        "job not moved to third: the provider's budget is used up",
    ]
    assert await due(failover, made) == ([], [jobs[1].id])


async def test_a_job_that_moved_reports_an_outage_of_its_new_provider(
    made: Served, services: Services, failover: Failover
) -> None:
    job = await queued(made)
    for provider in ("oxen", "skills"):
        fail(services, provider)
    assert await due(failover, made) == ([], [job.id])
    await failover.report(job)
    recover(services, "skills")
    assert await due(failover, made) == ([job.id], [])
    await failover.hand_over(job)
    assert await due(failover, made) == ([], [])
    fail(services, "skills")

    assert await due(failover, made) == ([], [job.id])


async def test_a_job_that_waits_no_longer_is_left_alone(
    made: Served, services: Services, failover: Failover, discord: Outcomes
) -> None:
    job = await queued(made)
    fail(services)
    async with made.database.transaction() as tx:
        await settlement.cancel(tx, job.id, NOW)
    await failover.hand_over(job)

    assert discord.edits == []
    assert failover._staying == set()
