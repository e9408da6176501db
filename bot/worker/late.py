"""Generations that were given up at JOB_TIMEOUT, and may be finished all the same.

What a service makes it charges: so it is asked for a day, and a picture that comes late is kept,
charged and shown, as it would have been in time.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.errors import ProviderError
from bot.jobs import Generation, Job, JobStatus, Picture
from bot.ledger import Cost
from bot.providers.base import Canceled, Failed, Finished, Provider
from bot.store import generations as generation_rows
from bot.store import jobs, ledger
from bot.store import pictures as picture_rows
from bot.store.database import Database
from bot.store.pictures import Role
from bot.worker.settling import Settling

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
ASKED_FOR = timedelta(hours=24)
REASON = "made after the time-out"


class Late:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        settling: Settling,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._providers = providers
        self._settling = settling
        self._now = now

    async def ask(self, job: Job) -> None:
        """Ask once about what of this job was given up; take what has been finished since."""
        provider = self._providers[job.request.model]
        async with self._database.reading() as view:
            given_up = [
                each for each in await generation_rows.of_job(view, job.id) if each.state is None
            ]
        finished: list[tuple[Generation, Finished]] = []
        for each in given_up:
            try:
                update = await provider.fetch(each.remote_id)
            except ProviderError as error:
                log.info("given up at its time-out, and cannot be asked about: %s", error)
                continue
            match update:
                case Finished():
                    finished.append((each, update))
                case Failed() | Canceled():
                    await self._end(each, JobStatus.FAILED)
        if finished:
            await self._take(job, finished)

    async def _take(self, job: Job, finished: Sequence[tuple[Generation, Finished]]) -> None:
        try:
            kept = await self._settling.keep(job, [update for _, update in finished])
        except ProviderError as error:
            log.warning("a late picture cannot be had now: %s", error)
            return
        cost = await self._settling.cost(job, finished)
        share = job.price * len(finished) // job.request.count
        await self._store(job, finished, kept, cost or Cost(share, {"estimated": "yes"}))
        log.warning("finished after it was given up at its time-out; charged, and shown now")

    async def _store(
        self,
        job: Job,
        finished: Sequence[tuple[Generation, Finished]],
        kept: Sequence[Picture],
        cost: Cost,
    ) -> None:
        now = self._now()
        # One adjustment for each time that something came: they are unique by their reasons.
        reason = f"{REASON}: {finished[0][0].remote_id}"
        async with self._database.transaction() as tx:
            already = await picture_rows.of_job(tx, job.id, Role.OUTPUT)
            await picture_rows.attach(tx, job.id, Role.OUTPUT, kept, now, after=len(already))
            for generation, _ in finished:
                await generation_rows.end(tx, generation.id, JobStatus.SUCCEEDED)
            await ledger.adjust(tx, job, -cost.amount, now, reason=reason, cost=cost)
            await jobs.note(
                tx,
                job.id,
                cost=(job.cost or 0) + cost.amount,
                late_at=now,
                delivered_at=None,
                deliver_after=None,
                deliveries=0,
            )

    async def _end(self, generation: Generation, state: JobStatus) -> None:
        async with self._database.transaction() as tx:
            await generation_rows.end(tx, generation.id, state)
