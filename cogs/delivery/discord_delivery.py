"""DiscordDelivery: jobs shown in Discord, by their routes."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial

import discord

from bot.delivery import UNKNOWN, NotDelivered, Receipt, Shown, Undeliverable, Wait
from bot.jobs import Job, JobStatus, Picture
from bot.observability.metrics import Metrics
from bot.rest_pace import GaveWay, Rank, ranked
from cogs._replies import REFUSED, UNKNOWN_OUTCOME, UNREADABLE
from cogs.delivery import timeouts
from cogs.delivery.attachments import read_addresses
from cogs.delivery.destinations import Destinations
from cogs.delivery.errors import is_transient, raising_not_delivered
from cogs.delivery.fallback import Attempts, DestinationName
from cogs.delivery.follow_up import follow_up
from cogs.delivery.lookup import find_reply, search_reply, strings_of
from cogs.delivery.messages import Message, Messages
from cogs.delivery.notices import Notices
from cogs.delivery.rate_limits import RateLimits
from cogs.delivery.refusals import Filtered, TooLarge
from cogs.delivery.removal import remove_messages
from cogs.delivery.reply import Replies, reply_of

log = logging.getLogger(__name__)

REMEMBERED = 1000  # jobs whose attempts are known, those with the newest ones
UNKNOWN_SERVER_LIMIT = 10 * 1024 * 1024  # bytes; that of a server without boosts


class DiscordDelivery:
    """bot.delivery.Delivery on the client that is logged in at the moment."""

    def __init__(self, messages: Messages, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self._messages = messages
        self._metrics = metrics
        self._now = now
        self._limits = RateLimits()
        self._client: discord.Client | None = None
        self._attempts: dict[str, Attempts] = {}
        # Jobs whose status message an unconfirmed edit may still change.
        self._stray_edits: set[str] = set()

    def attach(self, client: discord.Client) -> None:
        """Use this client, before it logs in, from now on."""
        self._client = client
        if client.http.http_trace is not None:
            self._limits.add_to(client.http.http_trace)

    async def show(self, job: Job, wait: Wait = UNKNOWN) -> bool:
        if job.route.status_message_id is None:
            return True
        view = partial(self._messages.status, wait=wait)
        try:
            with ranked(Rank.STATUS):
                async with timeouts.within(self._connected(), timeouts.SHOW_TIMEOUT):
                    await self._replies().edit_text(job, view)
        except GaveWay as error:
            log.debug("status message not edited: %s", error)
            return False
        except (*UNKNOWN_OUTCOME, *UNREADABLE) as error:
            self._stray_edits.add(job.id)
            log.info("edit of a status message unconfirmed: %r", error)
            return False
        except (*REFUSED, NotDelivered) as error:
            log.info("status message not edited: %s", error)
            return not is_transient(error)
        return True

    async def copy_inputs(self, job: Job, pictures: Sequence[Picture]) -> Sequence[str]:
        if job.of_message:
            return await read_addresses(self._connected(), job)
        async with AsyncExitStack() as lent:
            limit = self._upload_limit(job)
            copies = await self._messages.input_copies(job, pictures, limit, lent)
            return await self._copy_inputs(job, pictures, copies)

    async def _copy_inputs(
        self, job: Job, pictures: Sequence[Picture], copies: Message
    ) -> Sequence[str]:
        token, client = job.route.token_at(self._now()), self._connected()
        if token is None:
            raise NotDelivered("no private message is possible any more")
        with raising_not_delivered(unreadable=True):
            async with timeouts.within(client, timeouts.send_timeout(copies.uploads.total)):
                message = await follow_up(client, job, token, copies)
            found = [
                text
                for text in strings_of(message["components"])
                if text.startswith(("https://", "http://")) and f"/easel-{job.id}-input-" in text
            ]
        if len(found) != len(pictures):
            raise NotDelivered("the copies of the inputs have no addresses")
        return found

    async def find_reply(self, job: Job) -> int | None:
        token = job.route.token_at(self._now())
        client = self._connected()
        with raising_not_delivered(unreadable=True):
            async with timeouts.within(client, timeouts.QUERY_TIMEOUT):
                if token is None:
                    return await search_reply(client, job)
                return await find_reply(client, job, token, self._now())

    async def remove(self, job: Job) -> None:
        with raising_not_delivered(unreadable=True):
            await remove_messages(self._connected(), job)

    def limited_channels(self) -> Mapping[int, float]:
        return self._limits.channels()

    async def deliver(
        self,
        job: Job,
        pictures: Sequence[Picture],
        *,
        missing: int,
        again: bool,
        waits: Callable[[], None],
        receipt: Receipt,
    ) -> Shown | Undeliverable:
        with ranked(Rank.RESULT):
            return await self._deliver(job, pictures, receipt, waits, missing=missing, again=again)

    async def _deliver(
        self,
        job: Job,
        pictures: Sequence[Picture],
        receipt: Receipt,
        waits: Callable[[], None],
        *,
        missing: int,
        again: bool,
    ) -> Shown | Undeliverable:
        attempts = self._attempts_of(job, again=again)
        posting = partial(self._limits.posting, waits=waits)
        destinations = Destinations(self._connected(), self._now, self._metrics.delivered, posting)
        if job.result_message_id is not None:
            shown_before = Shown(job.result_message_id, job.result_channel_id)
            return await self._end_status(job, shown_before)
        with raising_not_delivered():
            shown = await destinations.attempt(
                job,
                attempts,
                self._show_settled(
                    *(destinations, job, pictures, receipt), missing=missing, attempts=attempts
                ),
            )
            if isinstance(shown, Undeliverable) and job.status is not JobStatus.CANCELED:
                await Notices(self._connected(), self._now, self._messages).send(job, attempts)
        if isinstance(shown, Undeliverable):
            self._metrics.delivered("undeliverable")
        self._attempts.pop(job.id, None)
        if job.id in self._stray_edits:
            self._stray_edits.discard(job.id)
            if isinstance(shown, Shown) and shown.message_id == job.route.status_message_id:
                # After 20 s, a cancelled edit has arrived or never will.
                raise NotDelivered("an earlier edit of the same message may still arrive", 20.0)
            if isinstance(shown, Shown) and job.posts_to is None:  # the status message is a text
                raise NotDelivered("an earlier edit may still arrive", 20.0, shown=shown)
        return shown

    def _attempts_of(self, job: Job, *, again: bool) -> Attempts:
        """Return the attempts that are known here; another process may have made some of them."""
        known = self._attempts.pop(job.id, None) if again else None
        attempts = self._attempts[job.id] = known or Attempts()
        attempts.earlier_run |= again and attempts.number != job.delivery_attempts - 1
        attempts.number = job.delivery_attempts
        if len(self._attempts) > REMEMBERED:  # others may have been delivered by other processes
            del self._attempts[next(iter(self._attempts))]
        return attempts

    async def _end_status(self, job: Job, shown: Shown) -> Shown:
        """End the status message of a job that an earlier attempt has shown."""
        self._attempts.pop(job.id, None)
        await self._replies().end(job, shown, None)
        return shown

    async def _show_settled(
        self,
        destinations: Destinations,
        job: Job,
        pictures: Sequence[Picture],
        receipt: Receipt,
        *,
        missing: int,
        attempts: Attempts,
    ) -> Shown | Undeliverable:
        if job.status is JobStatus.CANCELED:
            return await self._show_canceled(job, receipt)
        limit = min(self._upload_limit(job), attempts.limit or sys.maxsize)
        while True:
            async with AsyncExitStack() as lent:
                instead = attempts.instead
                message = await self._messages.settled(
                    *(job, pictures, receipt, lent), missing=missing, limit=limit, instead=instead
                )
                try:
                    return await destinations.post(job, message, attempts)
                except TooLarge:
                    limit = message.uploads.largest // 2
                    log.info("upload too large, shrinking to %s bytes", limit)
                except Filtered:
                    log.info("Discord refuses the words of the prompt, hiding them")

    async def _show_canceled(self, job: Job, receipt: Receipt) -> Shown | Undeliverable:
        """Let the status message show the cancel; nothing pings: the member requested it."""
        shown = reply_of(job)
        view = partial(self._messages.canceled, receipt=receipt)
        if shown is None or not await self._replies().finish(job, view):
            return Undeliverable()
        self._metrics.delivered(DestinationName.REPLY)
        return shown

    def _upload_limit(self, job: Job) -> int:
        """Return the limit of the request, which a client without a gateway cannot know.

        Jobs of older versions have none stored.
        """
        if job.route.upload_limit is not None:
            return job.route.upload_limit
        guild = self._connected().get_guild(job.route.account_server_id)
        return guild.filesize_limit if guild else UNKNOWN_SERVER_LIMIT

    def _replies(self) -> Replies:
        return Replies(self._connected(), self._now)

    def _connected(self) -> discord.Client:
        """Return the client, which is logged in: with a gateway or without."""
        if self._client is None or self._client.user is None or self._client.is_closed():
            raise NotDelivered("not logged in to Discord")
        return self._client
