"""The status message: the reply to an interaction, or a message of the bot's own.

The result replaces it, or it ends.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

import discord
from discord import ui

from bot.delivery import NotDelivered, Shown
from bot.jobs import Job
from cogs.delivery import timeouts
from cogs.delivery.error_codes import TOKEN_EXPIRED, UNKNOWN_WEBHOOK, Meaning
from cogs.delivery.errors import (
    DELIVERY_ERRORS,
    failure_of,
    hiding_prompt,
    is_transient,
    meaning_of,
)
from cogs.delivery.fallback import REPLY_AFTER, DestinationName, age_of, waits_for_status
from cogs.delivery.lookup import carries
from cogs.delivery.timeouts import within
from cogs.delivery.uploads import Uploads
from cogs.ui.status import elsewhere_view
from cogs.ui.wording import Ended

log = logging.getLogger(__name__)

ENDED: Mapping[DestinationName, str] = {
    DestinationName.FOLLOW_UP: Ended.FOLLOW_UP,
    DestinationName.PARENT_CHANNEL: Ended.PARENT_CHANNEL,
    DestinationName.DIRECT_MESSAGE: Ended.DIRECT_MESSAGE,
}
NONE: AbstractContextManager[list[discord.File]] = nullcontext([])


class Replies:
    """The replies of one connected client, each by the route of its job."""

    def __init__(self, client: discord.Client, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now

    async def edit(
        self, job: Job, view: ui.LayoutView, uploads: Uploads | None = None
    ) -> discord.Message | None:
        """Edit the reply: by the interaction's token while valid, else as the bot's own message.

        None if the reply cannot be edited any more.
        """
        message_id = job.route.status_message_id
        if message_id is None:
            return None
        nobody = discord.AllowedMentions.none()
        if webhook := self.webhook(job):
            try:
                with uploads.opened() if uploads else NONE as files:
                    return await webhook.edit_message(
                        message_id, view=view, attachments=files, allowed_mentions=nobody
                    )
            except discord.HTTPException as error:
                if not _is_own_message(job, error):
                    raise
        if not job.outlives_token:
            return None
        channel = self._client.get_partial_messageable(job.route.channel_id)
        with uploads.opened() if uploads else NONE as files:
            return await channel.get_partial_message(message_id).edit(
                view=view, attachments=files, allowed_mentions=nobody
            )

    async def edit_text(
        self, job: Job, view: Callable[[Job], ui.LayoutView]
    ) -> discord.Message | None:
        """Edit the reply; without the prompt if Discord refuses the prompt's words."""
        return await hiding_prompt(job, lambda shown: self.edit(shown, view(shown)))

    async def find(self, job: Job) -> Shown | None:
        """Return the reply if the reply shows the result."""
        message_id = job.route.status_message_id
        if message_id is None:
            return None
        channel = self._client.get_partial_messageable(job.route.channel_id)
        message: discord.Message
        if webhook := self.webhook(job):
            try:
                message = await webhook.fetch_message(message_id)
            except DELIVERY_ERRORS as error:
                if not is_transient(error) or not job.outlives_token:
                    raise
                message = await channel.fetch_message(message_id)
        elif job.outlives_token:
            message = await channel.fetch_message(message_id)
        else:
            return None
        return reply_of(job) if carries(message, job) else None

    async def end(self, job: Job, shown: Shown, name: DestinationName | None) -> None:
        """End the status message of a job whose result is the message `shown`.

        A result in the channel replaces the status message; otherwise a text names the place.
        `name` is None if an earlier attempt has shown the result. Raises NotDelivered if Discord
        does not answer now: the status message would report an unfinished job for ever.
        """
        if job.route.status_message_id in {None, shown.message_id}:
            return
        in_channel = name is DestinationName.CHANNEL or (name is None and job.posts_to is not None)
        text = Ended.ELSEWHERE if name is None else ENDED.get(name, Ended.ELSEWHERE)
        try:
            if in_channel:
                await self._delete(job)
            else:
                await self.finish(job, lambda each: elsewhere_view(each, text))
        except DELIVERY_ERRORS as error:
            if self._passes(job, error):
                raise NotDelivered(
                    f"status message not ended: {failure_of(error)}", shown=shown
                ) from error
            log.info("status message not ended: %s", error)

    async def finish(self, job: Job, view: Callable[[Job], ui.LayoutView]) -> bool:
        """Edit the status message for the last time; delete one that cannot be edited.

        Return whether it shows the view. Raises one of DELIVERY_ERRORS if Discord does not answer
        now; after 2 hours, a status message that stays is accepted.
        """
        try:
            async with within(self._client, timeouts.SHOW_TIMEOUT):
                return await self.edit_text(job, view) is not None
        except DELIVERY_ERRORS as error:
            if self._passes(job, error):
                raise
            log.info("status message not edited: %s", error)
        try:
            await self._delete(job)
        except DELIVERY_ERRORS as error:
            if self._passes(job, error):
                raise
            log.info("status message not deleted: %s", error)
        return False

    async def _delete(self, job: Job) -> None:
        message_id = job.route.status_message_id
        if message_id is None:
            return
        async with within(self._client, timeouts.SHOW_TIMEOUT):
            if webhook := self.webhook(job):
                try:
                    await webhook.delete_message(message_id)
                except discord.HTTPException as error:
                    if not _is_own_message(job, error):
                        raise
                else:
                    return
            channel = self._client.get_partial_messageable(job.route.channel_id)
            await channel.get_partial_message(message_id).delete()

    def webhook(self, job: Job) -> discord.Webhook | None:
        token = job.route.token_at(self._now())
        if token is None:
            return None
        webhook = discord.Webhook.partial(job.route.application_id, token, client=self._client)
        # discord.py hands its proxy to the webhooks of interactions alone.
        http = self._client.http
        webhook.proxy, webhook.proxy_auth = http.proxy, http.proxy_auth
        return webhook

    def _passes(self, job: Job, error: Exception) -> bool:
        """Return whether the end of the status message is tried again after an error."""
        meaning = meaning_of(error, DestinationName.REPLY)
        if meaning is Meaning.RETRY_BRIEFLY:
            return age_of(job, self._now()) < REPLY_AFTER
        return meaning is Meaning.RETRY and waits_for_status(job, self._now())


def reply_of(job: Job) -> Shown | None:
    """Return the status message as the one that shows the result."""
    message_id = job.route.status_message_id
    if message_id is None:
        return None
    return Shown(message_id, job.route.channel_id if job.seen_by_others else 0)


def _is_own_message(job: Job, error: discord.HTTPException) -> bool:
    """Return whether the bot can reach its reply without the token that Discord does not know."""
    return error.code in {TOKEN_EXPIRED, UNKNOWN_WEBHOOK} and job.outlives_token
