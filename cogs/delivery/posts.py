"""New messages with results: in channels, in direct messages, and the note that one is there."""

import logging
from collections.abc import Mapping
from typing import Any

import discord

from bot.delivery import Shown
from bot.jobs import Job, Notify
from cogs.delivery import timeouts
from cogs.delivery.errors import DELIVERY_ERRORS
from cogs.delivery.lookup import find_result
from cogs.delivery.messages import Message
from cogs.delivery.rate_limits import Posting
from cogs.delivery.timeouts import within
from cogs.ui.links import message_link
from cogs.ui.panel import panel
from cogs.ui.wording import Result

log = logging.getLogger(__name__)

PostChannel = discord.PartialMessageable | discord.DMChannel


class Posts:
    """The new messages of one connected client."""

    def __init__(self, client: discord.Client, posting: Posting) -> None:
        """`posting` encloses all that may wait for the rate limit of a channel's messages."""
        self._client = client
        self._posting = posting

    async def send(self, channel: PostChannel, job: Job, message: Message) -> Shown:
        """Post a message that pings the requester, unless the requester wants that to be silent.

        The nonce keeps a repeat from doubling the message.
        """
        silent = _is_silent(job, channel)
        pinged = [] if silent else [discord.Object(job.user_id)]
        with message.uploads.opened() as files, self._posting(channel.id):
            sent = await channel.send(
                view=message.view,
                files=files,
                nonce=f"{job.id}-late" if job.overdue_at else job.id,
                silent=silent,
                allowed_mentions=discord.AllowedMentions(
                    everyone=False, roles=False, replied_user=False, users=pinged
                ),
                **_reference(job, channel),
            )
        return Shown(sent.id, channel.id)

    async def find(self, channel: PostChannel, job: Job) -> Shown | None:
        """Return the message of an earlier attempt."""
        with self._posting(channel.id):
            found = await find_result(self._client, channel, job)
        return Shown(found, channel.id) if found else None

    async def send_to_member(self, job: Job, message: Message) -> Shown | None:
        return await self.send(await self._direct_messages(job), job, message.private)

    async def find_in_direct_messages(self, job: Job) -> Shown | None:
        return await self.find(await self._direct_messages(job), job)

    async def tell(self, job: Job, shown: Shown) -> None:
        """Send the requester a link to the result. Tried once: a refusal is the member's choice."""
        if not shown.channel_id:
            return
        link = message_link(job, shown.channel_id, shown.message_id)
        try:
            async with within(self._client, timeouts.QUERY_TIMEOUT):
                channel = await self._direct_messages(job)
                await channel.send(
                    view=panel(Result.POSTED.format(link=link)),
                    nonce=f"{job.id}-late-dm" if job.overdue_at else f"{job.id}-dm",
                    allowed_mentions=discord.AllowedMentions.none(),
                )
        except DELIVERY_ERRORS as error:
            log.info("direct message about a result not sent: %s", error)

    async def _direct_messages(self, job: Job) -> discord.DMChannel:
        user = await self._client.fetch_user(job.user_id)
        return user.dm_channel or await user.create_dm()


def wants_link(job: Job) -> bool:
    """Return whether the requester gets a direct message about a result that others see."""
    return job.route.notify is Notify.DIRECT and job.route.guild_id is not None


def _is_silent(job: Job, channel: PostChannel) -> bool:
    if job.route.notify is Notify.DIRECT:
        return wants_link(job) and not isinstance(channel, discord.DMChannel)
    return job.route.notify is Notify.SILENT


def _reference(job: Job, channel: PostChannel) -> Mapping[str, Any]:
    """Return the argument by which a result replies; none outside the channel of that message."""
    if job.route.reply_to_id is None or channel.id != job.route.channel_id:
        return {}
    reference = discord.MessageReference(
        message_id=job.route.reply_to_id, channel_id=channel.id, fail_if_not_exists=False
    )
    return {"reference": reference}
