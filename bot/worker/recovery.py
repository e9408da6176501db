"""Recovery: everything that happens after a start and after an unknown outcome, in order.

1. `start` ends the leases of tasks that a crash has ended.
2. `resume` watches running jobs again, by their stored remote ids.
3. `confirm_reply` asks Discord whether the reply to a request arrived.
4. `expire` fails jobs that could not be submitted in time.
5. `give_up` fails jobs whose provider has had no key for a day.
6. `recover` searches the provider for the generations of a request with an unknown outcome.
7. `search_again` searches again, for a day, after the job has failed.

Results whose delivery has an unknown outcome are searched for by the delivery itself
(cogs.delivery.destinations), since each destination is searched in another way.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from bot.delivery import NotDelivered, ReplyUnknown
from bot.errors import ProviderError, Reason
from bot.jobs import Job, JobStatus
from bot.providers.base import Submitted
from bot.services import Services
from bot.store import generations, jobs, leases, queue, running, settlement
from bot.store.database import Connection, Transaction
from bot.worker.deliver import REPLY_GRACE
from bot.worker.leases import Leases
from bot.worker.poll import Poller
from bot.worker.status_edits import StatusEdits
from bot.worker.tasks import Due

log = logging.getLogger(__name__)

WITHOUT_KEY = timedelta(hours=24)  # beyond JOB_TIMEOUT, in which the key may be set again
QUEUE_TIMEOUT = timedelta(minutes=30)  # for the submit of a queued job
SHOWN_AGAIN = timedelta(minutes=1)  # after its begin, in the status message of a resumed job
CREATED_WITHIN = timedelta(minutes=3)  # of the request: later generations are not its own


class Recovery:
    def __init__(
        self, services: Services, leases: Leases, poller: Poller, edits: StatusEdits
    ) -> None:
        self._services = services
        self._database = services.database
        self._leases = leases
        self._providers = services.providers
        self._poller = poller
        self._edits = edits
        self._now = services.now
        self._started_at = services.now()

    async def start(self) -> None:
        """End the leases that the last run on a SQLite file left behind."""
        if not self._database.shared:
            async with self._database.transaction() as tx:
                await leases.clear(tx)

    async def due(self, view: Connection, now: datetime) -> list[Due]:
        """Return the jobs that need recovery, each with the method to call for it."""
        unconfirmed = await queue.unconfirmed(view, now - REPLY_GRACE)
        expired = await queue.expired(view, now - QUEUE_TIMEOUT)
        # Without its key, a job waits until the key is set again.
        unleased = await queue.unleased(view, now, providers=self._providers)
        begun_before = now - self._services.job_timeout - WITHOUT_KEY
        orphaned = await queue.orphaned(view, begun_before, providers=self._providers)
        return [
            *((self.confirm_reply, job) for job in unconfirmed),
            *((self.expire, job) for job in expired),
            *((self.give_up, job) for job in orphaned),
            *((self.recover, job) for job in unleased),
        ]

    async def resume(self, busy: Collection[str]) -> None:
        """Watch the running jobs that nobody watches, but those of `busy`, which have a task.

        After a start, these are all: a page is read by a few queries.
        """
        while True:
            async with self._database.reading() as view:
                # Cheaper than the list, which no other process changes on a SQLite file.
                number = None if self._database.shared else await running.count(view)
                if number is not None and number <= len(self._poller.watched):
                    return
                known = {*self._poller.watched, *busy}
                found = await running.unwatched(view, self._now(), known=known)
            if not found:
                return
            taken = await self._leases.take(found)
            await self._poller.begin_all(taken)
            for job in taken:
                if self._may_lack_its_edit(job):
                    self._edits.later(job)
            if len(found) < running.PAGE or self._poller.watched <= known:
                return

    def _may_lack_its_edit(self, job: Job) -> bool:
        """Return whether the process that began the job may have ended before the edit."""
        recent = job.running_at is not None and self._now() - job.running_at < SHOWN_AGAIN
        return recent and not job.slow_shown  # a later edit

    async def follow(
        self,
        job: Job,
        submitted: Sequence[Submitted],
        begun: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Poll a job that has just begun to run, and let its status message say so.

        `begun` is called with the job's id as soon as the job is polled.
        """
        await self._poller.begin(job, submitted)
        begun(job.id)
        self._edits.later(job)

    async def confirm_reply(self, job: Job) -> None:
        """Reconcile a reply that Discord neither confirmed nor refused."""
        try:
            message_id = await self._services.delivery.find_reply(job)
        except NotDelivered as error:
            if self._now() - max(job.created_at, self._started_at) < QUEUE_TIMEOUT:
                log.warning("reply not reconciled, retrying: %s", error)
                return
            log.warning("reply not reconciled for half an hour; job failed: %s", error)
            await self.fail(job, Reason.AWAY)
            return
        except ReplyUnknown:
            # The member may see a waiting job: a message too many is better than none.
            log.warning("reply cannot be reconciled any more; job failed, member informed")
            await self.fail(job, Reason.AWAY)
            return
        async with self._leases.writing(job) as tx:
            if message_id is not None:
                await jobs.confirm_reply(tx, job.id, message_id)
                return
            log.warning("reply never reached Discord; job canceled")
            await settlement.withdraw(tx, job.id, self._now())

    async def expire(self, job: Job) -> None:
        """Fail a job that could not be submitted in time, by the reason of the last attempt."""
        away = job.created_at + QUEUE_TIMEOUT <= self._started_at
        await self.fail(job, job.reason or (Reason.AWAY if away else Reason.UNAVAILABLE))

    async def give_up(self, job: Job) -> None:
        """Fail a job whose provider has no key any more: its price may have been charged."""
        log.error("%s has no key: job failed, hold released, possibly charged", job.provider)
        now = self._now()
        async with self._leases.writing(job, last=True) as tx:
            known = await generations.of_job(tx, job.id)
            if not known:
                await settlement.fail_unknown(tx, job, now)
                return
            charged = await settlement.price_of_generation(tx, job)
            await settlement.fail(
                tx,
                job.id,
                now,
                reason=Reason.UNAVAILABLE,
                ends={each.id: JobStatus.FAILED for each in known},
                losses={each.remote_id: charged for each in known},
            )

    async def recover(self, job: Job) -> None:
        """Reconcile a request whose task has ended without an outcome, then follow the job."""
        if started := await self.reconcile(job):
            await self.follow(*started)

    async def reconcile(self, job: Job) -> tuple[Job, Sequence[Submitted]] | None:
        """Adopt the generations of a request with an unknown outcome, or fail the job.

        Return the running job with its generations, else None. The request is never repeated. Only
        generations that fit, belong to no job, and are as many as were requested are adopted: a
        wrong picture is worse than a refund.
        """
        async with self._database.reading() as view:
            stored = await jobs.get(view, job.id)
        if stored is None or stored.status is not JobStatus.SUBMITTING:
            return None  # another task has found the outcome
        try:
            adopted = await self._search(job)
        except ProviderError as error:
            log.warning("outcome of a submit unknown, provider cannot be searched: %s", error)
            if self._now() - job.sent_at < timedelta(minutes=10):
                async with self._leases.writing(job, last=True) as tx:
                    await leases.extend(tx, job.id, self._now() + leases.LEASE)
                return None
            adopted = None
        if adopted:
            return adopted
        self._services.metrics.doubt_ended(job.provider, "failed")
        log.error("outcome of a submit unknown; job failed, hold released, possibly charged")
        async with self._leases.writing(job, last=True) as tx:
            await settlement.fail_unknown(tx, job, self._now())
        return None

    async def search_again(self, job: Job) -> None:
        """Search for the generations of a failed job once more; if found, they are overdue."""
        try:
            found = await self._providers[job.provider].find(
                job.request, job.sent_at, job.sent_at + CREATED_WITHIN
            )
        except ProviderError as error:
            log.info("generations of an unknown outcome not searched: %s", error)
            return
        async with self._leases.writing(job) as tx:
            if free := await self._own(tx, job, found):
                await settlement.find_unknown(tx, job, free, self._now())
        if free:
            log.warning("found %s of a failed job with an unknown outcome", ", ".join(free))

    async def hand_in(self, job: Job, remote_ids: Sequence[str]) -> bool:
        """Store the generations of a request whose job another process has taken and failed.

        They are overdue then. Return False while the other process still searches for them.
        """
        async with self._database.transaction() as tx:
            stored = await jobs.lock(tx, job.id)
            if stored is not None and stored.reason is Reason.DOUBTFUL:
                await settlement.find_unknown(tx, stored, remote_ids, self._now())
        return stored is None or stored.status is not JobStatus.SUBMITTING

    async def fail(self, job: Job, reason: Reason) -> None:
        async with self._leases.writing(job, last=True) as tx:
            await settlement.fail(tx, job.id, self._now(), reason=reason)

    async def _search(self, job: Job) -> tuple[Job, Sequence[Submitted]] | None:
        provider = self._providers[job.provider]
        # A generation appears in the provider's lists a moment after the creation: search three
        # times, with these seconds after each search.
        for wait in (1.0, 4.0, 0.0):
            found = await provider.find(job.request, job.sent_at, job.sent_at + CREATED_WITHIN)
            if adopted := await self._adopt(job, found):
                return adopted, found
            await asyncio.sleep(wait)
        return None

    async def _adopt(self, job: Job, found: Sequence[Submitted]) -> Job | None:
        async with self._leases.writing(job) as tx:
            free = await self._own(tx, job, found)
            if not free:
                return None
            adopted = await jobs.start_running(tx, job.id, self._now())
            await generations.add(tx, job.id, job.provider, free)
        self._services.metrics.doubt_ended(job.provider, "adopted")
        log.warning("adopted %s after a submit with an unknown outcome", ", ".join(free))
        return adopted

    async def _own(self, tx: Transaction, job: Job, found: Sequence[Submitted]) -> list[str]:
        """Return the remote ids that can only be the job's own; an empty list in doubt."""
        remote_ids = [each.remote_id for each in found]
        owned = await generations.owned(tx, job.provider, remote_ids)
        rivals = await queue.rivals(tx, job, CREATED_WITHIN)
        free = [remote_id for remote_id in remote_ids if remote_id not in owned]
        return free if not rivals and len(free) == job.request.count else []
