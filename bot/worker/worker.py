"""The background task: the rows say which work is due, and many jobs advance at once.

Nothing that matters is in memory only. After a kill at any instant, the next start finds every job
in a status from which the job goes on.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from bot.errors import NotNow, ProviderError
from bot.jobs import Job
from bot.services import Services
from bot.store import queue
from bot.store.coordination import CANCELS, Duty, News
from bot.store.database import Connection
from bot.store.jobs import MoveRefused
from bot.worker.balances import BalanceReader
from bot.worker.circuits import SharedCircuits
from bot.worker.deliver import Deliverer
from bot.worker.deliveries import Deliveries
from bot.worker.events import follow_events
from bot.worker.housekeeping import Housekeeping
from bot.worker.inputs import Inputs
from bot.worker.leases import Leases
from bot.worker.poll import Poller
from bot.worker.recovery import Recovery
from bot.worker.settle import Settler
from bot.worker.status_edits import StatusEdits
from bot.worker.streams import Streams
from bot.worker.submit import MEMBER_SUBMITS, Submitter
from bot.worker.tasks import COOL_DOWN, Tasks
from bot.worker.turns import Slots
from bot.worker.waiting import Waiting

log = logging.getLogger(__name__)

CONCURRENT_DOWNLOADS = 4  # of one job's input pictures each, and one of each member
BUSY_WAIT = timedelta(milliseconds=200)  # before the retry of a job that has another task


class Worker:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._providers = services.providers
        self._health = services.health
        self._coordination = services.coordination
        self._circuits = SharedCircuits(services)
        self._balances = BalanceReader(services)
        self._now = services.now
        self._leases = leases = Leases(services)
        settler = Settler(services, leases)
        self._deliverer = Deliverer(services, leases)
        self._inputs = Inputs(services, leases)
        self._wake = asyncio.Event()
        self._poller = Poller(services, settler, freed=self._wake.set)
        self._edits = StatusEdits(services, self._deliverer, self._poller)
        self._recovery = Recovery(services, leases, self._poller, self._edits)
        self._streams = Streams(
            self._heard_end, over=partial(self._poller.set_stream, followed=False)
        )
        self._submitter = Submitter(services, leases, self._inputs, self._recovery, self._streams)
        self._submits = {key: Counter[int]() for key in self._providers}  # by member
        self._tasks = Tasks(
            *(leases, services.precedence),
            wake=self.wake,
            ended=self._wake.set,
            goes_on=self._poller.is_watching,
        )
        self._deliveries = Deliveries(
            services,
            self._deliverer,
            start=self._tasks.start,
            is_busy=self._tasks.is_busy,
            wake=self.wake,
        )
        self._downloads = Slots(CONCURRENT_DOWNLOADS, of_member=1)
        waiting = Waiting(services, leases, self._deliverer, self._poller, self._deliveries.slots)
        self._housekeeping = Housekeeping(
            services, leases, settler, self._deliverer, self._recovery, waiting
        )
        self._rows_changed = self._cancels_changed = True
        self._started = self._stopping = False
        self._next_row: datetime | None = None
        self._coordination.listen(News.ROWS, self.wake)
        self._coordination.listen(News.ENDED, self._heard_end)
        self._coordination.listen(News.STREAM_LIVES, self._heard_life)
        self._coordination.listen(News.STREAM_ENDED, self._poller.stream_ended)

    def wake(self, text: str = "") -> None:
        """Query the rows now: they have changed."""
        self._cancels_changed |= text == CANCELS
        self._rows_changed = True
        self._wake.set()

    def stop(self) -> None:
        """Start no more work; `run` ends when the tasks have ended."""
        self._stopping = True
        self._deliveries.stop()
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped or cancelled.

        A cancel ends the tasks too; the next start finds their jobs.
        """
        async with self._tasks:
            beside = [
                self._tasks.spawn(follow_events(self._services, key), name=f"events {key}")
                for key in self._providers
            ]
            beside.append(self._tasks.spawn(self._leases.run(self._lost), name="leases"))
            beside.append(self._tasks.spawn(self._balances.run(), name="balances"))
            try:
                while not self._stopping:
                    self._wake.clear()
                    await _whole(self._turn())
                    await self._pause()
            finally:
                self._deliveries.stop()  # also after a cancel
                for task in beside:
                    task.cancel()
                self._streams.stop()
                await self._database.quiet()
        await self._leases.leave()

    def _lost(self, job_id: str) -> None:
        """End all work on a job that other processes may take, or have taken."""
        self._poller.forget(job_id)
        self._streams.close(job_id)
        self._tasks.cancel(job_id)

    async def _turn(self) -> None:
        """Start everything that is due. An error is the database's, and transient or logged."""
        try:
            if not self._started:
                await self._recovery.start()
                self._started = True
            # Tasks give way too, in the order of their start. When this returns, the tasks of the
            # last turn have begun, and their polls and edits count as on the way.
            await self._services.precedence.give_way()
            for job in self._poller.take_due():
                if not self._tasks.start(job, self._poll(job.id)):
                    self._poller.postpone(job, BUSY_WAIT)
            edited = self._edits.take_due()
            if edited and not self._tasks.start(edited, self._edits.show(edited)):
                self._edits.later(edited, BUSY_WAIT)
            for key in self._poller.take_behind():
                self._tasks.spawn(self._poller.catch_up(key), name=f"ends at {key}")
            housekeeping = self._past(self._housekeeping.next_turn)
            self._cancels_changed |= housekeeping
            if self._rows_changed or housekeeping or self._past(self._next_row):
                self._rows_changed = False
                await self._read_rows()
            if housekeeping:
                await self._circuits.exchange()
                await self._housekeeping.turn(self._tasks)
            if self._coordination.has(Duty.PROBES):
                await self._probe()
            self._services.metrics.worker_turned()
        except NotNow:  # the database has logged the cause
            await asyncio.sleep(COOL_DOWN)
        except Exception:
            log.exception("the worker's turn failed, retrying")
            await asyncio.sleep(COOL_DOWN)

    def _past(self, moment: datetime | None) -> bool:
        return moment is not None and moment <= self._now()

    async def _read_rows(self) -> None:
        now = self._now()
        async with self._database.reading() as view:
            providers = await self._submitter.providers_with_work(view, now)
            without_inputs = await queue.without_inputs(
                view, now, limit=2 * CONCURRENT_DOWNLOADS, served=self._downloads.served
            )
            deliverable = await self._deliveries.read(view, now)
            cancel_requests = await self._cancel_requests(view, now)
            self._next_row = await self._next_row_at(view, now)
        await self._start_downloads(self._downloads.choose(self._idle(without_inputs)))
        for provider in providers:
            await self._claim(provider)
        if deliverable:
            self._inputs.let_go(deliverable)
        self._deliveries.begin()
        for job in self._idle(self._poller.due_cancels(cancel_requests)):
            self._tasks.start(job, self._cancel(job))

    async def _start_downloads(self, chosen: Sequence[Job]) -> None:
        """Download the inputs of jobs that have a slot, but of those that other processes have."""
        taken: dict[str, Job] = {}
        try:
            taken = {job.id: job for job in await self._leases.take(chosen)}
        finally:
            for job in chosen:
                if job.id not in taken:
                    self._downloads.end(job)
        for job in taken.values():
            self._tasks.start(job, self._store_inputs(job))

    async def _next_row_at(self, view: Connection, now: datetime) -> datetime | None:
        """Return when a row becomes due, or a channel takes messages again."""
        if self._deliveries.serve(now):  # the next list is soon enough for all else
            return self._deliveries.next_read
        limits = self._services.delivery.limited_channels().values()
        times = [now + timedelta(seconds=each) for each in limits]
        found = [*times, await queue.next_wake(view, now), self._deliveries.next_read]
        return min((moment for moment in found if moment is not None), default=None)

    async def _cancel_requests(self, view: Connection, now: datetime) -> list[Job]:
        """Return jobs that their members want stopped now: the query reads all running jobs."""
        if not self._cancels_changed:
            return []
        self._cancels_changed = False
        return await queue.cancel_requests(
            view, self._coordination.process, now, known=self._poller.canceling
        )

    def _idle(self, jobs: Iterable[Job]) -> list[Job]:
        return [job for job in jobs if not self._tasks.is_busy(job)]

    async def _claim(self, provider: str) -> None:
        """Claim as many jobs as there are slots; jobs of a provider without a key wait for it."""
        if provider not in self._submits:
            return
        on_the_way = self._submits[provider]
        while on_the_way.total() < (slots := self._submit_slots(provider)):
            # The last slot is for another member: a submit may take a minute.
            most = max(min(MEMBER_SUBMITS, slots - 1), 1)
            served = [user_id for user_id, number in on_the_way.items() if number >= most]
            job = await self._submitter.claim(provider, without=served)
            if job is None:
                return
            await self._start_submit(job)

    def _submit_slots(self, provider: str) -> int:
        """Return this process's part of the provider's slots."""
        slots = self._health.submit_slots(provider)
        if slots == 1:  # the one submit that decides whether an outage is over
            return int(self._coordination.has(Duty.PROBES))
        return slots and max(slots // self._coordination.workers, 1)

    async def _start_submit(self, job: Job) -> None:
        if self._tasks.start(job, self._submit(job)):
            self._submits[job.provider][job.user_id] += 1
        else:  # another task edits the job's status message: requeue the job briefly
            await self._submitter.put_back(job, BUSY_WAIT)

    async def _probe(self) -> None:
        """Probe the providers that are down or suspected, each in a task of its own.

        A member who names the model of a provider that is down wants the attempt: one such job
        is sent with each probe, since a probe may fail although the service makes pictures.
        """
        for key in self._health.due_probes():
            self._tasks.spawn(self._tasks.then_wake(self._ping(key)), name=f"probe {key}")
            outage_since = self._health.of(key).outage_since
            if outage_since is None or self._submits[key].total():
                continue
            if job := await self._submitter.claim(key, named_since=outage_since):
                await self._start_submit(job)

    async def _ping(self, key: str) -> None:
        try:
            await self._providers[key].ping()
        except ProviderError as error:
            self._health.probed(key, error)
        else:
            self._health.probed(key)

    async def _pause(self) -> None:
        """Wait until work is due, or until woken."""
        if self._stopping:
            return
        now = self._now()
        times = [
            *(self._housekeeping.next_turn, self._poller.next_poll(now)),
            *(self._edits.next_due, self._next_row),
        ]
        wait = min(moment for moment in times if moment is not None) - now
        try:
            async with asyncio.timeout(max(wait.total_seconds(), 0)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _submit(self, job: Job) -> None:
        try:
            try:
                running = await self._submitter.submit(job)
            finally:
                self._submits[job.provider] -= Counter([job.user_id])  # drops members without any
                self.wake()
            if running is not None:
                await self._recovery.follow(*running, begun=self._follow_stream)
        finally:
            self._streams.close_unfollowed(job.id)

    def _follow_stream(self, job_id: str) -> None:
        """Follow the stream of a job whose polls have begun."""
        if self._poller.is_watching(job_id):
            self._poller.set_stream(job_id, followed=self._streams.follow(job_id, self._tasks))

    async def _cancel(self, job: Job) -> None:
        await self._edits.beside(job, self._poller.cancel(job))

    async def _poll(self, job_id: str) -> None:
        try:
            settled = await self._poller.poll(job_id)
        except MoveRefused:  # the row was settled, or taken, without the knowledge of the poller
            self._poller.forget(job_id)
            raise
        finally:
            if not self._poller.is_watching(job_id):
                self._streams.close(job_id)
        if settled:
            self.wake()

    async def _store_inputs(self, job: Job) -> None:
        try:
            await self._inputs.store(job)
        finally:
            self._downloads.end(job)
            self.wake()

    def _heard_life(self, provider: str) -> None:
        self._poller.stream_lives(provider)
        self._wake.set()

    def _heard_end(self, remote_id: str) -> None:
        self._poller.ended(remote_id)
        self._wake.set()


async def _whole(work: Coroutine[object, object, None]) -> None:
    """Run work to its end, also if the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
