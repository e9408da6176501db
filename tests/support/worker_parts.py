"""The parts of the worker on a real database, without the worker's own loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.ledger import EntryKind
from bot.pictures import Downloader
from bot.providers.base import Provider
from bot.store import claims, generations, jobs, ledger
from bot.store.database import Database
from bot.store.leases import Terms
from bot.worker.deliver import Deliverer
from bot.worker.inputs import Inputs
from bot.worker.leases import Leases
from bot.worker.poll import Poller
from bot.worker.recovery import Recovery
from bot.worker.settle import Settler
from bot.worker.status_edits import StatusEdits
from bot.worker.streams import Streams
from bot.worker.submit import Submitter
from tests.support.rows import NOW
from tests.support.services import services_on


@dataclass
class Parts:
    """The parts, and the time for all of them."""

    database: Database
    folder: Path
    providers: Mapping[str, Provider] = field(default_factory=dict)
    now: datetime = NOW
    downloader: Downloader | None = None

    def __post_init__(self) -> None:
        self.services = services_on(
            self.database,
            self.folder,
            lambda: self.now,
            providers=self.providers,
            downloader=self.downloader,
        )
        self.leases = Leases(self.services)
        self.settler = Settler(self.services, self.leases)
        self.poller = Poller(self.services, self.settler, freed=lambda: None)
        self.deliverer = Deliverer(self.services, self.leases)
        self.edits = StatusEdits(self.services, self.deliverer, self.poller)
        self.recovery = Recovery(self.services, self.leases, self.poller, self.edits)
        self.streams = Streams(self.poller.ended, over=lambda _: None)
        inputs = Inputs(self.services, self.leases)
        self.submitter = Submitter(self.services, self.leases, inputs, self.recovery, self.streams)

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)

    async def stored(self, job: Job) -> Job:
        async with self.database.reading() as view:
            found = await jobs.get(view, job.id)
        assert found is not None
        return found

    async def outcome(self, job: Job) -> tuple[JobStatus, Reason | None]:
        found = await self.stored(job)
        return found.status, found.reason

    async def losses(self, job: Job) -> list[int]:
        async with self.database.reading() as view:
            entries = await ledger.entries_of(view, job.id)
        return [entry.amount for entry in entries if entry.kind is EntryKind.LOSS]

    async def claimed(self, job: Job) -> Job:
        """Return the job, whose creating request is on the way from now on."""
        async with self.database.transaction() as tx:
            terms = Terms("this process", self.now, self.now + timedelta(minutes=3))
            found = await claims.claim_listed(
                tx, job.id, terms, created_after=self.now - timedelta(minutes=30)
            )
        assert found is not None
        return found

    async def running(self, job: Job, *remote_ids: str) -> Job:
        """Return the job, which runs as these generations from now on."""
        claimed = await self.claimed(job)
        async with self.database.transaction() as tx:
            found = await jobs.start_running(tx, claimed.id, self.now)
            await generations.add(tx, job.id, job.provider, remote_ids)
        return found
