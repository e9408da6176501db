"""What nobody wakes the worker for: found by looking at the rows every few seconds."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime, timedelta

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.providers.base import Provider
from bot.store import jobs, queue
from bot.store.database import Connection, Database
from bot.worker.deliver import ANSWER_GRACE, Deliverer
from bot.worker.failover import Failover
from bot.worker.overdue import ASKED_FOR, Overdue
from bot.worker.overdue import EVERY as LATE_EVERY
from bot.worker.poll import Poller
from bot.worker.settle import COST_UNTIL, Settler
from bot.worker.submit import GIVE_UP, Submitter
from bot.worker.telling import Telling

EVERY = timedelta(seconds=2)
ERASE_EVERY = timedelta(minutes=1)
LAST_WORD = timedelta(minutes=1)  # before an answer is out of reach

Start = Callable[[Job, Coroutine[object, object, None]], object]


class Housekeeping:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        submitter: Submitter,
        poller: Poller,
        settler: Settler,
        deliverer: Deliverer,
        now: Callable[[], datetime],
        *,
        failover: Failover,
        telling: Telling,
        search: Callable[[Job], Awaitable[None]],
    ) -> None:
        """`search` looks for what became of a request that is in doubt, and goes on with it."""
        self._database = database
        self._providers = providers
        self._submitter = submitter
        self._poller = poller
        self._settler = settler
        self._deliverer = deliverer
        self._overdue = Overdue(database, providers, settler, now)
        self._now = now
        self._failover = failover
        self._search = search
        self._telling = telling
        self.due = self._erase_due = self._late_due = self._since = now()

    async def do(self, start: Start) -> None:
        """Look once, and `start` what there is to do for each job."""
        now = self._now()
        self.due = now + EVERY
        await self._erase_tokens(now)
        told = self._telling.so_far
        async with self._database.reading() as view:
            neglected = await queue.neglected(
                view,
                asked_before=now - ANSWER_GRACE,
                queued_before=now - GIVE_UP,
                now=now,
                settled_after=now - COST_UNTIL,
            )
            running = [
                job
                for job_id in self._poller.unwatched(await queue.running_ids(view))
                if (job := await jobs.get(view, job_id))
            ]
            late = await queue.late(view, now, expires_before=now + LAST_WORD)
            given_up = await self._given_up(view, now)
            movable = await self._failover.movable(view)
            silent = await self._telling.due(view, told, but={job.id for job in movable})
        for job in running:
            start(job, self._poller.begin(job))
        for job in late:
            start(job, self._deliverer.tell_late(job))
        for job in movable:
            start(job, self._failover.move(job))
        for job in silent:
            start(job, self._deliverer.show(job))
        for job in given_up:
            start(job, self._overdue.ask(job))
        for job in neglected:
            if job.status is not JobStatus.QUEUED and job.request.model not in self._providers:
                continue  # nobody can be asked until its key is set again
            start(job, self._attend(job))

    async def _erase_tokens(self, now: datetime) -> None:
        if now >= self._erase_due:
            self._erase_due = now + ERASE_EVERY
            async with self._database.transaction() as tx:
                await queue.erase_tokens(tx, now)

    async def _given_up(self, view: Connection, now: datetime) -> list[Job]:
        """Once in a while: those to be asked about although their time is over."""
        if now < self._late_due:
            return []
        self._late_due = now + LATE_EVERY
        found = await queue.given_up(view, now - ASKED_FOR)
        return [job for job in found if job.request.model in self._providers]

    async def _attend(self, job: Job) -> None:
        match job.status:
            case JobStatus.QUEUED if job.route.status_message_id is None:
                await self._deliverer.confirm_answer(job)
            case JobStatus.QUEUED:
                away = job.created_at + GIVE_UP <= self._since
                unknown = Reason.AWAY if away else Reason.UNAVAILABLE
                await self._submitter.fail(job, job.reason or unknown)
            case JobStatus.SUBMITTING:
                await self._search(job)
            case _:
                await self._settler.ask_late_cost(job)
