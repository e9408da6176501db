"""The background task: the rows say what there is to do, and it does it, many jobs at once.

Nothing that matters is kept in memory only. Killed at any instant, the next start finds every job
in a status from which it goes on.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta

from bot.backoff import utc_now
from bot.catalog import Catalog
from bot.delivery import Delivery
from bot.errors import NotNow, ProviderError
from bot.jobs import Job, JobStatus
from bot.observability.metrics import Metrics
from bot.outages import Outages
from bot.pictures import Downloader, InputPictures, PictureStore
from bot.providers.base import Provider, Submitted
from bot.quotas import Quotas
from bot.store import queue
from bot.store.database import Database
from bot.worker.availability import Availability
from bot.worker.deliver import Deliverer
from bot.worker.failover import Failover
from bot.worker.housekeeping import Housekeeping
from bot.worker.inputs import Inputs
from bot.worker.poll import Poller
from bot.worker.refusals import Refusals
from bot.worker.settle import Settler
from bot.worker.submit import GIVE_UP, Submitter
from bot.worker.tasks import COOL_DOWN, Tasks
from bot.worker.telling import Telling

log = logging.getLogger(__name__)

CONCURRENT_DELIVERIES = 8
BUSY_WAIT = timedelta(milliseconds=200)  # until a poll that met other work is tried again
STREAM_RETRY = 5.0  # seconds until a stream that ended is opened again


class Worker:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        downloader: Downloader,
        store: PictureStore,
        inputs: InputPictures,
        delivery: Delivery,
        *,
        metrics: Metrics,
        timeout: timedelta,
        catalog: Catalog,
        limits: Quotas,
        outages: Outages,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`outages` is told which models' APIs do not work."""
        self._outages = outages
        self._availability = Availability(providers, now, changed=self._availability_changed)
        self._database = database
        self._providers = providers
        self._now = now
        self._metrics = metrics
        refusals = Refusals()
        self._submitter = Submitter(
            database,
            providers,
            refusals,
            now,
            metrics,
            addressed=lambda job: self._inputs.addressed(job),
            heard=self._availability.hear,
        )
        self._inputs = Inputs(
            database, providers, inputs, store, delivery, now, fail=self._submitter.fail
        )
        self._settler = Settler(database, providers, downloader, store, refusals, now)
        self._poller = Poller(database, providers, self._settler, now, metrics, timeout=timeout)
        self._deliverer = Deliverer(database, delivery, store, now, metrics)
        self._housekeeping = Housekeeping(
            database,
            providers,
            self._submitter,
            self._poller,
            self._settler,
            self._deliverer,
            now,
            failover=Failover(database, catalog, outages, limits, self._deliverer, now),
            telling=Telling(outages),
            search=self._search,
        )
        self._submits = dict.fromkeys(providers, 0)
        self._deliveries = 0
        self._wake = asyncio.Event()
        self._rows_changed = True
        self._started = self._stopping = False
        self._next_row: datetime | None = None
        self._tasks = Tasks(wake=self.wake, ended=self._wake.set)

    def wake(self) -> None:
        """Rows have changed: look at them now."""
        self._rows_changed = True
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more: `run` ends when what is under way has ended."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped, or until cancelled: what is under way is then cancelled too, and
        found again by the next start."""
        async with self._tasks:
            streams = [
                self._tasks.spawn(self._listen(provider), name=f"events {provider.key}")
                for provider in self._providers.values()
            ]
            try:
                while not self._stopping:
                    self._wake.clear()
                    await _whole(self._turn())
                    await self._pause()
            finally:
                for stream in streams:
                    stream.cancel()
                await self._database.quiet()

    async def _turn(self) -> None:
        """Start everything that is due; an error here is the database's, and passes or is told."""
        try:
            if not self._started:
                async with self._database.transaction() as tx:
                    await queue.clear_leases(tx)
                self._started = True
            for job in self._poller.take_due():
                if not self._tasks.start(job, self._poll(job.id)):
                    self._poller.agenda.set(job.id, self._now() + BUSY_WAIT)
            due = self._past(self._next_row) or self._past(self._housekeeping.due)
            if self._rows_changed or due:
                self._rows_changed = False
                await self._read_rows()
            if self._past(self._housekeeping.due):
                await self._housekeeping.do(self._tasks.start_and_wake)
                self._ask_again()
            self._metrics.worker_turned()
        except NotNow:  # it is in the log
            await asyncio.sleep(COOL_DOWN)
        except Exception:
            log.exception("the worker's turn failed; it goes on")
            await asyncio.sleep(COOL_DOWN)

    def _past(self, moment: datetime | None) -> bool:
        return moment is not None and moment <= self._now()

    async def _read_rows(self) -> None:
        now = self._now()
        async with self._database.reading() as view:
            models = await queue.models_with_work(view, now, now - GIVE_UP)
            without_inputs = await queue.without_inputs(view, now)
            due = await queue.deliverable(view, now, limit=CONCURRENT_DELIVERIES * 2)
            wishes = await queue.cancel_wishes(view)
            self._next_row = await queue.next_wake(view, now)
        for job in without_inputs:
            self._tasks.start_and_wake(job, self._inputs.keep(job))
        for model in models:
            await self._claim(model)
        free = CONCURRENT_DELIVERIES - self._deliveries
        for job in [job for job in due if not self._tasks.is_busy(job)][:free]:
            self._deliveries += 1
            self._tasks.start(job, self._deliver(job))
        for job in wishes:
            if self._poller.wants_cancel(job):
                self._tasks.start(job, self._cancel(job))

    async def _claim(self, model: str) -> None:
        """Claim as many jobs as there are places. A model without a provider waits for its key."""
        if model not in self._submits:
            return
        while self._submits[model] < self._availability.places(model):
            job = await self._submitter.claim(model)
            if job is None:
                return
            if self._tasks.start(job, self._submit(job)):
                self._submits[model] += 1
            else:  # its late word is being said: it waits for that
                await self._submitter.put_back(job, BUSY_WAIT)

    def _availability_changed(self, model: str, down: bool) -> None:
        self._outages.changed(model, down)
        self.wake()

    def _ask_again(self) -> None:
        """Whether APIs that did not work are there again; each in a task of its own."""
        for model in self._availability.to_ask():
            asking = self._tasks.then_wake(self._availability.ask(model))
            self._tasks.spawn(asking, name=f"is {model} there")

    async def _search(self, job: Job) -> None:
        await self._begin(*await self._submitter.search(job))

    async def _pause(self) -> None:
        """Until something is due, or until woken."""
        if self._stopping:
            return
        now = self._now()
        times = [self._housekeeping.due, self._poller.agenda.next(now), self._next_row]
        wait = min(moment for moment in times if moment is not None) - now
        try:
            async with asyncio.timeout(max(wait.total_seconds(), 0)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _submit(self, job: Job) -> None:
        try:
            after, submitted = await self._submitter.submit(job)
        finally:
            self._submits[job.request.model] -= 1
            self.wake()
        await self._begin(after, submitted)

    async def _begin(self, job: Job, submitted: Sequence[Submitted]) -> None:
        if job.status is JobStatus.RUNNING:
            await self._poller.begin(job, submitted)
            await self._deliverer.show(job)

    async def _cancel(self, job: Job) -> None:
        await asyncio.gather(self._poller.cancel(job), self._deliverer.show(job))

    async def _poll(self, job_id: str) -> None:
        if await self._poller.poll(job_id):
            self.wake()

    async def _deliver(self, job: Job) -> None:
        try:
            await self._deliverer.deliver(job)
        finally:
            self._deliveries -= 1
            self.wake()

    async def _listen(self, provider: Provider) -> None:
        """Follow a provider's stream; without it, polling alone finds everything, later."""
        while True:
            try:
                async for remote_id in provider.events():
                    self._poller.news_of(remote_id)
                    self._wake.set()
            except ProviderError as error:
                log.info("stream of %s: %s", provider.key, error)
            await asyncio.sleep(STREAM_RETRY)


async def _whole(work: Coroutine[object, object, None]) -> None:
    """Run it to its end also when we are cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
