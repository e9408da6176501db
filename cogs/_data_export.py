"""The files of `/mydata export` on their way to the member, one after the other."""

import asyncio
import logging
from typing import Any

import discord

from bot.errors import UserError
from bot.jobs import TOKEN_LIFE, TOKEN_MARGIN
from bot.studio import Studio
from bot.studio.export import MOST_FILES, Bounds, Part
from cogs._originals import MOST_FOLLOW_UPS, follow_up
from cogs._replies import reply_privately
from cogs.delivery import timeouts
from cogs.delivery.errors import DELIVERY_ERRORS, is_transient
from cogs.delivery.route import is_present
from cogs.delivery.timeouts import within
from cogs.delivery.uploads import UPLOAD_BYTES, Upload, Uploads
from cogs.ui.data_export import begun_view, part_view, progress_view

log = logging.getLogger(__name__)

Press = discord.Interaction[Any]

DIRECT_BYTES = 10 * 1024 * 1024  # of a file in direct messages
ATTEMPTS = 3  # to send a direct message
PAUSE = 1.0  # seconds after the first attempt, twice as many after the second
MOST_SECONDS = 3600.0  # for all files of an export: few exports run at once


class PartNotSent(UserError):
    def __init__(self, sent: int) -> None:
        super().__init__(
            "Discord did not accept the next file of your data; {sent} were sent before. Use "
            "/mydata export again in ten minutes.",
            sent=sent,
        )


class ReplyEnds(UserError):
    def __init__(self, sent: int) -> None:
        super().__init__(
            "Files can follow here for 15 minutes only, and {sent} of your data were sent. Allow "
            "direct messages from this bot, and use /mydata export again in ten minutes.",
            sent=sent,
        )


async def send_export(interaction: Press, studio: Studio, *, here: bool) -> None:
    """Send a member's data by direct message, or in private follow-ups `here`.

    Refuses before the reply. Raises PartNotSent, ReplyEnds or NotNow after some of the files.
    """
    bounds = Bounds(DIRECT_BYTES, MOST_FILES)
    sending = Sending(interaction, studio, bounds)
    if here:
        bounds.limit = min(interaction.filesize_limit, UPLOAD_BYTES)
        sending.go_on_here(1)
    async with studio.exports.of(interaction.user.id, bounds) as parts:
        await reply_privately(interaction, begun_view(here=here))
        try:
            async with asyncio.timeout(MOST_SECONDS):
                async for part in parts:
                    await sending.send(part)
        except TimeoutError as error:
            raise PartNotSent(sending.sent) from error


class Sending:
    """The messages of one export."""

    def __init__(self, interaction: Press, studio: Studio, bounds: Bounds) -> None:
        self._interaction = interaction
        self._now = studio.now
        self._reply_ends = studio.now() + TOKEN_LIFE - TOKEN_MARGIN
        self._bounds = bounds
        self._here = False
        self._closed = False  # direct messages, as their refusal says
        self.sent = 0

    def go_on_here(self, number: int) -> None:
        """Send the files from this number on as follow-ups.

        Where only the member installed the bot, Discord allows few, and one is for a failure.
        """
        self._here = True
        if not is_present(self._interaction):
            most = number + MOST_FOLLOW_UPS - 2
            self._bounds.most = min(self._bounds.most or most, most)

    async def send(self, part: Part) -> None:
        """Send a file, and show that in the reply."""
        try:
            if not self._here:
                await self._by_direct_message(part)
            if self._here:
                await self._in_follow_up(part)
        except DELIVERY_ERRORS as error:
            log.info("file of an export not sent: %s", type(error).__name__)
            raise PartNotSent(self.sent) from error
        self.sent += 1
        await self._show_progress(part)

    async def _by_direct_message(self, part: Part) -> None:
        """Send a file by direct message; go on here if Discord refuses that.

        With the nonce, Discord makes one message of several attempts. Only the first file notifies
        the member.
        """
        user, client = self._interaction.user, self._interaction.client
        uploads = _uploads(part)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with within(client, timeouts.send_timeout(part.size)):
                    channel = user.dm_channel or await user.create_dm()
                    with uploads.opened() as files:
                        await channel.send(
                            view=part_view(part),
                            files=files,
                            nonce=f"{self._interaction.id}-{part.number}",
                            silent=part.number > 1,
                            allowed_mentions=discord.AllowedMentions.none(),
                        )
                return
            except DELIVERY_ERRORS as error:
                if not is_transient(error):
                    log.info("direct messages are refused, an export goes on in the reply")
                    self._closed = True
                    self.go_on_here(part.number)
                    return
                if attempt == ATTEMPTS:
                    raise
            await asyncio.sleep(PAUSE * attempt)

    async def _in_follow_up(self, part: Part) -> None:
        if self._now() >= self._reply_ends:
            raise ReplyEnds(self.sent)
        await follow_up(self._interaction, part_view(part), _uploads(part))

    async def _show_progress(self, part: Part) -> None:
        """Change the reply, while Discord allows that; the files have arrived in any case."""
        view = progress_view(part, here=self._here, closed=self._closed)
        try:
            async with within(self._interaction.client, timeouts.SHOW_TIMEOUT):
                await self._interaction.edit_original_response(view=view)
        except DELIVERY_ERRORS as error:
            log.info("progress of an export not shown: %s", type(error).__name__)


def _uploads(part: Part) -> Uploads:
    return Uploads((Upload(part.name, part.path, part.size),))
