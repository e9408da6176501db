"""From running to settled: the pictures are kept first, then status and money move together."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import add

from bot.errors import ProviderError, Reason
from bot.jobs import Generation, Job, JobStatus, Picture
from bot.ledger import Cost, credits_text
from bot.pictures import Downloader, PictureStore
from bot.providers.base import Canceled, Failed, Finished, Provider, Update
from bot.store import generations as generation_rows
from bot.store import jobs, ledger
from bot.store import pictures as picture_rows
from bot.store.database import Database, Transaction
from bot.store.pictures import Role
from bot.worker.refusals import Refusals

log = logging.getLogger(__name__)

MAX_PICTURES = 10  # what one Discord message can show
COST_WAITS = (0.0, 0.4, 0.8, 1.6)  # seconds before each question; a picture waits no longer for it
COST_UNTIL = timedelta(seconds=60)  # afterwards the estimate stands
LATE_COST = "cost told later"

STATES = {
    Finished: JobStatus.SUCCEEDED,
    Failed: JobStatus.FAILED,
    Canceled: JobStatus.CANCELED,
}
Ended = Sequence[tuple[Generation, Update]]


class Settling:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        downloader: Downloader,
        store: PictureStore,
        refusals: Refusals,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._providers = providers
        self._downloader = downloader
        self._store = store
        self._refusals = refusals
        self._now = now

    async def settle(self, job: Job, ended: Ended) -> Job:
        """Settle a job by how its generations ended.

        Raises ProviderError where pictures exist and cannot be had now: to be tried again.
        """
        finished = [(each, update) for each, update in ended if isinstance(update, Finished)]
        if not finished:
            return await self._settle_without(job, ended)
        kept = await self.keep(job, [update for _, update in finished])
        if not kept:
            log.error("%s sent no picture", job.request.model)
            return await self._fail(job, ended, Reason.NO_PICTURE)
        cost = await self.cost(job, finished)
        return await self._succeed(job, ended, kept, cost)

    async def ask_late_cost(self, job: Job) -> None:
        """Correct an estimate when the provider tells the cost after all."""
        provider = self._providers[job.request.model]
        async with self._database.reading() as view:
            generations = await generation_rows.of_job(view, job.id)
        made = [each for each in generations if each.state is JobStatus.SUCCEEDED]
        told = [await provider.cost(each.remote_id) for each in made]
        costs = [cost for cost in told if cost is not None]
        if len(costs) < len(made) or job.cost is None:
            return
        cost = reduce(add, costs)
        async with self._database.transaction() as tx:
            await jobs.note(tx, job.id, cost=cost.amount, estimated=False)
            await ledger.adjust(
                tx, job, job.cost - cost.amount, self._now(), reason=LATE_COST, cost=cost
            )

    async def keep(self, job: Job, finished: Sequence[Finished]) -> list[Picture]:
        """Fetch and keep their pictures. ProviderError where they cannot be had now."""
        provider = self._providers[job.request.model]
        addresses = [url for update in finished for url in update.pictures][:MAX_PICTURES]
        results = await asyncio.gather(
            *(self._keep_one(url, provider) for url in addresses), return_exceptions=True
        )
        kept: list[Picture] = []
        for result in results:
            match result:
                case Picture():
                    kept.append(result)
                case ProviderError(reason=Reason.MALFORMED):
                    log.warning("a picture that is none: %s", result)
                case BaseException():
                    raise result
        return kept

    async def _keep_one(self, url: str, provider: Provider) -> Picture:
        return await self._store.keep(await self._downloader.fetch(url, provider.headers_for))

    async def cost(self, job: Job, finished: Sequence[tuple[Generation, Finished]]) -> Cost | None:
        """What they cost together; None where the provider does not tell in time."""
        provider = self._providers[job.request.model]
        costs = {each.remote_id: update.cost for each, update in finished}
        for wait in COST_WAITS:
            unknown = [remote_id for remote_id, cost in costs.items() if cost is None]
            if not unknown:
                break
            await asyncio.sleep(wait)
            for remote_id in unknown:
                try:
                    costs[remote_id] = await provider.cost(remote_id)
                except ProviderError as error:
                    log.warning("cost of %s: %s", remote_id, error)
        known = [cost for cost in costs.values() if cost is not None]
        return reduce(add, known) if len(known) == len(costs) else None

    async def _succeed(
        self, job: Job, ended: Ended, kept: Sequence[Picture], cost: Cost | None
    ) -> Job:
        now = self._now()
        made = min(len(kept), job.request.count)
        charged = cost or Cost(job.price * made // job.request.count, {"estimated": "yes"})
        async with self._database.transaction() as tx:
            settled = await jobs.move(
                tx,
                job.id,
                JobStatus.SUCCEEDED,
                settled_at=now,
                cost=charged.amount,
                estimated=cost is None,
                reason=None,
            )
            await picture_rows.attach(tx, job.id, Role.OUTPUT, kept, now)
            await self._end_generations(tx, ended)
            await ledger.capture(tx, settled, charged, now)
        self._refusals.clear(job.request.model)
        log.info("succeeded with %s pictures", len(kept))
        return settled

    async def _settle_without(self, job: Job, ended: Ended) -> Job:
        failures = [update for _, update in ended if isinstance(update, Failed)]
        if not failures:
            return await self._release(job, ended, JobStatus.CANCELED)
        for failure in failures:
            self._refusals.tell(job, failure)
        return await self._fail(job, ended, failures[0].reason)

    async def _fail(self, job: Job, ended: Ended, reason: Reason) -> Job:
        return await self._release(job, ended, JobStatus.FAILED, reason=reason)

    async def _release(
        self, job: Job, ended: Ended, status: JobStatus, *, reason: Reason | None = None
    ) -> Job:
        now = self._now()
        async with self._database.transaction() as tx:
            settled = await jobs.move(tx, job.id, status, settled_at=now, reason=reason)
            await self._end_generations(tx, ended)
            await ledger.release(tx, settled, now)
        log.info("%s", status)
        _tell_charges(settled, ended)
        return settled

    async def _end_generations(self, tx: Transaction, ended: Ended) -> None:
        for generation, update in ended:
            given_up = isinstance(update, Failed) and update.reason is Reason.TIMEOUT
            if (state := STATES.get(type(update))) and not given_up:  # bot.worker.late asks on
                await generation_rows.end(tx, generation.id, state)


def _tell_charges(job: Job, ended: Ended) -> None:
    """What an API charged for nothing is the operator's to claim back, never the member's."""
    for generation, update in ended:
        cost = update.cost if isinstance(update, Finished | Failed) else None
        if cost is not None and cost.amount:
            log.warning(
                "%s charged %s credits for %s, which made nothing; the member pays none",
                job.request.model,
                credits_text(cost.amount),
                generation.remote_id,
            )
