"""Many results that wait for Discord are not listed again for each delivery."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from bot.jobs import Job, JobStatus
from bot.services import Services
from bot.store.database import Database
from bot.store.tables import jobs as table
from bot.worker import housekeeping
from bot.worker.deliver import Deliverer
from bot.worker.deliveries import CONCURRENT_DELIVERIES, LISTED, REREAD, Deliveries
from bot.worker.tasks import Work
from tests.support.delivery import drawing
from tests.support.easel import Stage
from tests.support.rows import NOW, add, new_job
from tests.support.statements import statements

LATER = NOW + timedelta(minutes=1)


async def stored(at: Stage, number: int) -> None:
    """Store jobs of as many members in as many channels, which wait for their delivery."""
    at.audited = False  # settled by hand
    async with at.database() as database, database.transaction() as tx:
        for each in range(number):
            new = new_job(1000 + each)
            route = replace(new.route, channel_id=2000 + each, parent_id=None)
            await add(tx, replace(new, route=route))
        await tx.execute(
            table.update().values(status=JobStatus.FAILED, settled_at=NOW, lease_until=None)
        )


class Begun:
    """Deliveries that end as soon as they begin."""

    def __init__(self, services: Services) -> None:
        self.jobs: list[Job] = []
        self.deliveries = Deliveries(
            services,
            cast(Deliverer, None),  # no delivery runs
            start=self._start,
            is_busy=lambda _: False,
            wake=lambda: None,
        )

    def _start(self, job: Job, work: Work) -> bool:
        work.close()
        self.jobs.append(job)
        return True

    async def turn(self, database: Database, now: datetime) -> None:
        already = len(self.jobs)
        async with database.reading() as view:
            await self.deliveries.read(view, now)
        self.deliveries.begin()
        for job in self.jobs[already:]:
            self.deliveries.slots.end(job)


async def delivered(at: Stage, moments: Sequence[datetime]) -> tuple[int, int]:
    """Deliver in turns at these times; return how many jobs began, and how many lists were read."""
    async with at.app() as app:
        begun = Begun(app.services)
        with statements() as executed:
            for now in moments:
                await begun.turn(app.services.database, now)
    return len({job.id for job in begun.jobs}), sum("in_channel" in each for each in executed)


async def test_one_list_serves_several_turns_while_more_wait_than_it_holds(at: Stage) -> None:
    await stored(at, 2 * LISTED)
    began, lists = await delivered(at, [LATER] * 2)

    assert began == LISTED
    assert lists == 1


async def test_a_list_that_has_all_is_read_again(at: Stage) -> None:
    """The next turn shows what has settled meanwhile."""
    await stored(at, CONCURRENT_DELIVERIES)
    _, lists = await delivered(at, [LATER] * 3)

    assert lists == 3


async def test_a_list_serves_for_a_moment_only(at: Stage) -> None:
    await stored(at, 3 * LISTED)
    _, lists = await delivered(at, [LATER, LATER + REREAD / 2, LATER + REREAD])

    assert lists == 2


async def test_requests_for_cancels_are_read_when_a_member_sends_one(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query reads all running jobs, and rows change several times for each job."""
    monkeypatch.setattr(
        housekeeping, "INTERVAL", timedelta(minutes=1)
    )  # a turn of the housekeeping reads the requests too
    async with at.easel(max_jobs=20):
        await drawing(at, 2)
        with statements() as executed:
            await drawing(at, 8)
        reads = [each for each in executed if "cancel_requested_at IS NOT NULL" in each]
        assert reads == []

        await at.command("cancel", job=(await at.jobs())[0].id)
        await at.said("Canceled")
