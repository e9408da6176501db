"""Input pictures of jobs: stored first, then given to the provider by an address that works."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from bot.backoff import Backoff, Retries
from bot.delivery import InputsGone, NotDelivered
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import Attachment, Job, JobStatus, Picture
from bot.pictures import InputRefused, Intake, NotDecoded, PicturesUnavailable, ends_before
from bot.services import Services
from bot.store import jobs, settlement
from bot.store import pictures as picture_rows
from bot.store.pictures import Role
from bot.worker.leases import Leases

log = logging.getLogger(__name__)

COPIES_OF_DATA = 4  # the picture, its base64 text, and the request as text and as bytes
ROOM_SECONDS = 20.0  # the lease of the claim goes on meanwhile
READ_SECONDS = 30.0  # for all inputs of a job, likewise
ADDRESS_MARGIN = timedelta(minutes=10)  # of a signed address, for the service's download
BACKOFF = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=1))


class Inputs:
    def __init__(self, services: Services, leases: Leases) -> None:
        self._services = services
        self._database = services.database
        self._leases = leases
        self._now = services.now
        self._retries = Retries(BACKOFF)
        self._waiting: dict[str, asyncio.Task[object]] = {}  # for their turn, by the job's id

    async def store(self, job: Job) -> None:
        """Download and store a queued job's input pictures: only then may the job be claimed.

        Jobs of one member wait for each other, and members take turns.
        """
        try:
            async with self._waits(job), self._services.inputs.place(job.user_id) as intake:
                self._waiting.pop(job.id, None)
                if await self._is_due(job):
                    await self._attach(job, [await self._take(intake, each) for each in job.inputs])
        except InputRefused as refused:
            await self._refuse(job, str(refused))
        except ProviderError as error:
            await self._postpone(job, str(error))
        except PicturesUnavailable as error:
            await self._postpone(job, error.detail)
        except NotDecoded as error:
            if not self._services.decoder.stopped:  # else the next start continues
                await self._postpone(job, str(error))

    def let_go(self, settled: Iterable[Job]) -> None:
        """End the wait of jobs that were settled meanwhile, so that they can be delivered."""
        for job in settled:
            if task := self._waiting.get(job.id):
                task.cancel()

    @asynccontextmanager
    async def _waits(self, job: Job) -> AsyncIterator[None]:
        if task := asyncio.current_task():
            self._waiting[job.id] = task
        try:
            yield
        finally:
            self._waiting.pop(job.id, None)

    async def _is_due(self, job: Job) -> bool:
        """Return false if the job was settled, or postponed, after it was listed."""
        async with self._database.reading() as view:
            stored = await jobs.get(view, job.id)
        if stored is None or stored.status is not JobStatus.QUEUED:
            return False
        return stored.submit_after is None or stored.submit_after <= self._now()

    async def _take(self, intake: Intake, attachment: Attachment) -> Picture:
        if attachment.sha256 is None:
            return await intake.download(attachment)
        async with self._database.reading() as view:
            stored = await picture_rows.get(view, attachment.sha256)
        return await intake.reuse(attachment, stored)

    async def _attach(self, job: Job, stored: Sequence[Picture]) -> None:
        self._retries.end(job.id)
        pairs = zip(job.inputs, stored, strict=True)
        size = sum(picture.size for attachment, picture in pairs if attachment.sha256 is None)
        async with self._leases.writing(job, last=True) as tx:
            if await jobs.mark_inputs_stored(tx, job.id, size=size):
                authors = [each.author_id for each in job.inputs]
                await picture_rows.attach(
                    tx, job.id, Role.INPUT, stored, self._now(), authors=authors
                )

    async def addressed(self, job: Job, room: AsyncExitStack) -> Job:
        """Return the job with addresses of its inputs that the provider can download now.

        The attachments' own addresses while they are fresh; else, if the provider accepts them,
        data URIs, which count as bytes in flight until `room` ends; else the addresses of copies
        that only the member sees, or new ones from the messages that have the pictures. Raises
        ProviderError (nothing was sent) if none is possible now, or none any more.
        """
        media = self._services.inputs.media
        if self._are_usable(job) and all(each.url in media for each in job.inputs):
            return job
        async with self._database.reading() as view:
            stored = await picture_rows.of_job(view, job.id, Role.INPUT)
        if self._services.providers[job.provider].takes_data:
            await self._reserve(job, stored, room)
            data = await self._data_uris(stored)
            return replace(job, request=replace(job.request, inputs=data))
        try:
            return await self._copy(job, stored)
        except NotDelivered as error:
            log.warning("inputs not copied for the service: %s", error)
            passes = job.of_message or job.route.token_at(self._now()) is not None
            for_good = isinstance(error, InputsGone) or not passes
            taken = Taken.REFUSED if for_good else Taken.NO
            raise ProviderError(Reason.INPUT, "no address for its inputs", taken) from error

    def _are_usable(self, job: Job) -> bool:
        """Return whether the addresses of a job's inputs still lead to the pictures.

        Discord removes the files given to a command "after a set period", which is not documented
        (discord.md, Limits). Files of messages stay, and their addresses say when they end.
        """
        now = self._now()
        if job.of_message:
            return not any(ends_before(each.url, now + ADDRESS_MARGIN) for each in job.inputs)
        fresh = now - job.created_at < timedelta(minutes=10)
        return fresh or all(each.copied for each in job.inputs)

    async def _copy(self, job: Job, stored: Sequence[Picture]) -> Job:
        urls = await self._services.delivery.copy_inputs(job, stored)
        inputs = tuple(
            replace(each, url=url, copied=True) for each, url in zip(job.inputs, urls, strict=True)
        )
        # Stored before the submit: after a crash, generations are searched by their inputs too.
        async with self._leases.writing(job) as tx:
            return await jobs.store_inputs(tx, job.id, inputs) or job

    async def _reserve(self, job: Job, stored: Sequence[Picture], room: AsyncExitStack) -> None:
        size = COPIES_OF_DATA * sum(picture.size for picture in stored)
        limit = self._services.downloader.in_flight
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                await room.enter_async_context(limit.take(job.user_id, size))
        except TimeoutError:
            raise ProviderError(Reason.INPUT, "too many bytes in flight", Taken.NO) from None

    async def _data_uris(self, stored: Sequence[Picture]) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(READ_SECONDS):
                return tuple([await self._data_uri(picture) for picture in stored])
        except TimeoutError:
            raise ProviderError(Reason.INPUT, "inputs not read in time", Taken.NO) from None

    async def _data_uri(self, picture: Picture) -> str:
        data = await self._services.pictures.read(picture)
        text = await asyncio.to_thread(base64.b64encode, data)
        return f"data:{picture.kind.media_type};base64,{text.decode()}"

    async def _refuse(self, job: Job, remark: str) -> None:
        self._retries.end(job.id)
        async with self._leases.writing(job, last=True) as tx:
            await settlement.fail(tx, job.id, self._now(), reason=Reason.INPUT, remark=remark)

    async def _postpone(self, job: Job, cause: str) -> None:
        wait = self._retries.wait(job.id)
        log.info("inputs not stored, retrying in %s: %s", wait, cause)
        async with self._leases.writing(job, last=True) as tx:
            await jobs.postpone_submit(tx, job.id, self._now() + wait, Reason.INPUT)
