"""DiscordDelivery: jobs shown in Discord, by their route."""

import logging
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import discord

from bot.catalog import Catalog, ModelSpec
from bot.delivery import Kept, NotDelivered
from bot.health import ServiceHealth
from bot.jobs import Job, JobStatus, Picture
from bot.observability.metrics import Metrics
from cogs._replies import IN_DOUBT, REFUSED
from cogs.buttons import copied_view, status_view
from cogs.delivery.destinations import (
    SEND_SECONDS,
    UPLOAD_RATE,
    Post,
    TooLarge,
    Ways,
)
from cogs.delivery.errors import PROBLEMS, errors_told, is_passing
from cogs.delivery.fallback import Tried, Tries
from cogs.delivery.lookup import ask_for_answer, search_answer, strings_of
from cogs.delivery.timeouts import within
from cogs.delivery.uploads import prepare
from cogs.ui.result import canceled_view, failed_view, result_view

log = logging.getLogger(__name__)

SHOW_SECONDS = 5.0
ASK_SECONDS = 10.0
STRAY = 20.0  # after which an edit that was given up will have arrived, or never does
UPLOAD_LIMIT = 10 * 1024 * 1024  # of one file, where the server is not known


class DiscordDelivery:
    """Implements bot.delivery.Delivery on whichever client is logged in at the moment."""

    def __init__(
        self, catalog: Catalog, health: ServiceHealth, metrics: Metrics, now: Callable[[], datetime]
    ) -> None:
        self._catalog = catalog
        self._health = health
        self._metrics = metrics
        self._now = now
        self._client: discord.Client | None = None
        self._tries = Tries()
        self._edits_in_doubt: set[str] = set()  # jobs whose status may still be changed by one

    def attach(self, client: discord.Client) -> None:
        self._client = client

    async def show(self, job: Job) -> None:
        if job.route.status_message_id is None:
            return
        try:
            async with within(self._connected(), SHOW_SECONDS):
                down = self._health.is_down(job.provider)
                await self._ways().edit_answer(job, status_view(job, self._spec(job), down=down))
        except IN_DOUBT as error:
            self._edits_in_doubt.add(job.id)
            log.info("whether its status is shown is in doubt: %r", error)
        except (*REFUSED, NotDelivered) as error:
            log.info("its status could not be shown: %s", error)

    async def copy_inputs(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]]
    ) -> Sequence[str]:
        uploads = await prepare(job, pictures, self._upload_limit(job), name="input")
        if uploads.shrunk or uploads.left_out or uploads.gone:
            raise NotDelivered("an input picture is gone, or too large to be uploaded again")
        with errors_told():
            seconds = SEND_SECONDS + uploads.total / UPLOAD_RATE
            async with within(self._connected(), seconds):
                view = copied_view(job, self._spec(job), uploads)
                message = await self._ways().edit_answer(job, view, uploads.files())
        if message is None:
            raise NotDelivered("the status message can be changed no more")
        found = [
            text
            for component in message.components
            for text in strings_of(component.to_dict())
            if text.startswith(("https://", "http://")) and f"/easel-{job.id}-input-" in text
        ]
        if len(found) != len(pictures):
            raise NotDelivered("the copies of its inputs have no addresses")
        return found

    async def find_answer(self, job: Job) -> int | None:
        token = job.route.token_at(self._now())
        client = self._connected()
        with errors_told():
            async with within(client, ASK_SECONDS):
                if token is None:
                    return await search_answer(client, job)
                return await ask_for_answer(client, job, token)

    async def deliver(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]], *, missing: int, again: bool
    ) -> int | Kept:
        tried = self._tries.of(job, again=again)
        with errors_told():
            try:
                if job.status is JobStatus.CANCELED:
                    shown = await self._show_canceled(job)
                else:
                    shown = await self._deliver(job, pictures, missing=missing, tried=tried)
            except PROBLEMS as error:
                tried.wrong = tried.wrong + 1 if await self._works(job) else 0
                if not tried.is_over(job):
                    raise
                log.warning("it is given up to be delivered, and kept: %r", error)
                shown = Kept("Discord did not take it for a whole day")
        if isinstance(shown, Kept):
            self._metrics.delivered("kept")
        self._tries.forget(job)
        if job.id in self._edits_in_doubt:
            self._edits_in_doubt.discard(job.id)
            if shown == job.route.status_message_id:
                raise NotDelivered("an earlier edit of the same message may still arrive", STRAY)
        return shown

    async def _deliver(
        self,
        job: Job,
        pictures: Sequence[tuple[Picture, Path]],
        *,
        missing: int,
        tried: Tried,
    ) -> int | Kept:
        spec = self._spec(job)
        if job.status is JobStatus.FAILED and not job.overdue_at:
            return await self._ways().post(job, Post(failed_view(job, spec)), tried)
        limit = min(self._upload_limit(job), tried.limit or sys.maxsize)
        while True:
            uploads = await prepare(job, pictures, limit)
            view = result_view(job, spec, uploads, missing=missing)
            try:
                return await self._ways().post(job, Post(view, uploads), tried)
            except TooLarge:
                limit = uploads.largest // 2
                log.info("too large to be uploaded; shrinking to %s bytes", limit)
            except TimeoutError:
                tried.took_too_long(uploads.largest)
                raise

    async def _show_canceled(self, job: Job) -> int | Kept:
        """A cancel was the member's own wish: the status message tells it, and nothing pings."""
        try:
            async with within(self._connected(), SHOW_SECONDS):
                message = await self._ways().edit_answer(job, canceled_view(job))
        except discord.HTTPException as error:
            if is_passing(error):
                raise
            return Kept()
        if message is None:
            return Kept()
        self._metrics.delivered("answer")
        return message.id

    async def _works(self, job: Job) -> bool:
        """Whether Discord answers what has nothing to do with a delivery: who its member is."""
        try:
            async with within(self._connected(), ASK_SECONDS):
                await self._connected().fetch_user(job.user_id)
        except PROBLEMS as error:
            return not is_passing(error)
        return True

    def _upload_limit(self, job: Job) -> int:
        guild = self._connected().get_guild(job.route.account_server_id)
        return guild.filesize_limit if guild else UPLOAD_LIMIT

    def _spec(self, job: Job) -> ModelSpec:
        return self._catalog.about(job.request.model)

    def _ways(self) -> Ways:
        return Ways(self._connected(), self._metrics, self._now())

    def _connected(self) -> discord.Client:
        if self._client is None or self._client.is_closed():
            raise NotDelivered("not logged in to Discord")
        return self._client
