"""From settled to delivered: tried again, with back-off, until Discord has said yes."""

import logging
from datetime import timedelta

from bot.backoff import Backoff
from bot.delivery import AnswerLost, Kept, NotDelivered
from bot.jobs import Job, JobStatus
from bot.services import Services
from bot.store import jobs, pictures
from bot.store.pictures import Role

log = logging.getLogger(__name__)

REPLY_GRACE = timedelta(seconds=15)  # after which an unconfirmed reply has an unknown outcome
RETRIES = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=10))
LONGEST_REASON = 500  # characters: what stands before Discord may answer with a whole page


class Deliverer:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._delivery = services.delivery
        self._store = services.pictures
        self._now = services.now
        self._metrics = services.metrics

    async def show(self, job: Job) -> None:
        if any(each.copied for each in job.inputs):
            return  # the provider may be fetching what lies at the status message
        await self._delivery.show(job)

    async def show_final_status(self, job: Job) -> None:
        """Edit the status message for the last time, before the interaction's token expires."""
        async with self._database.transaction() as tx:
            marked = await jobs.mark_final_status(tx, job.id)
        await self._delivery.show(marked or job)

    async def deliver(self, job: Job) -> None:
        async with self._database.transaction() as tx:
            trying = await jobs.begin_delivery(tx, job.id, self._now())
            kept = await pictures.of_job(tx, job.id, Role.OUTPUT)
        if trying is None:
            return
        job = trying
        missing = max(job.request.count - len(kept), 0) if kept else 0
        files = [(picture, self._store.path(picture)) for picture in kept]
        try:
            job = await self._with_answer(job)
            shown = await self._delivery.deliver(
                job, files, missing=missing, again=job.delivery_attempts > 1
            )
        except NotDelivered as error:
            await self._later(job, error)
            return
        except Exception as error:  # such as an answer of Discord's that discord.py cannot read
            log.exception("unexpected while it was delivered")
            await self._later(job, NotDelivered(type(error).__name__))
            return
        message_id, why = (None, shown.why) if isinstance(shown, Kept) else (shown, None)
        async with self._database.transaction() as tx:
            await jobs.mark_delivered(tx, job.id, self._now(), message_id=message_id, error=why)
        log.info("delivered as message %s", message_id)

    async def _with_answer(self, job: Job) -> Job:
        """One that was canceled before its answer was confirmed: its message tells it all the
        same, as soon as Discord knows of it."""
        if job.status is not JobStatus.CANCELED or job.route.status_message_id is not None:
            return job
        try:
            message_id = await self._delivery.find_answer(job)
        except AnswerLost:
            return job
        if message_id is None:
            if self._now() - job.created_at < REPLY_GRACE:
                raise NotDelivered("its answer may still be on its way")
            return job
        async with self._database.transaction() as tx:
            await jobs.confirm_reply(tx, job.id, message_id)
            return await jobs.get(tx, job.id) or job

    async def _later(self, job: Job, error: NotDelivered) -> None:
        wait = RETRIES.wait(job.delivery_attempts, error.retry_after)
        self._metrics.delivery_failed()
        log.warning("not delivered, again in %s: %s", wait, error)
        async with self._database.transaction() as tx:
            why = str(error)[:LONGEST_REASON]
            await jobs.postpone_delivery(tx, job.id, self._now() + wait, why)
