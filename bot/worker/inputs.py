"""Input pictures of jobs: stored first, then given to the provider by an address that works."""

import asyncio
import base64
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from bot.backoff import Backoff
from bot.delivery import NotDelivered
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import Job, Picture
from bot.pictures import InputRefused
from bot.services import Services
from bot.store import jobs, settlement
from bot.store import pictures as picture_rows
from bot.store.pictures import Role

log = logging.getLogger(__name__)

RETRIES = Backoff(first=timedelta(seconds=2), longest=timedelta(minutes=1))


class Inputs:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._now = services.now
        self._attempts: dict[str, int] = {}

    async def store(self, job: Job) -> None:
        """Download and store a queued job's input pictures: only then may the job be claimed."""
        try:
            stored = [await self._services.inputs.download(each) for each in job.inputs]
        except InputRefused as refused:
            await self._refuse(job, str(refused))
            return
        except ProviderError as error:
            await self._postpone(job, error)
            return
        self._attempts.pop(job.id, None)
        now = self._now()
        async with self._database.transaction() as tx:
            if await jobs.mark_inputs_stored(tx, job.id):
                await picture_rows.attach(tx, job.id, Role.INPUT, stored, now)

    async def addressed(self, job: Job) -> Job:
        """Return the job with addresses of its inputs that the provider can download now.

        The attachments' own addresses while they are fresh; else, if the provider accepts them,
        data URIs; else the addresses of copies that only the member sees. Raises ProviderError
        (refused: nothing was sent) if none is possible any more.
        """
        # Discord removes the files given to a command "after a set period", which is not
        # documented (discord.md, Limits).
        fresh = self._now() - job.created_at < timedelta(minutes=10)
        if not job.inputs or fresh or all(each.copied for each in job.inputs):
            return job
        async with self._database.reading() as view:
            stored = await picture_rows.of_job(view, job.id, Role.INPUT)
        if self._services.providers[job.provider].takes_data:
            data = tuple([await self._data_uri(picture) for picture in stored])
            return replace(job, request=replace(job.request, inputs=data))
        try:
            return await self._copy(job, stored)
        except NotDelivered as error:
            log.warning("inputs not copied for the service: %s", error)
            expired = job.route.token_at(self._now()) is None
            taken = Taken.REFUSED if expired else Taken.NO
            raise ProviderError(Reason.INPUT, "no address for its inputs", taken) from error

    async def _copy(self, job: Job, stored: Sequence[Picture]) -> Job:
        files = [(picture, self._services.pictures.path(picture)) for picture in stored]
        urls = await self._services.delivery.copy_inputs(job, files)
        inputs = tuple(
            replace(each, url=url, copied=True) for each, url in zip(job.inputs, urls, strict=True)
        )
        # Stored before the submit: after a crash, generations are searched by their inputs too.
        async with self._database.transaction() as tx:
            return await jobs.store_inputs(tx, job.id, inputs) or job

    async def _data_uri(self, picture: Picture) -> str:
        data = await self._services.pictures.read(picture)
        text = await asyncio.to_thread(base64.b64encode, data)
        return f"data:{picture.kind.media_type};base64,{text.decode()}"

    async def _refuse(self, job: Job, remark: str) -> None:
        self._attempts.pop(job.id, None)
        async with self._database.transaction() as tx:
            await settlement.fail(tx, job.id, self._now(), reason=Reason.INPUT, remark=remark)

    async def _postpone(self, job: Job, error: ProviderError) -> None:
        attempt = self._attempts[job.id] = self._attempts.get(job.id, 0) + 1
        wait = RETRIES.wait(attempt)
        log.info("inputs not downloaded, retrying in %s: %s", wait, error)
        async with self._database.transaction() as tx:
            await jobs.postpone_submit(tx, job.id, self._now() + wait, Reason.INPUT)
