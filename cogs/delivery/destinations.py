"""The destinations of a result: tried in the order of the job's route until one accepts it.

The mechanism of a delivery: `Destinations.attempt` is one attempt, `post` searches and tries the
destinations. `fallback` decides when a destination is searched or left.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime

import discord
from discord import ui

from bot.delivery import Undeliverable
from bot.jobs import Job, Route
from cogs._replies import REFUSED, UNKNOWN_OUTCOME
from cogs.delivery import timeouts
from cogs.delivery.errors import DELIVERY_ERRORS, is_too_large, is_transient, message_of
from cogs.delivery.fallback import Attempts, DestinationName
from cogs.delivery.lookup import carries, find_result
from cogs.delivery.messages import Message
from cogs.delivery.rate_limits import Posting
from cogs.delivery.timeouts import within
from cogs.delivery.uploads import Uploads
from cogs.ui.wording import Refusal

log = logging.getLogger(__name__)

PostChannel = discord.PartialMessageable | discord.DMChannel

# As members read them, if no destination takes the result.
REFUSALS = {
    DestinationName.CHANNEL: Refusal.CHANNEL,
    DestinationName.REPLY: Refusal.REPLY,
    DestinationName.PARENT_CHANNEL: Refusal.PARENT_CHANNEL,
    DestinationName.DIRECT_MESSAGE: Refusal.DIRECT_MESSAGE,
}


class TooLarge(Exception):
    """Discord accepts less than its documented limit, as after earlier changes of the limits."""


class Refused(Exception):
    """Discord refuses this destination permanently; the text is for the member."""


class FallBack(Exception):
    """The destination has failed for so long that the next one is tried."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Destination:
    """A channel, a reply or direct messages that can show a result.

    `send` returns None if the destination does not exist any more; `find` returns the message of an
    earlier attempt, or None.
    """

    name: DestinationName
    send: Callable[[Job, Message], Awaitable[int | None]]
    find: Callable[[Job], Awaitable[int | None]]


class Destinations:
    """The destinations of one connected client."""

    def __init__(
        self,
        client: discord.Client,
        now: Callable[[], datetime],
        delivered: Callable[[str], None],
        posting: Posting,
    ) -> None:
        """`delivered` is called with the name of the destination that has the result.

        `posting` encloses all that may wait for the rate limit of a channel's messages.
        """
        self._client = client
        self._now = now
        self._delivered = delivered
        self._posting = posting

    async def attempt(
        self, job: Job, attempts: Attempts, shown: Awaitable[int | Undeliverable]
    ) -> int | Undeliverable:
        """Await one attempt; count its transient failure, and abandon the delivery after a day.

        Raises one of DELIVERY_ERRORS: retry later.
        """
        try:
            return await shown
        except DELIVERY_ERRORS as error:
            works = await self._discord_works(job)
            attempts.count_failure(self._now(), discord_works=works)
            if not attempts.is_over(job, self._now()):
                raise
            log.warning("delivery abandoned after 24 h; result stays in /history: %r", error)
            return Undeliverable(Refusal.ABANDONED)

    async def _discord_works(self, job: Job) -> bool:
        """Return whether Discord answers a request that has nothing to do with a delivery."""
        if self._client.is_closed():
            return False
        try:
            async with within(self._client, timeouts.QUERY_TIMEOUT):
                await self._client.fetch_user(job.user_id)
        except DELIVERY_ERRORS as error:
            return not is_transient(error)
        return True

    async def post(self, job: Job, message: Message, attempts: Attempts) -> int | Undeliverable:
        """Search for the message of an earlier attempt, then try the destinations in order.

        Raises TooLarge, or one of DELIVERY_ERRORS: retry later.
        """
        destinations, now = self._of(job.route), self._now()
        searched = [each for each in destinations if attempts.searches_first(each.name, job, now)]
        for each in searched:
            if message_id := await self._find(each, job):
                return await self._posted(each, job, message_id)
        refusals: list[str] = []
        fallen_back: FallBack | None = None
        for each in destinations:
            try:
                message_id = None
                if each not in searched and attempts.searches(each.name):
                    message_id = await self._find(each, job)
                if message_id is None:
                    message_id = await self._try(each, job, message, attempts)
            except Refused as refused:
                refusals.append(str(refused))
            except FallBack as error:
                fallen_back = fallen_back or error
            else:
                if message_id is not None:
                    return await self._posted(each, job, message_id)
        if fallen_back is not None:
            raise fallen_back.error
        log.warning("undeliverable: every destination refused the result")
        return Undeliverable(". ".join(refusals))

    async def _try(
        self, destination: Destination, job: Job, message: Message, attempts: Attempts
    ) -> int | None:
        """Post the message; FallBack only if the destination surely does not have the result."""
        name, began = destination.name, time.monotonic()
        try:
            async with within(self._client, timeouts.send_timeout(message.uploads.total)):
                return await destination.send(job, message)
        except DELIVERY_ERRORS as error:
            if not is_transient(error):
                # discord.py repeats a post a second after a 5xx: a refusal after that time may be
                # the repeat's, while the first post succeeded.
                repeated = time.monotonic() - began >= 1.0
                found = await self._find_repeated(destination, job, attempts) if repeated else None
                if found:
                    return found
                raise _permanent(name, message, error) from error
            attempts.unknown.add(name)
            if isinstance(error, TimeoutError):
                attempts.upload_less(message.uploads.largest)
            if not attempts.may_fall_back(name, job, self._now()):
                raise
            if found := await self._find(destination, job):
                return found
            log.warning("destination %s keeps failing, falling back: %r", name, error)
            raise FallBack(error) from error

    async def _find_repeated(
        self, destination: Destination, job: Job, attempts: Attempts
    ) -> int | None:
        """Search for the first post: discord.py has sent the message twice."""
        attempts.unknown.add(destination.name)  # also if the search fails
        found = await self._find(destination, job)
        if not found:
            attempts.unknown.discard(destination.name)
        return found

    async def _find(self, destination: Destination, job: Job) -> int | None:
        """Search the destination; raises if the search itself fails transiently."""
        try:
            async with within(self._client, timeouts.QUERY_TIMEOUT):
                return await destination.find(job)
        except discord.HTTPException as error:
            if is_transient(error):
                raise
            log.info("destination %s cannot be searched: %s", destination.name, error)
            return None

    async def _posted(self, destination: Destination, job: Job, message_id: int) -> int:
        self._delivered(destination.name)
        if destination.name == DestinationName.CHANNEL:
            await self._delete_status(job)
        return message_id

    def _of(self, route: Route) -> list[Destination]:
        """Return the destinations of a route, in their order."""
        reply = Destination(DestinationName.REPLY, self._edit_reply, self._find_in_reply)
        member = Destination(
            DestinationName.DIRECT_MESSAGE, self._send_to_member, self._find_in_direct_messages
        )
        if route.private:
            return [reply, member]
        destinations = [reply]
        if route.postable:
            destinations.insert(0, self._channel(DestinationName.CHANNEL, route.channel_id))
        if route.parent_id is not None:  # of a public thread, which may be locked by now
            destinations.append(self._channel(DestinationName.PARENT_CHANNEL, route.parent_id))
        return [*destinations, member]

    def _channel(self, name: DestinationName, channel_id: int) -> Destination:
        channel = self._client.get_partial_messageable(channel_id)

        async def send(job: Job, message: Message) -> int:
            return await self._send(channel, job, message)

        async def find(job: Job) -> int | None:
            return await self._find_result(channel, job)

        return Destination(name, send, find)

    async def edit_reply(
        self, job: Job, view: ui.LayoutView, uploads: Uploads | None = None
    ) -> discord.Message | None:
        """Edit the reply: by the interaction's token while valid, else as the bot's own message.

        None if the reply cannot be edited any more.
        """
        message_id = job.route.status_message_id
        if message_id is None:
            return None
        nobody = discord.AllowedMentions.none()
        webhook = self._webhook(job)
        if webhook is None and not job.route.outlives_token:
            return None
        none: AbstractContextManager[list[discord.File]] = nullcontext([])
        with uploads.opened() if uploads else none as files:
            if webhook is not None:
                return await webhook.edit_message(
                    message_id, view=view, attachments=files, allowed_mentions=nobody
                )
            channel = self._client.get_partial_messageable(job.route.channel_id)
            return await channel.get_partial_message(message_id).edit(
                view=view, attachments=files, allowed_mentions=nobody
            )

    async def _edit_reply(self, job: Job, message: Message) -> int | None:
        edited = await self.edit_reply(job, message.view, message.uploads)
        return edited.id if edited else None

    async def _find_in_reply(self, job: Job) -> int | None:
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

    async def _send_to_member(self, job: Job, message: Message) -> int | None:
        return await self._send(await self._direct_messages(job), job, message)

    async def _find_in_direct_messages(self, job: Job) -> int | None:
        return await self._find_result(await self._direct_messages(job), job)

    async def _direct_messages(self, job: Job) -> discord.DMChannel:
        user = await self._client.fetch_user(job.user_id)
        return user.dm_channel or await user.create_dm()

    async def _find_result(self, channel: PostChannel, job: Job) -> int | None:
        with self._posting(channel.id):
            return await find_result(self._client, channel, job)

    async def _send(self, channel: PostChannel, job: Job, message: Message) -> int:
        """Post a message that pings the requester; the nonce keeps a repeat from doubling it."""
        only = [discord.Object(job.user_id)]
        with message.uploads.opened() as files, self._posting(channel.id):
            sent = await channel.send(
                view=message.view,
                files=files,
                nonce=f"{job.id}-late" if job.overdue_at else job.id,
                allowed_mentions=discord.AllowedMentions(
                    everyone=False, roles=False, replied_user=False, users=only
                ),
            )
        return sent.id

    async def _delete_status(self, job: Job) -> None:
        """Delete the status message: the channel has the result. One that stays is only untidy."""
        message_id = job.route.status_message_id
        if message_id is None:
            return
        try:
            async with within(self._client, timeouts.SHOW_TIMEOUT):
                if webhook := self._webhook(job):
                    await webhook.delete_message(message_id)
                else:
                    channel = self._client.get_partial_messageable(job.route.channel_id)
                    await channel.get_partial_message(message_id).delete()
        except (*REFUSED, *UNKNOWN_OUTCOME) as error:
            log.info("status message not deleted: %s", error)

    def _webhook(self, job: Job) -> discord.Webhook | None:
        token = job.route.token_at(self._now())
        if token is None:
            return None
        return discord.Webhook.partial(job.route.application_id, token, client=self._client)


def _permanent(name: DestinationName, message: Message, error: Exception) -> TooLarge | Refused:
    """Return the exception for a permanent failure of a destination."""
    # A smaller upload is not refused for its size.
    if is_too_large(error) and message.uploads.largest > 16 * 1024:
        return TooLarge()
    log.info("destination %s refused: %s", name, error)
    return Refused(REFUSALS[name].format(answer=message_of(error)))
