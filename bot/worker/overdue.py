"""Overdue generations: abandoned at JOB_TIMEOUT, and perhaps finished all the same.

A service charges for each finished picture. So the open generations are polled for a day, and an
overdue picture is stored, charged and delivered like one that came in time.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.errors import ProviderError
from bot.jobs import Generation, Job
from bot.providers.base import Canceled, Failed, Finished
from bot.services import Services
from bot.store import generations as generation_rows
from bot.store import queue, settlement
from bot.store.database import Connection
from bot.worker.leases import Leases
from bot.worker.recovery import Recovery
from bot.worker.settle import Ends, Made, Settler, expanded_prompt
from bot.worker.tasks import Due

log = logging.getLogger(__name__)

INTERVAL = timedelta(minutes=5)


class OverduePoller:
    def __init__(
        self, services: Services, leases: Leases, settler: Settler, recovery: Recovery
    ) -> None:
        self._database = services.database
        self._leases = leases
        self._providers = services.providers
        self._settler = settler
        self._recovery = recovery
        self._now = services.now
        self._next_round = services.now()
        self._last_id = ""  # of the jobs that were polled in this round

    async def due(self, view: Connection, now: datetime) -> list[Due]:
        """Return the settled jobs to poll now: a few at a time, every few minutes all in turn.

        Jobs that failed with an unknown outcome are searched for then: a provider may list a
        generation late.
        """
        if not self._last_id and now < self._next_round:
            return []
        since, unknown = now - timedelta(hours=24), list[Job]()
        if not self._last_id:
            self._next_round = now + INTERVAL
            unknown = await queue.unknown_outcomes(view, since)
        found = await queue.with_open_generations(view, since, after=self._last_id)
        self._last_id = found[-1].id if len(found) == queue.BATCH else ""
        due = [(self.poll, job) for job in found]
        due += [(self._recovery.search_again, job) for job in unknown]
        return [(method, job) for method, job in due if job.provider in self._providers]

    async def poll(self, job: Job) -> None:
        """Poll the open generations of a settled job once; take those that have finished."""
        async with self._database.reading() as view:
            generations = await generation_rows.of_job(view, job.id)
        finished: list[tuple[Generation, Finished]] = []
        for each in generations:
            if each.state is not None:
                continue
            try:
                update = await self._providers[job.provider].fetch(each.remote_id)
            except ProviderError as error:
                log.info("poll of an overdue generation failed: %s", error)
                continue
            match update:
                case Finished():
                    finished.append((each, update))
                case Failed() | Canceled():
                    await self._end(job, [(each, update)])
        if finished:
            await self._take(job, finished)

    async def _take(self, job: Job, finished: Sequence[tuple[Generation, Finished]]) -> None:
        now = self._now()
        # After half an hour, the pictures that can be downloaded suffice.
        patient = now - (job.settled_at or now) < timedelta(minutes=30)
        made: list[Made] = []
        for each in await self._settler.store_pictures(job, finished):
            if each.error is not None:
                log.warning("overdue picture not downloaded: %s", each.error)
            if each.error is None or not patient:
                made.append(each)
        if any(each.pictures for each in made):
            await self._charge(job, made)
        elif made:
            log.error("%s sent no picture", job.provider)
            await self._end(job, [(each.generation, each.update) for each in made])

    async def _charge(self, job: Job, made: Sequence[Made]) -> None:
        cost = await self._settler.cost(job, made)
        async with self._leases.writing(job) as tx:
            await settlement.charge_overdue(
                tx,
                job,
                self._now(),
                cost=cost,
                pictures=[picture for each in made for picture in each.pictures],
                generations=[each.generation for each in made],
                expanded_prompt=expanded_prompt(job, made),
            )
        log.warning("finished after JOB_TIMEOUT; charged, delivery follows")

    async def _end(self, job: Job, ends: Ends) -> None:
        losses = await self._settler.losses(job, ends)
        async with self._leases.writing(job) as tx:
            await settlement.end_overdue(
                tx, job, [each for each, _ in ends], self._now(), losses=losses
            )
