"""The last message about a result that no destination accepts: text, which names /show."""

import logging
from collections.abc import Callable
from datetime import datetime

import discord

from bot.jobs import Job
from cogs.delivery import timeouts
from cogs.delivery.errors import DELIVERY_ERRORS
from cogs.delivery.fallback import Attempts, DestinationName
from cogs.delivery.follow_up import follow_up
from cogs.delivery.messages import Message, Messages
from cogs.delivery.reply import Replies
from cogs.delivery.timeouts import within

log = logging.getLogger(__name__)


class Notices:
    """The notices of one connected client."""

    def __init__(
        self, client: discord.Client, now: Callable[[], datetime], messages: Messages
    ) -> None:
        self._client = client
        self._now = now
        self._messages = messages
        self._replies = Replies(client, now)

    async def send(self, job: Job, attempts: Attempts) -> None:
        """Say where the result waits: in the status message, else to the requester alone.

        Raises one of DELIVERY_ERRORS if the status message cannot be edited now. The other two are
        tried once, where the files were refused and the message was not.
        """
        if await self._replies.finish(job, self._messages.undelivered):
            return
        if await self._follow_up(job, attempts):
            return
        if DestinationName.DIRECT_MESSAGE in attempts.text_accepted:
            await self._write_to_member(job)

    async def _follow_up(self, job: Job, attempts: Attempts) -> bool:
        token = job.route.token_at(self._now())
        if token is None or job.route.status_message_id is None:
            return False
        attempts.followed_up = True
        try:
            async with within(self._client, timeouts.SHOW_TIMEOUT):
                notice = Message(self._messages.undelivered(job))
                await follow_up(self._client, job, token, notice, once=True)
        except DELIVERY_ERRORS as error:
            log.info("notice of an undeliverable result not sent: %s", error)
            return False
        return True

    async def _write_to_member(self, job: Job) -> None:
        try:
            async with within(self._client, timeouts.SHOW_TIMEOUT):
                user = await self._client.fetch_user(job.user_id)
                channel = user.dm_channel or await user.create_dm()
                await channel.send(
                    view=self._messages.undelivered(job),
                    nonce=f"{job.id}-stored",
                    allowed_mentions=discord.AllowedMentions.none(),
                )
        except DELIVERY_ERRORS as error:
            log.info("notice of an undeliverable result not sent: %s", error)
