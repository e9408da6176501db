"""Single parts of the worker on a real database, without the worker's own loop."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
from sqlalchemy import select

from bot.catalog import Catalog
from bot.errors import Reason
from bot.jobs import GenerationRequest, Job, JobStatus
from bot.ledger import EntryKind
from bot.pictures import Downloader
from bot.providers.base import Provider
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import SkillsSettings, skills_spec
from bot.providers.skills.provider import Skills
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.skills.server import FakeSkills
from bot.service_balances import ServiceBalances
from bot.services import Services
from bot.store import claims, generations, jobs, ledger, settlement
from bot.store.database import Database
from bot.store.leases import Terms
from bot.store.sqlite import READERS
from bot.store.tables import jobs as table
from bot.worker.deliver import Deliverer
from bot.worker.inputs import Inputs
from bot.worker.leases import Leases
from bot.worker.poll import Poller
from bot.worker.recovery import Recovery
from bot.worker.settle import Settler
from bot.worker.status_edits import StatusEdits
from bot.worker.streams import Streams
from bot.worker.submit import Submitter
from tests.providers.clients import http, oxen_at
from tests.support.clock import Moment
from tests.support.loopback import LOOPBACK
from tests.support.rows import add, new_job
from tests.support.services import services_on

PRICES = {"oxen": 7_500, "skills": 20_000}  # of a picture, in thousandths of a credit


@dataclass
class Parts:
    """The services, the time of all parts, and the parts themselves."""

    services: Services
    clock: Moment

    def __post_init__(self) -> None:
        self.leases = Leases(self.services)
        self.settler = Settler(self.services, self.leases)
        self.poller = Poller(self.services, self.settler, freed=lambda: None)
        self.deliverer = Deliverer(self.services, self.leases)
        self.edits = StatusEdits(self.services, self.deliverer, self.poller)
        self.recovery = Recovery(self.services, self.leases, self.poller, self.edits)
        self.streams = Streams(self.poller.ended, over=lambda _: None)
        inputs = Inputs(self.services, self.leases)
        self.submitter = Submitter(self.services, self.leases, inputs, self.recovery, self.streams)

    @property
    def database(self) -> Database:
        return self.services.database

    async def job(self, job: Job) -> Job:
        """Return the stored state of a job."""
        async with self.database.reading() as view:
            found = await jobs.get(view, job.id)
        assert found is not None
        return found

    async def outcome(self, job: Job) -> tuple[JobStatus, Reason | None]:
        found = await self.job(job)
        return found.status, found.reason

    async def losses(self, job: Job) -> list[int]:
        async with self.database.reading() as view:
            entries = await ledger.entries_of(view, job.id)
        return [entry.amount for entry in entries if entry.kind is EntryKind.LOSS]

    async def claimed(self, job: Job) -> Job:
        """Return the job, whose creating request is on the way from now on."""
        now = self.clock.now
        async with self.database.transaction() as tx:
            terms = Terms("this process", now, now + timedelta(minutes=3))
            found = await claims.claim_listed(
                tx, job.id, terms, created_after=now - timedelta(minutes=30)
            )
        assert found is not None
        return found

    async def begun(self, job: Job, *remote_ids: str) -> Job:
        """Return the job, which runs as these generations from now on."""
        claimed = await self.claimed(job)
        async with self.database.transaction() as tx:
            found = await jobs.start_running(tx, claimed.id, self.clock.now)
            await generations.add(tx, job.id, job.provider, remote_ids)
        return found


def parts_on(
    database: Database,
    folder: Path,
    providers: Mapping[str, Provider] | None = None,
    *,
    downloader: Downloader | None = None,
) -> Parts:
    """Return parts that reach these providers only."""
    clock = Moment()
    services = services_on(database, folder, clock, providers=providers, downloader=downloader)
    return Parts(services, clock)


@dataclass
class Served(Parts):
    """Parts between the stand-ins of both image APIs."""

    oxen: FakeOxen
    skills: FakeSkills

    async def submitted(self, *, count: int = 1) -> list[str]:
        """Let Oxen make as many generations, which end when a test says so; return their ids."""
        self.oxen.manual = True
        found: list[str] = []
        for number in range(count):
            request = GenerationRequest("oxen", f"fox {number}")
            submission = await self.services.providers["oxen"].submit(request, 1)
            found += [each.remote_id for each in submission.generations]
        return found

    async def running(
        self,
        remote_ids: Sequence[str],
        *,
        provider: str = "skills",
        count: int = 1,
        job_id: str = "",
        at: datetime | None = None,
        user_id: int = 1,
    ) -> Job:
        """Store a job that has been running since `at` as these generations."""
        at = at or self.clock.now
        new = new_job(user_id, at=at, count=count, price=PRICES.get(provider, 1) * count)
        request = replace(new.request, model=provider)
        new = replace(new, provider=provider, request=request, id=job_id or new.id)
        async with self.database.transaction() as tx:
            await add(tx, new)
            await jobs.move(tx, new.id, JobStatus.SUBMITTING, submitted_at=at)
            job = await jobs.start_running(tx, new.id, at)
            if remote_ids:
                await generations.add(tx, job.id, provider, remote_ids)
        return job

    async def failed(
        self,
        remote_ids: Sequence[str],
        *,
        ends: Mapping[str, JobStatus] | None = None,
        provider: str = "skills",
        count: int = 1,
        job_id: str = "",
        at: datetime | None = None,
        user_id: int = 1,
    ) -> Job:
        """Store a job that failed at `at`; generations without an end of `ends` are open."""
        at = at or self.clock.now
        job = await self.running(
            remote_ids, provider=provider, count=count, job_id=job_id, at=at, user_id=user_id
        )
        async with self.database.transaction() as tx:
            made = {each.remote_id: each.id for each in await generations.of_job(tx, job.id)}
            known = {made[remote_id]: state for remote_id, state in (ends or {}).items()}
            return await settlement.fail(tx, job.id, at, reason=Reason.TIMEOUT, ends=known)


@asynccontextmanager
async def served(
    database: Database, folder: Path, *, floors: Mapping[str, int] | None = None
) -> AsyncIterator[Served]:
    clock = Moment()
    async with (
        FakeOxen(generation_seconds=0.1) as oxen,
        FakeSkills(generation_seconds=0.1) as skills,
        aiohttp.ClientSession() as session,
        Downloader(private_hosts=LOOPBACK) as downloader,
    ):
        values = {"SKILLS_API_KEY": skills.key, "SKILLS_API_URL": skills.url}
        providers: dict[str, Provider] = {
            "oxen": oxen_at(session, oxen.url, key=oxen.key),
            "skills": Skills(SkillsSettings.load(None, values), http(session)),
        }
        services = services_on(database, folder, clock, providers=providers, downloader=downloader)
        specs = [oxen_spec(price=PRICES["oxen"]), skills_spec(price=PRICES["skills"])]
        services = replace(
            services, catalog=Catalog(specs), balances=ServiceBalances(clock, floors)
        )
        async with services.decoder:
            yield Served(services, clock, oxen, skills)


async def lease_end(database: Database, job: Job) -> datetime | None:
    async with database.reading() as view:
        found: datetime | None = await view.scalar(
            select(table.c.lease_until).where(table.c.id == job.id)
        )
    return found


@asynccontextmanager
async def unreadable(database: Database) -> AsyncIterator[None]:
    """Let every further reading of a database file fail: all of its readers are in use."""
    async with AsyncExitStack() as reading:
        for _ in range(READERS):
            await reading.enter_async_context(database.reading())
        yield


@asynccontextmanager
async def unwritable(path: Path) -> AsyncIterator[None]:
    """Let another program write to a database file without an end."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def refusing(path: Path, write: str) -> AsyncIterator[None]:
    """Let a kind of write to a database file, such as `UPDATE ON jobs`, raise IntegrityError."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        fails = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        await asyncio.to_thread(other.execute, f"CREATE TRIGGER refusing BEFORE {write} {fails}")
        yield
        await asyncio.to_thread(other.execute, "DROP TRIGGER refusing")


async def ends_soon(task: asyncio.Task[None], happened: Callable[[], object]) -> None:
    """Wait until something has happened in a task that has no end, and cancel the task."""
    try:
        async with asyncio.timeout(20):
            while not happened():
                assert not task.done(), task
                await asyncio.sleep(0.001)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
