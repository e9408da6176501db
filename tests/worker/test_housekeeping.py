"""The work that no event announces: how often the rows are read, and what is due by the clock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.errors import Reason
from bot.jobs import Job, JobStatus, NewJob, Picture, PictureKind
from bot.ledger import Cost
from bot.sandbox.http.faults import Answer
from bot.services import Services
from bot.store import generations, jobs, settlement
from bot.store.backends import open_coordination, open_database
from bot.store.coordination import Duty, Role
from bot.worker.housekeeping import INTERVAL
from bot.worker.leases import Leases
from bot.worker.tasks import Tasks
from tests.support.menus import until
from tests.support.open_worker import OpenWorker
from tests.support.outcomes import Outcomes
from tests.support.parts import PRICES, Served
from tests.support.rows import NOW, new_job, one

MOMENT = timedelta(milliseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
Turn = Callable[[], "asyncio.Future[None]"]


class Chores:
    """The housekeeping of a worker whose other parts rest."""

    def __init__(self, services: Services, tasks: Tasks) -> None:
        self.worker = OpenWorker(services)
        self.housekeeping = self.worker.housekeeping
        self._tasks = tasks

    async def turn(self) -> None:
        """Make a turn, and wait until the work that is due has ended."""
        await self.housekeeping.turn(self._tasks)
        async with asyncio.timeout(20):
            while self._tasks.busy:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def doing(services: Services) -> AsyncIterator[Chores]:
    async with Tasks(
        Leases(services),
        services.precedence,
        wake=lambda: None,
        ended=lambda: None,
        goes_on=lambda _: False,
    ) as tasks:
        yield Chores(services, tasks)


@pytest.fixture
async def chores(made: Served, discord: Outcomes) -> AsyncIterator[Chores]:
    async with doing(replace(made.services, delivery=discord)) as found:
        yield found


def expiring(at: datetime, *, private: bool = True) -> NewJob:
    new = new_job(at=NOW)
    return replace(new, route=replace(new.route, token_expires_at=at, private=private))


async def drawn(made: Served, cost: Cost | None, *, at: datetime = NOW) -> Job:
    drawn_before = len(made.skills.faults.rules)
    name = f"gen_{cost.amount if cost else 0}_{drawn_before}"
    job = await made.running([name], at=at)
    async with made.database.transaction() as tx:
        (generation,) = await generations.of_job(tx, job.id)
        job = await settlement.succeed(
            *(tx, job, at),
            cost=cost,
            pictures=[Picture("e" * 64, PictureKind.PNG, 9, 1, 1)],
            ends={generation.id: JobStatus.SUCCEEDED},
        )
        await jobs.mark_delivered(tx, job.id, at, message_id=1, channel_id=20, error=None)
    return job


async def test_the_next_turn_is_in_two_seconds(made: Served, chores: Chores) -> None:
    assert chores.housekeeping.next_turn == NOW
    made.clock.now += HOUR
    await chores.turn()

    assert chores.housekeeping.next_turn == NOW + HOUR + INTERVAL


@pytest.mark.parametrize(("left", "sent"), [(MINUTE + MOMENT, False), (MINUTE, True)])
async def test_a_status_message_is_edited_for_the_last_time_a_minute_before_its_token_ends(
    made: Served, chores: Chores, discord: Outcomes, left: timedelta, sent: bool
) -> None:
    job = await one(made.database, expiring(NOW + left))
    await chores.turn()
    await chores.turn()

    assert (await made.job(job)).final_status_sent is sent
    assert len(discord.edits) == sent


async def test_tokens_are_erased_every_minute(made: Served, chores: Chores) -> None:
    job = await one(made.database, expiring(NOW + MOMENT, private=False))

    async def has_token() -> bool:
        return (await made.job(job)).route.interaction_token is not None

    await chores.turn()
    made.clock.now += MINUTE - MOMENT
    await chores.turn()
    assert await has_token()
    made.clock.now += MOMENT
    await chores.turn()
    assert not await has_token()


async def test_the_first_turn_erases_what_expired_before(made: Served, chores: Chores) -> None:
    job = await one(made.database, expiring(NOW, private=False))
    await chores.turn()

    assert (await made.job(job)).route.interaction_token is None


async def test_prices_are_refreshed_at_the_start_and_every_hour(
    made: Served, chores: Chores
) -> None:
    listed = PRICES["skills"]
    specs = made.services.catalog.specs
    await drawn(made, Cost(listed + 1, {}))
    await chores.turn()
    assert specs["skills"].price == listed + 1
    await drawn(made, Cost(listed + 2, {}))
    made.clock.now += HOUR - MOMENT
    await chores.turn()
    assert specs["skills"].price == listed + 1
    made.clock.now += MOMENT
    await chores.turn()

    assert specs["skills"].price == listed + 2


@pytest.mark.parametrize(("later", "asked"), [(MINUTE - MOMENT, 2), (MINUTE, 0)])
async def test_an_estimated_cost_is_asked_for_during_a_minute(
    made: Served, chores: Chores, later: timedelta, asked: int
) -> None:
    row = made.skills.faults.add("GET", ".*/gen_.*", Answer(400), times=None)
    await drawn(made, None)
    made.clock.now += later
    await chores.turn()
    await chores.turn()

    assert row.hits == asked


async def test_a_cost_that_is_reported_late_corrects_the_estimate(
    made: Served, chores: Chores
) -> None:
    usage = {"status": "COMPLETED", "data": {"images": []}, "usage": {"total": 23}}
    made.skills.faults.add("GET", ".*/gen_.*", Answer(200, usage), times=None)
    job = await drawn(made, None)
    await chores.turn()

    stored = await made.job(job)
    assert (stored.cost, stored.estimated) == (23_000, False)
    assert made.services.catalog.specs["skills"].price == 23_000


@pytest.mark.long
async def test_only_the_process_with_the_duty_cares_for_settled_jobs_and_places(
    made: Served, discord: Outcomes, postgres_url: str
) -> None:
    queued = await one(made.database, new_job(at=NOW))
    await made.failed(["gen_1"])
    row = made.skills.faults.add("GET", ".*/gen_.*", Answer(400), times=None)
    async with open_database(postgres_url) as shared:
        coordination = open_coordination(shared, Role.WORKER)
        taking_part = asyncio.create_task(coordination.run())
        await until(lambda: coordination.has(Duty.AFTERCARE))
        services = replace(made.services, delivery=discord, coordination=coordination)
        async with doing(services) as chores:
            made.clock.now += MINUTE
            await chores.turn()
            assert (row.hits, [wait.place for _, wait in discord.edits]) == (1, [1])
            places = chores.worker.deliverer.places
            assert places.of(queued) == 1
            taking_part.cancel()  # the duties end
            await asyncio.wait({taking_part})
            made.clock.now += HOUR / 4
            await chores.turn()

    assert (row.hits, places.of(queued)) == (1, None)
    assert len(discord.edits) == 1


async def test_jobs_that_waited_for_too_long_fail(made: Served, chores: Chores) -> None:
    job = await one(made.database, new_job(at=NOW - HOUR))
    await chores.turn()

    failed = await made.job(job)
    assert (failed.status, failed.reason) == (JobStatus.FAILED, Reason.AWAY)
