"""Generations that were given up at JOB_TIMEOUT, and may be finished all the same.

What a service makes it charges: so it is asked for a day, and a picture that comes late is kept,
charged and shown, as it would have been in time.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.errors import ProviderError
from bot.jobs import Generation, Job, JobStatus
from bot.ledger import Cost
from bot.providers.base import Canceled, Failed, Finished, Provider
from bot.store import generations as generation_rows
from bot.store import jobs, ledger
from bot.store import pictures as picture_rows
from bot.store.database import Database
from bot.store.pictures import Role
from bot.worker.settle import Made, Settler, tell_charges

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=5)
ASKED_FOR = timedelta(hours=24)
PATIENCE = timedelta(minutes=30)  # for pictures that cannot be had, until those that can are taken
REASON = "made after the time-out"


class Overdue:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        settler: Settler,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._providers = providers
        self._settler = settler
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
        now = self._now()
        waiting = now - (job.settled_at or now) < PATIENCE
        made: list[Made] = []
        for each in await self._settler.keep(job, finished):
            if each.error is not None:
                log.warning("a late picture cannot be had now: %s", each.error)
            if each.error is None or (each.pictures and not waiting):
                made.append(each)
        if any(each.pictures for each in made):
            await self._store(job, made, await self._cost(job, made))
            log.warning("finished after it was given up at its time-out; charged, and shown now")
        elif made:
            log.error("%s sent no picture", job.request.model)
            tell_charges(job, [(each.generation, each.update) for each in made])
            for each in made:
                await self._end(each.generation, JobStatus.FAILED)

    async def _cost(self, job: Job, made: Sequence[Made]) -> Cost:
        """What is charged for them: what they cost, or the price of so many pictures."""
        told = await self._settler.cost(job, made)
        pictures = min(sum(len(each.pictures) for each in made), job.request.count)
        return told or Cost(job.price * pictures // job.request.count, {"estimated": "yes"})

    async def _store(self, job: Job, made: Sequence[Made], cost: Cost) -> None:
        now = self._now()
        # One adjustment for each time that something came: they are unique by their reasons.
        reason = f"{REASON}: {made[0].generation.remote_id}"
        kept = [picture for each in made for picture in each.pictures]
        async with self._database.transaction() as tx:
            stored = await jobs.get(tx, job.id) or job  # its cost may have been corrected since
            already = await picture_rows.of_job(tx, job.id, Role.OUTPUT)
            await picture_rows.attach(tx, job.id, Role.OUTPUT, kept, now, after=len(already))
            for each in made:
                await generation_rows.end(tx, each.generation.id, JobStatus.SUCCEEDED)
            await ledger.adjust(tx, job, -cost.amount, now, reason=reason, cost=cost)
            await jobs.note(
                tx,
                job.id,
                cost=(stored.cost or 0) + cost.amount,
                overdue_at=now,
                delivered_at=None,
                deliver_after=None,
                delivery_attempts=0,
                delivery_started_at=None,
            )

    async def _end(self, generation: Generation, state: JobStatus) -> None:
        async with self._database.transaction() as tx:
            await generation_rows.end(tx, generation.id, state)
