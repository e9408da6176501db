"""Short answers to messages, deleted after some seconds."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import discord

from bot import rights
from bot.errors import UserError
from bot.quotas import (
    CooldownLasts,
    NotEnoughCredits,
    OthersPicture,
    ServerBudgetExhausted,
    TooManyJobs,
    TooManyJobsHere,
    TooManyLosses,
)
from bot.studio.results import ResultUnavailable
from cogs.delivery import timeouts
from cogs.delivery.errors import DELIVERY_ERRORS
from cogs.delivery.timeouts import within
from cogs.ui.panel import notice
from cogs.ui.text import sentence
from cogs.ui.wording import Replying

log = logging.getLogger(__name__)

NOTE_SECONDS = 15.0  # that a note stays; a member gets one note in this time
MOST_NOTES = 100  # that wait for their end
REMEMBERED = 1000  # members whose last note is known
CLOSE_SECONDS = 2.0  # for the deletion of all notes, when the program ends

# Everybody reads a note: no rule, and no sums of a member or of the server.
PUBLIC: dict[type[UserError], str] = {
    NotEnoughCredits: Replying.NO_CREDITS,
    ServerBudgetExhausted: Replying.NO_CREDITS,
    TooManyJobs: Replying.TOO_MANY_JOBS,
    TooManyJobsHere: Replying.TOO_MANY_JOBS,
    TooManyLosses: Replying.NEUTRAL,
    CooldownLasts: Replying.NEUTRAL,
    rights.ChannelNotAllowed: Replying.NEUTRAL,
    rights.RoleNotAllowed: Replying.NEUTRAL,
    rights.PicturesNotAllowed: Replying.NEUTRAL,
    rights.TooManyPictures: Replying.NEUTRAL,
    rights.EditNotAllowed: Replying.NEUTRAL,
    rights.PrivateNotAllowed: Replying.NEUTRAL,
    rights.ModelNotAllowed: Replying.NEUTRAL,
    OthersPicture: Replying.NEUTRAL,
    ResultUnavailable: Replying.NEUTRAL,
}


class Refused(UserError):
    """The answer to a reply that makes no job; none if the text is empty."""


class Notes:
    """The notes of one client. At the end of the program they are deleted; after a kill they stay.

    A note names no member and no rule, so that one which stays does no harm.
    """

    def __init__(self, client: discord.Client, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._last: dict[int, datetime] = {}  # the last note of a member, the newest last
        self._waiting: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    async def refuse(self, message: discord.Message, error: UserError) -> None:
        """Answer a message with the reason why it requests nothing, if the reason is harmless."""
        await self.send(message, PUBLIC.get(type(error)) or sentence(error, None))

    async def send(self, message: discord.Message, text: str) -> None:
        """Answer a message, unless the member has just had a note, or too many notes wait."""
        if not text or len(self._waiting) >= MOST_NOTES or self._closing.is_set():
            return
        member, now = message.author.id, self._now()
        last = self._last.pop(member, None)
        recent = last is not None and now - last < timedelta(seconds=NOTE_SECONDS)
        self._last[member] = last if last is not None and recent else now
        if len(self._last) > REMEMBERED:
            del self._last[next(iter(self._last))]
        if recent:
            return
        task = asyncio.create_task(self._show(message, text), name=f"note-{message.id}")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """Delete the notes that wait; those that Discord does not delete in time stay."""
        self._closing.set()
        if not self._waiting:
            return
        _, pending = await asyncio.wait(set(self._waiting), timeout=CLOSE_SECONDS)
        for task in pending:
            task.cancel()

    async def _show(self, message: discord.Message, text: str) -> None:
        try:
            async with within(self._client, timeouts.QUERY_TIMEOUT):
                note = await message.channel.send(
                    view=notice(text),
                    reference=message.to_reference(fail_if_not_exists=False),
                    allowed_mentions=discord.AllowedMentions.none(),
                    silent=True,
                )
            try:
                async with asyncio.timeout(NOTE_SECONDS):
                    await self._closing.wait()
            except TimeoutError:
                pass
            async with within(self._client, timeouts.SHOW_TIMEOUT):
                await note.delete()
        except DELIVERY_ERRORS as error:
            log.info("note not sent or not deleted: %s", error)
