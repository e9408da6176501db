"""From settled to delivered: tried again, with back-off, until Discord has said yes."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from bot.backoff import back_off
from bot.delivery import AnswerLost, Delivery, Kept, NotDelivered
from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.observability.metrics import Metrics
from bot.pictures import PictureStore
from bot.store import jobs, ledger, pictures
from bot.store.database import Database
from bot.store.pictures import Role

log = logging.getLogger(__name__)

ANSWER_GRACE = timedelta(seconds=15)  # afterwards an answer that is not confirmed is in doubt
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=10)
LONGEST_REASON = 500  # characters: what stands before Discord may answer with a whole page


class Deliverer:
    def __init__(
        self,
        database: Database,
        delivery: Delivery,
        store: PictureStore,
        now: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._delivery = delivery
        self._store = store
        self._now = now
        self._metrics = metrics

    async def show(self, job: Job) -> None:
        if any(each.copied for each in job.inputs):
            return  # the provider may be fetching what lies at the status message
        await self._delivery.show(job)

    async def tell_late(self, job: Job) -> None:
        """Say a last time what goes on, where the answer can soon be changed no more."""
        async with self._database.transaction() as tx:
            told = await jobs.note(tx, job.id, final_status_sent=True)
        await self._delivery.show(told or job)

    async def deliver(self, job: Job) -> None:
        async with self._database.transaction() as tx:
            trying = await jobs.try_delivery(tx, job.id, self._now())
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
            await jobs.note(
                tx,
                job.id,
                delivered_at=self._now(),
                result_message_id=message_id,
                delivery_error=why,
            )
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
            if self._now() - job.created_at < ANSWER_GRACE:
                raise NotDelivered("its answer may still be on its way")
            return job
        async with self._database.transaction() as tx:
            await jobs.confirm(tx, job.id, message_id)
            return await jobs.get(tx, job.id) or job

    async def confirm_answer(self, job: Job) -> None:
        """Find out what became of an answer that Discord neither confirmed nor refused."""
        try:
            message_id = await self._delivery.find_answer(job)
        except NotDelivered as error:
            log.warning("cannot ask for its answer: %s", error)
            return
        except AnswerLost:
            await self._give_up_answer(job)
            return
        async with self._database.transaction() as tx:
            if message_id is not None:
                await jobs.confirm(tx, job.id, message_id)
                return
            log.warning("its answer never reached Discord; canceled")
            now = self._now()
            canceled = await jobs.move(
                tx, job.id, JobStatus.CANCELED, settled_at=now, delivered_at=now
            )
            await ledger.release(tx, canceled, now)

    async def _give_up_answer(self, job: Job) -> None:
        """Its member may see that it waits: one sentence too many is better than none."""
        log.warning("whether it was answered cannot be known any more; failed, and told")
        now = self._now()
        async with self._database.transaction() as tx:
            failed = await jobs.move(
                tx, job.id, JobStatus.FAILED, settled_at=now, reason=Reason.AWAY
            )
            await ledger.release(tx, failed, now)

    async def _later(self, job: Job, error: NotDelivered) -> None:
        wait = back_off(job.delivery_attempts, first=FIRST_RETRY, longest=LONGEST_RETRY)
        wait = max(wait, timedelta(seconds=error.retry_after or 0))
        self._metrics.delivery_failed()
        log.warning("not delivered, again in %s: %s", wait, error)
        async with self._database.transaction() as tx:
            why = str(error)[:LONGEST_REASON]
            await jobs.note(tx, job.id, deliver_after=self._now() + wait, delivery_error=why)
