"""From running to settled: the pictures are kept first, then status and money move together."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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
from bot.worker.costs import WAITS, told
from bot.worker.refusals import Refusals

log = logging.getLogger(__name__)

MAX_PICTURES = 10  # what one Discord message can show
COST_UNTIL = timedelta(seconds=60)  # afterwards the estimate stands
LATE_COST = "cost told later"

STATES = {
    Finished: JobStatus.SUCCEEDED,
    Failed: JobStatus.FAILED,
    Canceled: JobStatus.CANCELED,
}


@dataclass(frozen=True, slots=True)
class GivenUp:
    """No end that is known, or no picture that can be had, in time: bot.worker.overdue asks on."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Made:
    """A generation that has finished, and what is kept of it by now.

    `error` is why one of its pictures, or all, cannot be had now.
    """

    generation: Generation
    update: Finished
    pictures: Sequence[Picture]
    error: ProviderError | None


End = Update | GivenUp
Ended = Sequence[tuple[Generation, End]]


class Settler:
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
        made = await self.keep(job, ended)
        for each in made:
            if each.error is not None:
                raise each.error
        return await self._settle_with(job, ended, made)

    async def settle_at_last(self, job: Job, ended: Ended) -> Job:
        """As `settle`, with the pictures that can be had: there is no more time to try again."""
        made = await self.keep(job, ended)
        lost: dict[int, GivenUp] = {}
        for each in made:
            if each.error is None:
                continue
            log.warning("pictures cannot be had: %s", each.error)
            if not each.pictures:
                detail = f"pictures could not be had: {each.error.detail}"
                # Of a picture, "not found" says nothing of the job.
                gone = each.error.reason is Reason.NOT_FOUND
                reason = Reason.NO_PICTURE if gone else each.error.reason
                lost[each.generation.id] = GivenUp(reason, detail)
        open_ended = [(generation, lost.get(generation.id, end)) for generation, end in ended]
        made = [each for each in made if each.generation.id not in lost]
        return await self._settle_with(job, open_ended, made)

    async def ask_late_cost(self, job: Job) -> None:
        """Correct an estimate when the provider tells the cost after all."""
        provider = self._providers[job.request.model]
        async with self._database.reading() as view:
            generations = await generation_rows.of_job(view, job.id)
        made = [each for each in generations if each.state is JobStatus.SUCCEEDED]
        cost = await told(provider, {each.remote_id: None for each in made})
        if cost is None:
            return
        async with self._database.transaction() as tx:
            stored = await jobs.get(tx, job.id)
            if stored is None or stored.cost is None or not stored.estimated:
                return  # corrected already
            await jobs.note(tx, job.id, cost=cost.amount, estimated=False)
            await ledger.adjust(
                tx, job, stored.cost - cost.amount, self._now(), reason=LATE_COST, cost=cost
            )

    async def keep(self, job: Job, ended: Ended) -> list[Made]:
        """Fetch and keep the pictures of what has finished."""
        provider = self._providers[job.request.model]
        finished = [(each, update) for each, update in ended if isinstance(update, Finished)]
        places = [(each.id, url) for each, update in finished for url in update.pictures]
        places = places[:MAX_PICTURES]
        results = await asyncio.gather(
            *(self._keep_one(url, provider) for _, url in places), return_exceptions=True
        )
        kept: defaultdict[int, list[Picture]] = defaultdict(list)
        errors: dict[int, ProviderError] = {}
        for (generation_id, _), result in zip(places, results, strict=True):
            match result:
                case Picture():
                    kept[generation_id].append(result)
                case ProviderError(reason=Reason.MALFORMED):
                    log.warning("a picture that is none: %s", result)
                case ProviderError():
                    errors.setdefault(generation_id, result)
                case BaseException():
                    raise result
        return [Made(each, told, kept[each.id], errors.get(each.id)) for each, told in finished]

    async def _keep_one(self, url: str, provider: Provider) -> Picture:
        return await self._store.keep(await self._downloader.fetch(url, provider.headers_for))

    async def cost(self, job: Job, made: Sequence[Made]) -> Cost | None:
        """What they cost together; None where the provider does not tell in time."""
        provider = self._providers[job.request.model]
        costs = {each.generation.remote_id: each.update.cost for each in made}
        return await told(provider, costs, waits=WAITS)

    async def _settle_with(self, job: Job, ended: Ended, made: Sequence[Made]) -> Job:
        kept = [picture for each in made for picture in each.pictures]
        if kept:
            return await self._succeed(job, ended, kept, await self.cost(job, made))
        if made:
            log.error("%s sent no picture", job.request.model)
            return await self._fail(job, ended, Reason.NO_PICTURE)
        return await self._settle_without(job, ended)

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
        failures = [end for _, end in ended if isinstance(end, Failed | GivenUp)]
        if not failures:
            return await self._release(job, ended, JobStatus.CANCELED)
        for failure in failures:
            self._refusals.tell(job, ProviderError(failure.reason, failure.detail))
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
        tell_charges(settled, ended)
        return settled

    async def _end_generations(self, tx: Transaction, ended: Ended) -> None:
        for generation, end in ended:
            if state := STATES.get(type(end)):
                await generation_rows.end(tx, generation.id, state)


def tell_charges(job: Job, ended: Ended) -> None:
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
