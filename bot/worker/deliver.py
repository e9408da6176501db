"""From settled to delivered: retried, with backoff, until a message shows the result."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from bot.backoff import Backoff
from bot.clock import elapsed
from bot.delivery import NotDelivered, ReplyUnknown, Undeliverable, Wait
from bot.jobs import TOKEN_MARGIN, Job, JobStatus
from bot.services import Services
from bot.store import claims, jobs, pictures
from bot.store.pictures import Role
from bot.worker.estimates import Estimates
from bot.worker.leases import LeaseLost, Leases
from bot.worker.places import Places
from bot.worker.receipts import Receipts

log = logging.getLogger(__name__)

REPLY_GRACE = timedelta(seconds=15)  # after which an unconfirmed reply has an unknown outcome
WRITES = 2  # at once: more would only be a queue before the database, in which commands wait too
RETRIES = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=10))


class Deliverer:
    def __init__(self, services: Services, leases: Leases) -> None:
        self._database = services.database
        self._leases = leases
        self._delivery = services.delivery
        self._now = services.now
        self._metrics = services.metrics
        self._receipts = Receipts(services)
        self._precedence = services.precedence
        self._writes = asyncio.Semaphore(WRITES)
        self.places = Places(services)
        self.estimates = Estimates(services)

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        """Limit the deliveries that wait for the database, where commands wait too."""
        await self._precedence.give_way()
        async with self._writes:
            yield

    async def show(self, job: Job) -> bool:
        """Let the status message show the job's state, and what is known about the wait.

        Return whether Discord has answered, as `Delivery.show` does.
        """
        running = job.status is JobStatus.RUNNING
        usual = await self.estimates.usual(job) if running else None
        answered = await self._delivery.show(job, Wait(self.places.show(job), usual))
        if not answered:
            self.places.miss(job)
        return answered

    async def show_final_status(self, job: Job) -> None:
        """Edit the status message for the last time, before the interaction's token expires."""
        async with self._database.transaction() as tx:
            marked = await jobs.mark_final_status(tx, job.id)
        await self._delivery.show(marked or job)

    async def deliver(self, job: Job, waits: Callable[[], None]) -> None:
        """Make one attempt to deliver a settled job, and store the outcome.

        `waits` is called when a rate limit begins to hold the attempt back.
        """
        since = elapsed()
        async with self._turn_to_write(), self._database.transaction() as tx:
            begun = await claims.begin_delivery(tx, job, self._leases.terms())
            stored = await pictures.of_job(tx, job.id, Role.OUTPUT)
            source = await jobs.get(tx, job.source_job_id) if job.source_job_id else None
        if begun is None:
            return
        job = replace(self._leases.hold(begun, since), source=source)
        missing = max(job.request.count - len(stored), 0) if stored else 0
        try:
            job = await self._with_reply(job)
            receipt = await self._receipts.of(job)
            again = job.delivery_attempts > 1
            self._leases.check(job)
            shown = await self._delivery.deliver(
                job, stored, missing=missing, again=again, waits=waits, receipt=receipt
            )
        except NotDelivered as error:
            await self._postpone(job, error)
            return
        except LeaseLost:
            raise
        except Exception as error:  # such as an answer of Discord that discord.py cannot read
            log.exception("unexpected error in a delivery, retrying")
            await self._postpone(job, NotDelivered(type(error).__name__))
            return
        if isinstance(shown, Undeliverable):
            message_id, channel_id, reason = None, None, _storable(shown.reason, job)
        else:
            message_id, channel_id, reason = shown.message_id, shown.channel_id, None
        async with self._turn_to_write(), self._leases.writing(job, last=True) as tx:
            await jobs.mark_delivered(
                tx,
                job.id,
                self._now(),
                message_id=message_id,
                channel_id=channel_id,
                error=reason,
            )
        if message_id is not None:
            log.info("delivered as message %s", message_id)

    async def _with_reply(self, job: Job) -> Job:
        """Return a canceled job with the id of its reply, which must show the cancel.

        The job was canceled before Discord confirmed the reply.
        """
        if job.status is not JobStatus.CANCELED or job.route.status_message_id is not None:
            return job
        try:
            message_id = await self._delivery.find_reply(job)
        except ReplyUnknown:
            return job
        if message_id is None:
            if self._now() - job.created_at < REPLY_GRACE:
                raise NotDelivered("the reply may still be on the way")
            return job
        async with self._leases.writing(job) as tx:
            await jobs.confirm_reply(tx, job.id, message_id)
            return await jobs.get(tx, job.id) or job

    async def _postpone(self, job: Job, error: NotDelivered) -> None:
        now = self._now()
        wait = RETRIES.wait(job.delivery_attempts, error.retry_after)
        # The attempt that may still fall back to the reply is not skipped by the backoff.
        last_chance = job.route.token_expires_at - TOKEN_MARGIN - now
        if timedelta(0) < last_chance < wait and not error.retry_after:
            wait = last_chance
        self._metrics.delivery_failed()
        log.warning("delivery failed, retrying in %s: %s", wait, error)
        shown, text = error.shown, _storable(str(error), job)
        async with self._turn_to_write(), self._leases.writing(job, last=True) as tx:
            await jobs.postpone_delivery(
                tx,
                job.id,
                now + wait,
                text,
                message_id=shown.message_id if shown else None,
                channel_id=shown.channel_id if shown else None,
            )


def _storable(text: str, job: Job) -> str:
    """Return the start of an error's text, which may be a proxy's page, without the token."""
    token = job.route.interaction_token
    return (text.replace(token, "…") if token else text)[:500]
