"""The ways by which a message reaches the member of a job, in the order of its route."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import discord
from discord import ui

from bot.delivery import Kept
from bot.jobs import Job, Route
from bot.observability.metrics import Metrics
from cogs._replies import IN_DOUBT, REFUSED
from cogs.delivery.errors import PROBLEMS, is_passing, is_too_large, words_of
from cogs.delivery.fallback import Tried
from cogs.delivery.lookup import carries, find_result
from cogs.delivery.timeouts import within
from cogs.delivery.uploads import Uploads

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
REMOVE_SECONDS = 5.0
SEND_SECONDS = 60.0  # and more, by the size of what is uploaded
UPLOAD_RATE = 128 * 1024  # bytes a second, 1 Mbit/s: a line of no more is not cut short
# After a 5xx discord.py waits for a second and sends it again: what is refused then may have been
# taken before.
REPEATED = 1.0
SMALLEST_UPLOAD = 16 * 1024  # bytes; a refusal of less is not for its size
# As members are told of the ways.
PLACES = {
    "channel": "in the channel",
    "answer": "in my answer",
    "parent": "in the channel of the thread",
    "member": "by direct message",
}
NOBODY = discord.AllowedMentions.none()


class TooLarge(Exception):
    """Discord takes less than it is known to take: its limits have changed before."""


class Closed(Exception):
    """Discord refuses this way for good; the text is its own."""


class PassedOver(Exception):
    """The way has not worked for so long that the next one is tried."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Post:
    """What is to be shown."""

    view: ui.LayoutView
    uploads: Uploads = field(default_factory=Uploads)


@dataclass(frozen=True, slots=True)
class Way:
    """`find` tells what an earlier try left there. None: there is no such way, or nothing."""

    name: str
    send: Callable[[Job, Post], Awaitable[int | None]]
    find: Callable[[Job], Awaitable[int | None]]


class Ways:
    """One connected client's ways at one moment."""

    def __init__(self, client: discord.Client, metrics: Metrics, now: datetime) -> None:
        self._client = client
        self._metrics = metrics
        self._now = now

    async def post(self, job: Job, post: Post, tried: Tried) -> int | Kept:
        """Look where earlier tries may have posted it, then try the ways in order.

        The message's id, or Kept where no way is open. Raises TooLarge, and one of PROBLEMS where
        it is to be tried again.
        """
        ways = self._ways_of(job.route)
        for way in ways:
            if tried.looks_first(way.name, job) and (message_id := await self._find(way, job)):
                return await self._posted(way, job, message_id)
        refusals: list[str] = []
        passed_over: PassedOver | None = None
        for way in ways:
            try:
                message_id = await self._try(way, job, post, tried)
            except Closed as closed:
                refusals.append(str(closed))
            except PassedOver as error:
                passed_over = passed_over or error
            else:
                if message_id is not None:
                    return await self._posted(way, job, message_id)
        if passed_over is not None:
            raise passed_over.error
        log.warning("no way to its member is open; the result is kept")
        return Kept("Discord said: " + "; ".join(refusals))

    async def _try(self, way: Way, job: Job, post: Post, tried: Tried) -> int | None:
        """Raises PassedOver only where the way surely does not have it."""
        looked = tried.looks_first(way.name, job)
        if not looked and tried.looks(way.name) and (found := await self._find(way, job)):
            return found
        began = time.monotonic()
        try:
            async with within(self._client, SEND_SECONDS + post.uploads.total / UPLOAD_RATE):
                return await way.send(job, post)
        except PROBLEMS as error:
            if not is_passing(error):
                if time.monotonic() - began >= REPEATED:
                    tried.doubtful.add(way.name)  # also where it cannot be looked for now
                    if found := await self._find(way, job):
                        return found
                    tried.doubtful.discard(way.name)
                if is_too_large(error) and post.uploads.largest > SMALLEST_UPLOAD:
                    raise TooLarge from error
                log.info("the way to the %s is closed: %s", way.name, error)
                raise Closed(f"{PLACES[way.name]}, “{words_of(error)}”") from error
            tried.doubtful.add(way.name)
            if not tried.may_leave(way.name, job, self._now):
                raise
            if found := await self._find(way, job):
                return found
            log.warning("the way to the %s has not worked for long: %r", way.name, error)
            raise PassedOver(error) from error

    async def _find(self, way: Way, job: Job) -> int | None:
        """Raises where it cannot be told whether something is there."""
        try:
            async with within(self._client, LOOK_SECONDS):
                return await way.find(job)
        except discord.HTTPException as error:
            if is_passing(error):
                raise
            log.info("the %s cannot be searched: %s", way.name, error)
            return None

    async def _posted(self, way: Way, job: Job, message_id: int) -> int:
        self._metrics.delivered(way.name)
        if way.name == "channel":
            await self._remove_status(job)
        return message_id

    def _ways_of(self, route: Route) -> list[Way]:
        """In the order in which they are tried."""
        answer = Way("answer", self._to_answer, self._in_answer)
        member = Way("member", self._to_member, self._in_direct_messages)
        if route.private:
            return [answer, member]
        ways = [answer]
        if route.postable:
            ways.insert(0, self._way_into("channel", route.channel_id))
        if route.parent_id is not None:  # of a public thread, which may take no more messages
            ways.append(self._way_into("parent", route.parent_id))
        return [*ways, member]

    def _way_into(self, name: str, channel_id: int) -> Way:
        channel = self._client.get_partial_messageable(channel_id)

        async def send(job: Job, post: Post) -> int:
            return await self._send_into(channel, job, post)

        async def find(job: Job) -> int | None:
            return await find_result(self._client, channel, job)

        return Way(name, send, find)

    async def edit_answer(
        self, job: Job, view: ui.LayoutView, files: Sequence[discord.File] | None = ()
    ) -> discord.Message | None:
        """By the interaction's token while it lives, else as a message of the bot's own.

        None where the answer can be changed no more. With `files` None, those it has stay.
        """
        message_id = job.route.status_message_id
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

    async def _to_answer(self, job: Job, post: Post) -> int | None:
        message = await self.edit_answer(job, post.view, post.uploads.files())
        return message.id if message else None

    async def _in_answer(self, job: Job) -> int | None:
        message_id = job.route.status_message_id
        if message_id is None:
            return None
        message: discord.Message
        if webhook := self._webhook(job):
            message = await webhook.fetch_message(message_id)
        elif job.route.outlives_token:
            channel = self._client.get_partial_messageable(job.route.channel_id)
            message = await channel.fetch_message(message_id)
        else:
            return None
        return message_id if carries(message, job) else None

    async def _to_member(self, job: Job, post: Post) -> int | None:
        return await self._send_into(await self._direct_messages(job), job, post)

    async def _in_direct_messages(self, job: Job) -> int | None:
        return await find_result(self._client, await self._direct_messages(job), job)

    async def _direct_messages(self, job: Job) -> discord.DMChannel:
        user = await self._client.fetch_user(job.user_id)
        return user.dm_channel or await user.create_dm()

    async def _send_into(self, channel: discord.abc.Messageable, job: Job, post: Post) -> int:
        only = [discord.Object(job.user_id)]
        message = await channel.send(
            view=post.view,
            files=post.uploads.files(),
            nonce=f"{job.id}-late" if job.overdue_at else job.id,
            allowed_mentions=discord.AllowedMentions(
                everyone=False, roles=False, replied_user=False, users=only
            ),
        )
        return message.id

    async def _remove_status(self, job: Job) -> None:
        """The result stands in the channel now; a status that stays is only untidy."""
        message_id = job.route.status_message_id
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
