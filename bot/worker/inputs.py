"""Input pictures of jobs: kept first, then given to the provider by an address that works."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.backoff import back_off
from bot.delivery import Delivery, NotDelivered
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import Job, Picture
from bot.pictures import InputPictures, InputRefused, PictureStore
from bot.providers.base import Provider
from bot.store import jobs
from bot.store import pictures as picture_rows
from bot.store.database import Database
from bot.store.pictures import Role

log = logging.getLogger(__name__)

FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=1)
# Files given to a command are "removed after a set period" that nobody states (discord.md).
FRESH = timedelta(minutes=10)


class Inputs:
    def __init__(
        self,
        database: Database,
        providers: Mapping[str, Provider],
        pictures: InputPictures,
        store: PictureStore,
        delivery: Delivery,
        now: Callable[[], datetime],
        *,
        fail: Callable[[Job, Reason, str], Awaitable[Job]],
    ) -> None:
        """`fail` settles a job that cannot go on, with a sentence for its member."""
        self._database = database
        self._providers = providers
        self._pictures = pictures
        self._store = store
        self._delivery = delivery
        self._now = now
        self._fail = fail
        self._tries: dict[str, int] = {}

    async def keep(self, job: Job) -> None:
        """Fetch a queued job's input pictures and keep them: only then may it be claimed."""
        try:
            kept = [await self._pictures.take(each) for each in job.inputs]
        except InputRefused as refused:
            await self._fail(job, Reason.INPUT, str(refused))
            return
        except ProviderError as error:
            await self._later(job, error)
            return
        self._tries.pop(job.id, None)
        now = self._now()
        async with self._database.transaction() as tx:
            if await jobs.inputs_stored(tx, job.id):
                await picture_rows.attach(tx, job.id, Role.INPUT, kept, now)

    async def addressed(self, job: Job) -> Job:
        """The job, with addresses of its inputs that the provider can fetch now.

        The attachments' own while they are fresh, else those of copies at the status message,
        else, where the provider takes it, the pictures themselves. ProviderError (surely not
        taken: nothing was sent) where there is no way at the moment.
        """
        if not job.inputs or self._now() - job.created_at < FRESH:
            return job
        async with self._database.reading() as view:
            kept = await picture_rows.of_job(view, job.id, Role.INPUT)
        try:
            return await self._copy(job, kept)
        except NotDelivered as error:
            log.warning("its inputs could not be copied: %s", error)
        if not self._providers[job.request.model].takes_data:
            raise ProviderError(Reason.INPUT, "no address for its inputs", Taken.NO)
        data = tuple([await self._data_address(picture) for picture in kept])
        return replace(job, request=replace(job.request, inputs=data))

    async def _copy(self, job: Job, kept: Sequence[Picture]) -> Job:
        files = [(picture, self._store.path(picture)) for picture in kept]
        urls = await self._delivery.copy_inputs(job, files)
        inputs = tuple(
            replace(each, url=url, copied=True) for each, url in zip(job.inputs, urls, strict=True)
        )
        # Stored before it is sent: after a crash, what was made is looked for by its inputs too.
        async with self._database.transaction() as tx:
            noted = await jobs.note(tx, job.id, inputs=jobs.rows_of(inputs))
        return noted or job

    async def _data_address(self, picture: Picture) -> str:
        data = await self._store.read(picture)
        text = await asyncio.to_thread(base64.b64encode, data)
        return f"data:{picture.kind.media_type};base64,{text.decode()}"

    async def _later(self, job: Job, error: ProviderError) -> None:
        tries = self._tries[job.id] = self._tries.get(job.id, 0) + 1
        wait = back_off(tries, first=FIRST_RETRY, longest=LONGEST_RETRY)
        log.info("its inputs cannot be had, again in %s: %s", wait, error)
        async with self._database.transaction() as tx:
            await jobs.note(tx, job.id, submit_after=self._now() + wait, reason=Reason.INPUT)
