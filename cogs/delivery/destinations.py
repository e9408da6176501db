"""The destinations of a result: tried in the order of the job's route until one accepts it.

The mechanism of a delivery: `Destinations.attempt` is one attempt, `post` searches and tries the
destinations. `fallback` decides when a destination is searched or left.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import discord

from bot.delivery import Shown, Undeliverable
from bot.jobs import Job
from cogs.delivery import timeouts
from cogs.delivery.error_codes import Meaning
from cogs.delivery.errors import (
    DELIVERY_ERRORS,
    is_transient,
    may_be_executed,
    meaning_of,
)
from cogs.delivery.fallback import Attempts, DestinationName
from cogs.delivery.follow_up import follow_up
from cogs.delivery.messages import Message
from cogs.delivery.posts import Posts, wants_link
from cogs.delivery.rate_limits import Posting
from cogs.delivery.refusals import Refused, permanent
from cogs.delivery.reply import Replies, reply_of
from cogs.delivery.timeouts import within
from cogs.ui.wording import Refusal

log = logging.getLogger(__name__)


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
    send: Callable[[Job, Message], Awaitable[Shown | None]]
    find: Callable[[Job], Awaitable[Shown | None]]


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
        self._posts = Posts(client, posting)
        self.replies = Replies(client, now)

    async def attempt(
        self, job: Job, attempts: Attempts, shown: Awaitable[Shown | Undeliverable]
    ) -> Shown | Undeliverable:
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

    async def post(self, job: Job, message: Message, attempts: Attempts) -> Shown | Undeliverable:
        """Search for the message of an earlier attempt, then try the destinations in order.

        Raises TooLarge, Filtered, NotDelivered, or one of DELIVERY_ERRORS: retry later.
        """
        destinations, now = self._of(job, attempts), self._now()
        doubts: dict[DestinationName, Exception] = {}  # destinations whose search has failed
        searched = [each for each in destinations if attempts.searches_first(each.name, job, now)]
        for each in searched:
            if found := await self._search(each, job, doubts):
                return await self._posted(each, job, found, attempts, new=False)
        refusals: list[str] = []
        fallen_back: FallBack | None = None
        for each in destinations:
            try:
                shown, new = None, False
                if each not in searched and attempts.searches(each.name):
                    shown = await self._search(each, job, doubts)
                if shown is None:
                    self._check_doubts(each, job, attempts, doubts)
                    shown, new = await self._try(each, job, message, attempts), True
            except Refused as refused:
                refusals.append(str(refused))
                attempts.reply_left |= each.name == DestinationName.REPLY
            except FallBack as error:
                fallen_back = fallen_back or error
            else:
                if shown is not None:
                    return await self._posted(each, job, shown, attempts, new=new)
        if fallen_back is not None:
            raise fallen_back.error
        log.warning("undeliverable: every destination refused the result")
        return Undeliverable(". ".join(dict.fromkeys(refusals)))

    def _check_doubts(
        self,
        destination: Destination,
        job: Job,
        attempts: Attempts,
        doubts: dict[DestinationName, Exception],
    ) -> None:
        """Post nothing that may double a result in a destination that cannot be searched.

        While the search may still succeed, its error is raised: retry later. When it is given up,
        a destination that others see is skipped: a result that only the requester sees twice is
        the smaller error. Raises Refused for a destination that is skipped.
        """
        for name, error in doubts.items():
            if name == destination.name and attempts.repeats_safely(name, job, self._now()):
                continue
            if not attempts.gives_up_search(job, self._now()):
                raise error
            if _others_see(name, job) and _others_see(destination.name, job):
                log.warning("destination %s cannot be searched: %r", name, error)
                raise Refused(Refusal.DOUBTFUL)

    async def _try(
        self, destination: Destination, job: Job, message: Message, attempts: Attempts
    ) -> Shown | None:
        """Post the message; FallBack only if the destination surely does not have the result."""
        name, began, sent_at = destination.name, time.monotonic(), self._now()
        try:
            async with within(self._client, timeouts.send_timeout(message.uploads.total)):
                return await destination.send(job, message)
        except DELIVERY_ERRORS as error:
            meaning = meaning_of(error, name)
            if meaning is Meaning.RETRY_BRIEFLY:
                briefly = attempts.webhook_may_appear(self._now())
                meaning = Meaning.RETRY if briefly else Meaning.NEXT
            # discord.py repeats a post a second after a 5xx: a refusal after that time may be
            # the repeat's, while the first post succeeded.
            repeated = time.monotonic() - began >= 1.0
            if repeated or may_be_executed(error):
                attempts.may_have(name, sent_at)
            if meaning is not Meaning.RETRY:
                found = await self._find_repeated(destination, job, attempts) if repeated else None
                if found:
                    return found
                raise permanent(name, message, error, meaning, attempts) from error
            if isinstance(error, TimeoutError):
                attempts.upload_less(message.uploads.largest)
            if not attempts.may_fall_back(name, job, self._now()):
                raise
            # Surely not executed otherwise, and searched before the post if that was necessary.
            if name in attempts.unknown and (found := await self._find(destination, job)):
                return found
            log.warning("destination %s keeps failing, falling back: %r", name, error)
            raise FallBack(error) from error

    async def _find_repeated(
        self, destination: Destination, job: Job, attempts: Attempts
    ) -> Shown | None:
        """Search for the first post: discord.py has sent the message twice."""
        found = await self._find(destination, job)
        if not found:
            attempts.unknown.pop(destination.name, None)
        return found

    async def _search(
        self, destination: Destination, job: Job, doubts: dict[DestinationName, Exception]
    ) -> Shown | None:
        """Search the destination; if the search fails transiently, note the error in `doubts`."""
        try:
            return await self._find(destination, job)
        except DELIVERY_ERRORS as error:
            doubts[destination.name] = error
            return None

    async def _find(self, destination: Destination, job: Job) -> Shown | None:
        """Search the destination; raises if the search itself fails transiently."""
        try:
            async with within(self._client, timeouts.QUERY_TIMEOUT):
                return await destination.find(job)
        except discord.HTTPException as error:
            if is_transient(error):
                raise
            log.info("destination %s cannot be searched: %s", destination.name, error)
            return None

    async def _posted(
        self,
        destination: Destination,
        job: Job,
        shown: Shown,
        attempts: Attempts,
        *,
        new: bool,
    ) -> Shown:
        """End the delivery. Who wants a link by direct message gets one, and never a second.

        With a message that is not `new`, an earlier run may have sent the link.
        """
        self._delivered(destination.name)
        again = attempts.link_sent or (attempts.earlier_run and not new)
        if wants_link(job) and _others_see(destination.name, job) and not again:
            attempts.link_sent = True
            await self._posts.tell(job, shown)
        await self.replies.end(job, shown, destination.name)
        return shown

    def _of(self, job: Job, attempts: Attempts) -> list[Destination]:
        """Return the destinations of a job, in their order."""
        route = job.route
        reply = Destination(DestinationName.REPLY, self._edit_reply, self.replies.find)
        member = Destination(
            DestinationName.DIRECT_MESSAGE,
            self._posts.send_to_member,
            self._posts.find_in_direct_messages,
        )
        destinations = [reply, self._follow_up(attempts)]
        if not job.seen_by_others:
            return [*destinations, member]
        if route.postable:
            destinations.insert(0, self._channel(DestinationName.CHANNEL, route.channel_id))
        if route.parent_id is not None:  # of a public thread, which may be locked by now
            destinations.append(self._channel(DestinationName.PARENT_CHANNEL, route.parent_id))
        return [*destinations, member]

    def _channel(self, name: DestinationName, channel_id: int) -> Destination:
        channel = self._client.get_partial_messageable(channel_id)

        async def send(job: Job, message: Message) -> Shown:
            return await self._posts.send(channel, job, message)

        async def find(job: Job) -> Shown | None:
            return await self._posts.find(channel, job)

        return Destination(name, send, find)

    def _follow_up(self, attempts: Attempts) -> Destination:
        """Return the private message after a reply that cannot be edited.

        A follow-up is sent once: it has no nonce, and nothing finds it again.
        """

        async def send(job: Job, message: Message) -> Shown | None:
            token = job.route.token_at(self._now())
            if token is None or not attempts.reply_left or attempts.followed_up:
                return None
            try:
                sent = await follow_up(self._client, job, token, message.private, once=True)
                return Shown(int(sent["id"]), 0)
            except DELIVERY_ERRORS as error:
                attempts.followed_up = may_be_executed(error)
                raise

        async def find(_: Job) -> None:
            return None

        return Destination(DestinationName.FOLLOW_UP, send, find)

    async def _edit_reply(self, job: Job, message: Message) -> Shown | None:
        edited = await self.replies.edit(job, message.view, message.uploads)
        return reply_of(job) if edited else None


def _others_see(name: DestinationName, job: Job) -> bool:
    """Return whether other members see a destination."""
    alone = {DestinationName.FOLLOW_UP, DestinationName.DIRECT_MESSAGE}
    return not job.route.private and name not in alone
