"""DiscordDelivery: jobs shown in Discord, by their route."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import discord
from discord.http import Route as HttpRoute

from bot.catalog import Catalog, ModelSpec
from bot.delivery import NotDelivered
from bot.jobs import Job, JobStatus, Picture
from bot.metrics import Metrics
from cogs.answers import IN_DOUBT, REFUSED
from cogs.patience import within
from cogs.results import copied_view, status_view
from cogs.uploads import prepare
from cogs.views import canceled_view, failed_view, result_view
from cogs.ways import Post, TooLarge, Ways, is_passing, strings_of

log = logging.getLogger(__name__)

SHOW_SECONDS = 5.0
ASK_SECONDS = 10.0
SEND_SECONDS = 60.0  # up to 25 MiB of pictures
LONGEST_RETRY_AFTER = 3600.0
UPLOAD_LIMIT = 10 * 1024 * 1024  # of one file, where the server is not known


class DiscordDelivery:
    """Implements bot.delivery.Delivery on whichever client is logged in at the moment."""

    def __init__(self, catalog: Catalog, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._now = now
        self._client: discord.Client | None = None

    def attach(self, client: discord.Client) -> None:
        self._client = client

    async def show(self, job: Job) -> None:
        if job.route.message_id is None:
            return
        try:
            async with within(self._connected(), SHOW_SECONDS):
                down = self._catalog.is_down(job.request.model)
                await self._ways().edit_answer(job, status_view(job, self._spec(job), down=down))
        except (*REFUSED, *IN_DOUBT, NotDelivered) as error:
            log.info("its status could not be shown: %s", error)

    async def copy_inputs(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]]
    ) -> Sequence[str]:
        uploads = await prepare(job, pictures, self._upload_limit(job), name="input")
        if uploads.shrunk or uploads.left_out or uploads.gone:
            raise NotDelivered("an input picture is gone, or too large to be uploaded again")
        with errors_told():
            async with within(self._connected(), SEND_SECONDS):
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
        token = job.route.interaction_token
        if token is None:
            return None
        route = HttpRoute(
            "GET",
            "/webhooks/{application_id}/{interaction_token}/messages/@original",
            application_id=job.route.application_id,
            interaction_token=token,
        )
        client = self._connected()
        with errors_told():
            try:
                async with within(client, ASK_SECONDS):
                    message = await client.http.request(route)
            except discord.HTTPException as error:
                if error.status in {401, 404}:
                    return None
                raise
        return int(message["id"])

    async def deliver(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]], *, missing: int, again: bool
    ) -> int | None:
        with errors_told():
            async with within(self._connected(), SEND_SECONDS):
                if job.status is JobStatus.CANCELED:
                    message_id = await self._show_canceled(job)
                    self._metrics.delivered("answer" if message_id else "kept")
                    return message_id
                return await self._deliver(job, pictures, missing=missing, again=again)

    async def _deliver(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]], *, missing: int, again: bool
    ) -> int | None:
        limit = self._upload_limit(job)
        spec = self._spec(job)
        if job.status is JobStatus.FAILED and not job.late_at:
            return await self._ways().post(job, Post(failed_view(job, spec), again=again))
        while True:
            uploads = await prepare(job, pictures, limit)
            view = result_view(job, spec, uploads, missing=missing)
            try:
                return await self._ways().post(
                    job, Post(view, uploads, again, late=job.late_at is not None)
                )
            except TooLarge:
                limit = uploads.largest // 2
                log.info("too large to be uploaded; shrinking to %s bytes", limit)

    async def _show_canceled(self, job: Job) -> int | None:
        """A cancel was the member's own wish: the status message tells it, and nothing pings."""
        try:
            message = await self._ways().edit_answer(job, canceled_view(job))
        except discord.HTTPException as error:
            if is_passing(error):
                raise
            return None
        return message.id if message else None

    def _upload_limit(self, job: Job) -> int:
        guild = self._connected().get_guild(job.route.server_id)
        return guild.filesize_limit if guild else UPLOAD_LIMIT

    def _spec(self, job: Job) -> ModelSpec:
        return self._catalog.about(job.request.model)

    def _ways(self) -> Ways:
        return Ways(self._connected(), self._metrics, self._now())

    def _connected(self) -> discord.Client:
        if self._client is None or self._client.is_closed():
            raise NotDelivered("not logged in to Discord")
        return self._client


@contextmanager
def errors_told() -> Iterator[None]:
    """What discord.py raises, as NotDelivered."""
    try:
        yield
    except IN_DOUBT as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error
    except discord.RateLimited as error:
        raise NotDelivered("rate limited", error.retry_after) from error
    except discord.HTTPException as error:
        wait = retry_after_of(error)
        raise NotDelivered(f"{error.status} {error.code}: {error.text}", wait) from error


def retry_after_of(error: discord.HTTPException) -> float | None:
    """Seconds that Discord, or what stands before it, asks to wait (discord.md, T5)."""
    text = error.response.headers.get("Retry-After", "")
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return None
    return min(float(text), LONGEST_RETRY_AFTER)
