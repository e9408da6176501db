"""The ways by which a message reaches the member of a job, in the order of its route."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import discord
from discord import ui

from bot.jobs import Job, Route
from bot.metrics import Metrics
from cogs.answers import IN_DOUBT, REFUSED
from cogs.patience import within
from cogs.uploads import Uploads

log = logging.getLogger(__name__)

REMOVE_SECONDS = 5.0
SEARCHED = 200  # messages since the request that may carry the result
TOO_LARGE = 413
SMALLEST_UPLOAD = 16 * 1024  # bytes; a refusal of less is not for its size
# A refusal closes a way for good, but for these: revoked, too fast.
NOT_THE_WAYS_FAULT = {401, 429}
TOKEN_EXPIRED = 50027  # Discord's code, with 401: of the interaction's token, not of ours
NOBODY = discord.AllowedMentions.none()


class TooLarge(Exception):
    """Discord takes less than it is known to take: its limits have changed before."""


@dataclass(frozen=True, slots=True)
class Post:
    """What is to be shown. With `again`, an earlier try may have posted it already."""

    view: ui.LayoutView
    uploads: Uploads = field(default_factory=Uploads)
    again: bool = False
    late: bool = False  # a second message of the same job: pictures of what was given up


Way = Callable[[Job, Post], Awaitable[int | None]]


class Ways:
    """One connected client's ways at one moment."""

    def __init__(self, client: discord.Client, metrics: Metrics, now: datetime) -> None:
        self._client = client
        self._metrics = metrics
        self._now = now

    async def post(self, job: Job, post: Post) -> int | None:
        """Try the ways in order: the message's id, or None where no way is open.

        Raises TooLarge, and what discord.py raises where it is to be tried again.
        """
        for way, send in self._ways_of(job.route).items():
            try:
                message_id = await send(job, post)
            except discord.HTTPException as error:
                if is_passing(error):
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

    def _ways_of(self, route: Route) -> dict[str, Way]:
        """By their names, in the order in which they are tried."""
        answer: dict[str, Way] = {"answer": self._to_answer}
        member: dict[str, Way] = {"member": self._to_member}
        if route.private:
            return answer | member
        channel: dict[str, Way] = {"channel": self._to_channel} if route.postable else {}
        return channel | answer | {"parent": self._to_parent} | member

    async def edit_answer(
        self, job: Job, view: ui.LayoutView, files: Sequence[discord.File] | None = ()
    ) -> discord.Message | None:
        """By the interaction's token while it lives, else as a message of the bot's own.

        None where the answer can be changed no more. With `files` None, those it has stay.
        """
        message_id = job.route.message_id
        if message_id is None:
            return None
        attachments = discord.utils.MISSING if files is None else list(files)
        if webhook := self._webhook(job):
            return await webhook.edit_message(
                message_id, view=view, attachments=attachments, allowed_mentions=NOBODY
            )
        if not job.route.outlives_token:
            return None
        channel = self._client.get_partial_messageable(job.route.channel_id)
        return await channel.get_partial_message(message_id).edit(
            view=view, attachments=attachments, allowed_mentions=NOBODY
        )

    async def _to_channel(self, job: Job, post: Post) -> int | None:
        channel = self._client.get_partial_messageable(job.route.channel_id)
        message_id = await self._send_once(channel, job, post)
        await self._remove_status(job)
        return message_id

    async def _to_answer(self, job: Job, post: Post) -> int | None:
        message = await self.edit_answer(job, post.view, post.uploads.files())
        return message.id if message else None

    async def _to_parent(self, job: Job, post: Post) -> int | None:
        """The channel of a public thread that takes no more messages."""
        if job.route.parent_id is None:
            return None
        channel = self._client.get_partial_messageable(job.route.parent_id)
        return await self._send_once(channel, job, post)

    async def _to_member(self, job: Job, post: Post) -> int | None:
        user = await self._client.fetch_user(job.user_id)
        channel = user.dm_channel or await user.create_dm()
        return await self._send_once(channel, job, post)

    async def _send_once(
        self, channel: discord.abc.Messageable, job: Job, post: Post
    ) -> int | None:
        if post.again and (message_id := await self._find_result(channel, job, post)):
            return message_id
        only = [discord.Object(job.user_id)]
        message = await channel.send(
            view=post.view,
            files=post.uploads.files(),
            nonce=f"{job.id}-late" if post.late else job.id,
            allowed_mentions=discord.AllowedMentions(
                everyone=False, roles=False, replied_user=False, users=only
            ),
        )
        return message.id

    async def _find_result(
        self, channel: discord.abc.Messageable, job: Job, post: Post
    ) -> int | None:
        """What an earlier try posted: a message of ours, since the request, with the job's id."""
        after: discord.Object | datetime = job.created_at
        if job.route.message_id and not job.route.private:
            after = discord.Object(job.route.message_id)
        try:
            async for message in channel.history(limit=SEARCHED, after=after):
                own = self._client.user is not None and message.author.id == self._client.user.id
                if own and message.id != job.route.message_id and carries(message, job.id, post):
                    return message.id
        except (discord.Forbidden, discord.NotFound) as error:
            log.info("the channel cannot be searched: %s", error)
        return None

    async def _remove_status(self, job: Job) -> None:
        """The result stands in the channel now; a status that stays is only untidy."""
        message_id = job.route.message_id
        if message_id is None:
            return
        try:
            async with within(self._client, REMOVE_SECONDS):
                if webhook := self._webhook(job):
                    await webhook.delete_message(message_id)
                else:
                    channel = self._client.get_partial_messageable(job.route.channel_id)
                    await channel.get_partial_message(message_id).delete()
        except (*REFUSED, *IN_DOUBT) as error:
            log.info("its status message stays: %s", error)

    def _webhook(self, job: Job) -> discord.Webhook | None:
        token = job.route.token_at(self._now)
        if token is None:
            return None
        return discord.Webhook.partial(job.route.application_id, token, client=self._client)


def is_passing(error: discord.HTTPException) -> bool:
    """Whether the same may be taken later."""
    if error.code == TOKEN_EXPIRED:
        return False
    return error.status in NOT_THE_WAYS_FAULT or error.status >= 500


def carries(message: discord.Message, job_id: str, post: Post) -> bool:
    """Whether a message of ours is this job's result: by its files' names, or its small line.

    A prompt cannot forge either: its dashes are escaped, and it never starts a small line. What
    comes late follows a failure with such a line, so that only its files tell it.
    """
    return any(
        f"/easel-{job_id}-" in text or (not post.late and text.endswith(f"job {job_id}"))
        for component in message.components
        for text in strings_of(component.to_dict())
    )


def strings_of(node: object) -> Iterator[str]:
    """Every address and text in a component, as its dictionary has it."""
    if isinstance(node, dict):
        yield from (str(node[key]) for key in ("url", "content") if key in node)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from strings_of(each)
