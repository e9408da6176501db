"""DiscordDelivery: jobs shown in Discord, by their route."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import discord
from discord import ui
from discord.http import Route as HttpRoute

from bot.catalog import Catalog, ModelSpec
from bot.delivery import NotDelivered
from bot.jobs import Job, JobStatus, Picture
from bot.metrics import Metrics
from cogs.answers import IN_DOUBT
from cogs.results import status_view
from cogs.uploads import Uploads, prepare
from cogs.views import canceled_view, failed_view, result_view

log = logging.getLogger(__name__)

SHOW_SECONDS = 5.0
ASK_SECONDS = 10.0
SEND_SECONDS = 60.0  # up to 25 MiB of pictures
UPLOAD_LIMIT = 10 * 1024 * 1024  # of one file, where the server is not known
SEARCHED = 200  # messages since the status message that may carry the result
# A refusal closes a way for good, but for these: revoked, too fast.
TOO_LARGE = 413
SMALLEST_UPLOAD = 16 * 1024  # bytes; a refusal of less is not for its size
NOT_THE_WAYS_FAULT = {401, 429}


class TooLarge(Exception):
    """Discord takes less than it is known to take: its limits have changed before."""


@dataclass(frozen=True, slots=True)
class Post:
    view: ui.LayoutView
    uploads: Uploads
    user_id: int

    def mentions(self) -> discord.AllowedMentions:
        """Nothing in the message may ping anybody but the member whose job it is."""
        only = [discord.Object(self.user_id)]
        return discord.AllowedMentions(everyone=False, roles=False, replied_user=False, users=only)


def carries(message: discord.Message, job_id: str) -> bool:
    """Whether a message of ours is this job's result: by its files' names, or its small line.

    A prompt cannot forge either: its dashes are escaped, and it never starts a small line.
    """
    for component in message.components:
        for text in _strings(component.to_dict()):
            if f"/easel-{job_id}-" in text or text.endswith(f"job {job_id}"):
                return True
    return False


def _strings(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (str(node[key]) for key in ("url", "content") if key in node)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _strings(each)


class DiscordDelivery:
    """Implements bot.delivery.Delivery on whichever client is logged in at the moment."""

    def __init__(self, catalog: Catalog, metrics: Metrics) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._client: discord.Client | None = None

    def attach(self, client: discord.Client) -> None:
        self._client = client

    async def show(self, job: Job) -> None:
        if job.route.message_id is None:
            return
        try:
            async with asyncio.timeout(SHOW_SECONDS):
                await self._edit_answer(job, status_view(job, self._spec(job)))
        except (discord.HTTPException, *IN_DOUBT, NotDelivered) as error:
            log.info("its status could not be shown: %s", error)

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
        try:
            async with asyncio.timeout(ASK_SECONDS):
                message = await self._connected().http.request(route)
        except IN_DOUBT as error:
            raise NotDelivered(str(error)) from error
        except discord.HTTPException as error:
            if error.status in {401, 404}:
                return None
            raise NotDelivered(str(error)) from error
        return int(message["id"])

    async def deliver(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]], *, missing: int, again: bool
    ) -> int | None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await self._deliver(job, pictures, missing=missing, again=again)
        except IN_DOUBT as error:
            raise NotDelivered(f"{type(error).__name__}: {error}") from error
        except discord.RateLimited as error:
            raise NotDelivered("rate limited", error.retry_after) from error
        except discord.HTTPException as error:
            raise NotDelivered(f"{error.status} {error.code}: {error.text}") from error

    async def _deliver(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]], *, missing: int, again: bool
    ) -> int | None:
        if job.status is JobStatus.CANCELED:
            message_id = await self._show_canceled(job)
            self._metrics.delivered("answer" if message_id else "kept")
            return message_id
        if again and (message_id := await self._find_result(job)):
            await self._remove_status(job)
            self._metrics.delivered("channel")
            return message_id
        limit = self._upload_limit(job)
        while True:
            post = await self._compose(job, pictures, missing=missing, limit=limit)
            try:
                return await self._post(job, post)
            except TooLarge:
                limit = post.uploads.largest // 2
                log.info("too large to be uploaded; shrinking to %s bytes", limit)

    async def _post(self, job: Job, post: Post) -> int | None:
        """Try the route's ways in order. None where no way is open."""
        ways = {"answer": self._to_answer, "member": self._to_member}
        if job.route.postable:
            ways = {"channel": self._to_channel, **ways}
        for way, send in ways.items():
            try:
                message_id = await send(job, post)
            except discord.HTTPException as error:
                if error.status in NOT_THE_WAYS_FAULT or error.status >= 500:
                    raise
                if error.status == TOO_LARGE and post.uploads.largest > SMALLEST_UPLOAD:
                    raise TooLarge from error
                log.info("the way to the %s is closed: %s", way, error)
                continue
            if message_id is not None:
                self._metrics.delivered(way)
                return message_id
        self._metrics.delivered("kept")
        log.warning("no way to its member is open; the result is kept")
        return None

    async def _to_channel(self, job: Job, post: Post) -> int | None:
        channel = self._connected().get_partial_messageable(job.route.channel_id)
        message = await channel.send(
            view=post.view,
            files=post.uploads.files(),
            nonce=job.id,
            allowed_mentions=post.mentions(),
        )
        await self._remove_status(job)
        return message.id

    async def _to_answer(self, job: Job, post: Post) -> int | None:
        return await self._edit_answer(job, post.view, files=post.uploads.files())

    async def _to_member(self, job: Job, post: Post) -> int | None:
        user = await self._connected().fetch_user(job.user_id)
        message = await user.send(
            view=post.view,
            files=post.uploads.files(),
            nonce=job.id,
            allowed_mentions=post.mentions(),
        )
        return message.id

    async def _compose(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]], *, missing: int, limit: int
    ) -> Post:
        spec = self._spec(job)
        if job.status is JobStatus.FAILED:
            return Post(failed_view(job, spec), Uploads(), job.user_id)
        uploads = await prepare(job, pictures, limit)
        return Post(result_view(job, spec, uploads, missing=missing), uploads, job.user_id)

    async def _show_canceled(self, job: Job) -> int | None:
        """A cancel was the member's own wish: the status message tells it, and nothing pings."""
        try:
            return await self._edit_answer(job, canceled_view(job))
        except (discord.Forbidden, discord.NotFound):
            return None

    async def _edit_answer(
        self, job: Job, view: ui.LayoutView, files: Sequence[discord.File] = ()
    ) -> int | None:
        """By the interaction's token while it lives, else as a message of the bot's own."""
        message_id = job.route.message_id
        client = self._connected()
        if message_id is None:
            return None
        token = job.route.token_at(discord.utils.utcnow())
        nobody = discord.AllowedMentions.none()
        if token is not None:
            webhook = discord.Webhook.partial(job.route.application_id, token, client=client)
            await webhook.edit_message(
                message_id, view=view, attachments=list(files), allowed_mentions=nobody
            )
        else:
            message = client.get_partial_messageable(job.route.channel_id)
            await message.get_partial_message(message_id).edit(
                view=view, attachments=list(files), allowed_mentions=nobody
            )
        return message_id

    async def _remove_status(self, job: Job) -> None:
        """The result stands in the channel now; a status that stays is only untidy."""
        message_id = job.route.message_id
        if message_id is None:
            return
        client = self._connected()
        token = job.route.token_at(discord.utils.utcnow())
        try:
            async with asyncio.timeout(SHOW_SECONDS):
                if token is not None:
                    webhook = discord.Webhook.partial(
                        job.route.application_id, token, client=client
                    )
                    await webhook.delete_message(message_id)
                else:
                    channel = client.get_partial_messageable(job.route.channel_id)
                    await channel.get_partial_message(message_id).delete()
        except (discord.HTTPException, *IN_DOUBT) as error:
            log.info("its status message stays: %s", error)

    async def _find_result(self, job: Job) -> int | None:
        """What an earlier try posted: a message of ours, since the status, with the job's id."""
        client = self._connected()
        channel = client.get_partial_messageable(job.route.channel_id)
        after = discord.Object(job.route.message_id) if job.route.message_id else job.created_at
        try:
            async for message in channel.history(limit=SEARCHED, after=after):
                own = client.user is not None and message.author.id == client.user.id
                if own and carries(message, job.id):
                    return message.id
        except (discord.Forbidden, discord.NotFound) as error:
            log.info("the channel cannot be searched: %s", error)
        return None

    def _upload_limit(self, job: Job) -> int:
        guild = self._connected().get_guild(job.route.server_id)
        return guild.filesize_limit if guild else UPLOAD_LIMIT

    def _spec(self, job: Job) -> ModelSpec:
        return self._catalog.about(job.request.model)

    def _connected(self) -> discord.Client:
        if self._client is None or self._client.is_closed():
            raise NotDelivered("not logged in to Discord")
        return self._client
