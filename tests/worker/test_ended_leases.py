"""The last write of a piece of work ends the lease: no statement releases the job afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.errors import Reason
from bot.jobs import Job
from bot.ledger import Cost
from bot.providers.base import Canceled, Failed, Finished
from bot.sandbox.http.faults import Answer
from bot.sandbox.oxen.server import FakeOxen
from bot.store import generations, jobs, running
from bot.store.backends import open_database
from bot.store.database import Database
from bot.worker.leases import LeaseLost
from tests.providers.clients import oxen_at
from tests.sandbox.raw import data_uri
from tests.support import cluster
from tests.support.menus import until
from tests.support.open_worker import OpenWorker
from tests.support.parts import Parts, parts_on
from tests.support.rows import NOW, one
from tests.support.services import services_on
from tests.support.statements import statements

COST = Cost(900, {"usd": "0.009"})
Work = Callable[[Parts, Job], Awaitable[object]]


@pytest.fixture(params=["sqlite"])  # the statements have tests of their own
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


async def ended(parts: Parts, job: Job, end: Finished | Failed | Canceled) -> None:
    async with parts.database.transaction() as tx:
        await jobs.start_running(tx, job.id, NOW)
        (made,) = await generations.add(tx, job.id, "oxen", ["g1"])
    await parts.settler.settle(job, [(made, end)])


WORK: dict[str, Work] = {
    "put back": lambda parts, job: parts.submitter.put_back(job, timedelta(seconds=1)),
    "failed": lambda parts, job: parts.recovery.fail(job, Reason.AWAY),
    "given up": lambda parts, job: parts.recovery.give_up(job),
    "not found": lambda parts, job: parts.recovery.reconcile(job),
    "settled as failed": lambda parts, job: ended(parts, job, Failed(Reason.UNKNOWN, "", COST)),
    "settled as canceled": lambda parts, job: ended(parts, job, Canceled()),
    "succeeded": lambda parts, job: ended(parts, job, Finished((data_uri(),), COST)),
}


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("searched", [True, False])
async def test_an_outcome_ends_the_lease(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    searched: bool,
) -> None:
    """Also an outcome that the service could not be asked for."""

    async def sleep(_: float) -> None:
        return

    async with FakeOxen(clock=NOW.timestamp) as service, aiohttp.ClientSession() as session:
        if not searched:
            service.faults.add("GET", "/.*", Answer(400, {"error": "no"}), times=None)
        oxen = oxen_at(session, service.url, key=service.key)
        parts = parts_on(database, tmp_path, {"oxen": oxen})
        job = parts.leases.hold(await parts.claimed(await one(database)), 0.0)
        with monkeypatch.context() as patched:
            patched.setattr("asyncio.sleep", sleep)
            await WORK[name](parts, job)
        with statements() as executed:
            await parts.leases.end(job.id)

    assert executed == []


@pytest.mark.long
async def test_the_leases_of_other_processes_outlive_a_start(
    postgres_url: str, tmp_path: Path
) -> None:
    async with open_database(postgres_url) as database:
        parts = parts_on(database, tmp_path, {"oxen": oxen_at()})
        await one(database)
        assert await parts.submitter.claim("oxen") is not None
        await parts.recovery.start()
        async with database.reading() as view:
            assert await parts.recovery.due(view, NOW) == []


@pytest.mark.long
async def test_a_worker_that_ends_leaves_its_running_jobs_to_others(
    postgres_url: str, tmp_path: Path
) -> None:
    async with (
        open_database(postgres_url) as database,
        FakeOxen() as service,
        aiohttp.ClientSession() as session,
    ):
        service.manual = True
        oxen = oxen_at(session, service.url, key=service.key)
        worker = OpenWorker(services_on(database, tmp_path, lambda: NOW, providers={"oxen": oxen}))
        job = await one(database)

        async def free() -> list[str]:
            async with database.reading() as view:
                return [each.id for each in await running.unwatched(view, NOW, known=())]

        work = asyncio.create_task(worker.run())
        await until(lambda: worker.poller.is_watching(job.id))
        assert await free() == []
        worker.stop()
        async with asyncio.timeout(20):
            await work
        assert await free() == [job.id]


@pytest.mark.long
async def test_no_request_leaves_for_a_job_whose_lease_is_not_held(
    postgres_url: str, tmp_path: Path
) -> None:
    async with (
        open_database(postgres_url) as database,
        FakeOxen() as service,
        aiohttp.ClientSession() as session,
    ):
        oxen = oxen_at(session, service.url, key=service.key)
        parts = parts_on(database, tmp_path, {"oxen": oxen})
        job = await parts.claimed(await one(database))
        with pytest.raises(LeaseLost):
            await parts.submitter.submit(job)
        assert service.requests == []
