"""From running to settled: the pictures are stored first, then status and money move together."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from bot.errors import NotNow, ProviderError, Reason
from bot.jobs import Generation, Job, JobStatus, Picture
from bot.ledger import Cost, credits_text
from bot.observability.logs import hide
from bot.providers.base import Canceled, Failed, Finished, Provider, Update
from bot.services import Services
from bot.store import generations as generation_rows
from bot.store import settlement
from bot.worker.balances import refused
from bot.worker.leases import Leases
from bot.worker.marking import Marker
from bot.worker.prices import Prices

log = logging.getLogger(__name__)

MAX_PICTURES = 10  # of one Discord message
COST_WAITS = (0.0, 0.4, 0.8, 1.6)  # seconds before each request: a picture waits for the cost
COST_TIMEOUT = 5.0  # seconds for all of these requests together

STATES = {
    Finished: JobStatus.SUCCEEDED,
    Failed: JobStatus.FAILED,
    Canceled: JobStatus.CANCELED,
}


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A generation without a known end, or without its pictures, in time.

    bot.worker.overdue polls it for another day.
    """

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Made:
    """A finished generation, with the pictures that are stored by now.

    `error` is the reason why one of its pictures, or all of them, cannot be downloaded now.
    """

    generation: Generation
    update: Finished
    pictures: Sequence[Picture]
    error: ProviderError | None


End = Update | Abandoned
Ends = Sequence[tuple[Generation, End]]


class Settler:
    def __init__(self, services: Services, leases: Leases) -> None:
        self._services = services
        self._leases = leases
        self.prices = Prices(services)
        self._marker = Marker(services)
        self._database = services.database
        self._providers = services.providers
        self._now = services.now

    async def settle(self, job: Job, ends: Ends) -> Job:
        """Settle a job by the ends of its generations.

        Raises ProviderError if pictures exist and cannot be downloaded now: retry later.
        """
        made = await self.store_pictures(job, ends)
        for each in made:
            if each.error is not None:
                raise each.error
        return await self._settle(job, ends, made)

    async def settle_anyway(self, job: Job, ends: Ends) -> Job:
        """Settle a job with the pictures that can be downloaded: no time is left for a retry."""
        made = await self.store_pictures(job, ends)
        lost: dict[int, Abandoned] = {}
        for each in made:
            if each.error is None:
                continue
            log.warning("pictures not downloaded in time: %s", each.error)
            if not each.pictures:
                detail = f"pictures not downloaded in time: {each.error.detail}"
                # "Not found" of a picture says nothing about the job.
                gone = each.error.reason is Reason.NOT_FOUND
                reason = Reason.NO_PICTURE if gone else each.error.reason
                lost[each.generation.id] = Abandoned(reason, detail)
        ends = [(generation, lost.get(generation.id, end)) for generation, end in ends]
        made = [each for each in made if each.generation.id not in lost]
        return await self._settle(job, ends, made)

    async def correct_cost(self, job: Job) -> None:
        """Replace an estimated cost if the provider reports the cost by now."""
        async with self._database.reading() as view:
            generations = await generation_rows.of_job(view, job.id)
        made = [each for each in generations if each.state is JobStatus.SUCCEEDED]
        unknown: dict[str, Cost | None] = {each.remote_id: None for each in made}
        cost = await _reported(self._providers[job.provider], unknown, waits=COST_WAITS[:1])
        if cost is None:
            return
        async with self._leases.writing(job) as tx:
            await settlement.correct_cost(tx, job.id, cost, self._now())
        await self.prices.follow(job.request.model)

    async def store_pictures(self, job: Job, ends: Ends) -> list[Made]:
        """Download and store the pictures of the finished generations, at most MAX_PICTURES."""
        provider = self._providers[job.provider]
        finished = [(each, end) for each, end in ends if isinstance(end, Finished)]
        hide(*(text for _, update in finished for text in update.prompts))
        addresses = [(each.id, url) for each, update in finished for url in update.pictures]
        addresses = addresses[:MAX_PICTURES]
        results = await asyncio.gather(
            *(self._store_picture(url, provider, job) for _, url in addresses),
            return_exceptions=True,
        )
        stored: defaultdict[int, list[Picture]] = defaultdict(list)
        errors: dict[int, ProviderError] = {}
        for (generation_id, _), result in zip(addresses, results, strict=True):
            match result:
                case Picture():
                    stored[generation_id].append(result)
                case ProviderError(reason=Reason.MALFORMED):
                    log.warning("not an image: %s", result)
                case ProviderError():
                    errors.setdefault(generation_id, result)
                case OSError() | NotNow():  # of this machine, such as a full disk
                    raise result
                case Exception():  # does not keep the job's other pictures back for ever
                    log.error("unexpected error in a download", exc_info=result)
                    unknown = ProviderError(Reason.UNKNOWN, type(result).__name__)
                    errors.setdefault(generation_id, unknown)
                case BaseException():
                    raise result
        return [Made(each, end, stored[each.id], errors.get(each.id)) for each, end in finished]

    async def _store_picture(self, url: str, provider: Provider, job: Job) -> Picture:
        services = self._services
        saved = services.downloader.saved_at_once.take(job.user_id)
        async with saved, services.pictures.arriving() as path:
            await services.downloader.save(url, provider.headers_for, path, member=job.user_id)
            staged = await self._marker.staged(path, job)
            try:  # stored also if there is no room left
                async with services.retention.room(staged.picture.size):
                    return await services.pictures.keep(staged)
            finally:
                services.pictures.discard(staged)

    async def cost(self, job: Job, made: Sequence[Made]) -> Cost | None:
        """Return the reported cost of all of them; None if the provider does not report in time."""
        costs = {each.generation.remote_id: each.update.cost for each in made}
        return await _reported(self._providers[job.provider], costs, waits=COST_WAITS)

    async def _settle(self, job: Job, ends: Ends, made: Sequence[Made]) -> Job:
        pictures = [picture for each in made for picture in each.pictures]
        if pictures:
            cost = await self.cost(job, made)
            return await self._succeed(job, ends, pictures, cost, expanded_prompt(job, made))
        if made:
            log.error("%s sent no picture", job.provider)
            return await self._fail(job, ends, Reason.NO_PICTURE)
        failures = [end for _, end in ends if isinstance(end, Failed | Abandoned)]
        for failure in failures:
            refused(self._services, job.provider, failure.reason, failure.detail)
        if failures:
            return await self._fail(job, ends, failures[0].reason)
        losses = await self.losses(job, ends)
        async with self._leases.writing(job, last=True) as tx:
            canceled = await settlement.cancel(
                tx, job.id, self._now(), ends=_states(ends), losses=losses
            )
        log.info("canceled")
        return canceled

    async def _succeed(
        self,
        job: Job,
        ends: Ends,
        pictures: Sequence[Picture],
        cost: Cost | None,
        expanded: str | None,
    ) -> Job:
        if cost is None and any(isinstance(end, Finished) and end.cost for _, end in ends):
            log.warning("%s reported no cost, or zero: the price is charged", job.provider)
        losses = await self.losses(
            job, [each for each in ends if not isinstance(each[1], Finished)]
        )
        async with self._leases.writing(job, last=True) as tx:
            settled = await settlement.succeed(
                tx,
                job,
                self._now(),
                cost=cost,
                pictures=pictures,
                ends=_states(ends),
                losses=losses,
                expanded_prompt=expanded,
            )
        self._services.health.made_picture(job.provider)
        await self.prices.follow(job.request.model)
        log.info("succeeded with %s pictures", len(pictures))
        return settled

    async def _fail(self, job: Job, ends: Ends, reason: Reason) -> Job:
        losses = await self.losses(job, ends)
        async with self._leases.writing(job, last=True) as tx:
            failed = await settlement.fail(
                tx,
                job.id,
                self._now(),
                reason=reason,
                ends=_states(ends),
                losses=losses,
            )
        log.info("failed: %s", reason)
        return failed

    async def losses(self, job: Job, ends: Ends) -> dict[str, Cost]:
        """Return the charges for ends without a picture, by remote id, and log them.

        The operator may reclaim them; no member pays them. A provider that reports costs by
        another request receives that request once.
        """
        losses: dict[str, Cost] = {}
        for generation, end in ends:
            if not isinstance(end, Finished | Failed | Canceled):
                continue
            cost = None if isinstance(end, Canceled) else end.cost
            unknown = {generation.remote_id: cost}
            cost = await _reported(self._providers[job.provider], unknown, waits=COST_WAITS[:1])
            if cost is None and isinstance(end, Finished):
                # A service charges for what has succeeded.
                async with self._database.reading() as view:
                    cost = await settlement.price_of_generation(view, job)
            if cost is None:
                continue
            losses[generation.remote_id] = cost
            report_loss(job, generation.remote_id, cost)
        return losses


def expanded_prompt(job: Job, made: Sequence[Made]) -> str | None:
    """Return the first prompt that was drawn instead of the member's; None if none was."""
    drawn = (text for each in made if each.pictures for text in each.update.prompts)
    return next((text for text in drawn if text != job.request.prompt.strip()), None)


def report_loss(job: Job, remote_id: str, cost: Cost) -> None:
    log.warning(
        "%s charged %s credits for %s without a picture; the member pays none",
        job.provider,
        credits_text(cost.amount),
        remote_id,
    )


def _states(ends: Ends) -> dict[int, JobStatus]:
    """Return the known ends by the generations' row ids."""
    return {each.id: STATES[type(end)] for each, end in ends if type(end) in STATES}


async def _reported(
    provider: Provider, known: Mapping[str, Cost | None], *, waits: Sequence[float]
) -> Cost | None:
    """Return the sum of all costs by remote id, requesting those that are None.

    None if one of them is not reported in time.
    """
    costs = {remote_id: _known(cost) for remote_id, cost in known.items()}
    try:
        async with asyncio.timeout(COST_TIMEOUT):
            for wait in waits:
                unknown = [remote_id for remote_id, cost in costs.items() if cost is None]
                if not unknown:
                    break
                await asyncio.sleep(wait)
                for remote_id in unknown:
                    costs[remote_id] = await _cost_of(provider, remote_id)
    except TimeoutError:
        log.info("cost not reported in time")
    found = [cost for cost in costs.values() if cost is not None]
    return reduce(add, found) if found and len(found) == len(costs) else None


def _known(cost: Cost | None) -> Cost | None:
    """Return a cost; None for zero, which for a success means that it is not reported yet."""
    return cost if cost is not None and cost.amount else None


async def _cost_of(provider: Provider, remote_id: str) -> Cost | None:
    try:
        return _known(await provider.cost(remote_id))
    except ProviderError as error:
        log.warning("cost of %s not reported: %s", remote_id, error)
        return None
