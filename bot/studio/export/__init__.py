"""Exports of members' data: one of a member at a time, with a time between two."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from bot.errors import NotNow, UserError
from bot.services import Services
from bot.store.exporting import MemberRows
from bot.studio.export.collect import Bounds, Export, ExportNotWritten, Part

__all__ = ["Bounds", "Exports", "Part"]

log = logging.getLogger(__name__)

AT_ONCE = 2  # exports, of all members
COOLDOWN = timedelta(minutes=10)
MOST_FILES = 40
SPARE_BYTES = 256 * 1024 * 1024  # of the disk, beside the file that is written


class ExportRunning(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Your data is being sent already. Wait for the last file before you export again."
        )


class ExportedJustNow(UserError):
    def __init__(self, possible_at: datetime) -> None:
        super().__init__(
            "Your data can be exported once in {minutes} minutes. Try again <t:{time}:R>.",
            minutes=COOLDOWN // timedelta(minutes=1),
            time=math.ceil(possible_at.timestamp()),
        )


class TooManyExports(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The data of other members is being sent at the moment. Try again in a few minutes."
        )


class NothingStored(UserError):
    def __init__(self) -> None:
        super().__init__("This bot has stored nothing about you, so there is nothing to export.")


class Exports:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._pictures = services.pictures
        self._now = services.now
        self._running: set[int] = set()  # members
        self._ended: dict[int, datetime] = {}  # the last export of a member

    @asynccontextmanager
    async def of(self, user_id: int, bounds: Bounds) -> AsyncIterator[AsyncIterator[Part]]:
        """Yield the ZIP files with a member's data, to be sent one after the other.

        Raises ExportRunning, ExportedJustNow, TooManyExports or NothingStored. The iterator raises
        NotNow if something cannot be read or written; the member may try again at once then.
        """
        with self._reserved(user_id):
            rows = MemberRows(self._database, user_id)
            if not await rows.exist():
                raise NothingStored
            export = Export(rows, self._pictures, bounds, self._now(), self._new_file)
            async with aclosing(export.parts()) as parts:
                try:
                    yield parts
                except ExportNotWritten as error:
                    log.error("export of a member's data not written: %s", error.detail)
                    raise

    @contextmanager
    def _reserved(self, user_id: int) -> Iterator[None]:
        now = self._now()
        self._ended = {each: at for each, at in self._ended.items() if now - at < COOLDOWN}
        if user_id in self._running:
            raise ExportRunning
        if user_id in self._ended:
            raise ExportedJustNow(self._ended[user_id] + COOLDOWN)
        if len(self._running) >= AT_ONCE:
            raise TooManyExports
        self._running.add(user_id)
        again = False
        try:
            yield
        except NotNow:
            again = True
            raise
        finally:
            self._running.discard(user_id)
            if not again:
                self._ended[user_id] = self._now()

    @asynccontextmanager
    async def _new_file(self) -> AsyncIterator[Path]:
        """Lend an empty file beside the pictures; a start removes one that a kill has left."""
        free = await asyncio.to_thread(self._pictures.free_bytes)
        if free < SPARE_BYTES:
            raise ExportNotWritten(f"the disk has {free // 1_000_000} MB left")
        async with self._pictures.arriving() as path:
            yield path
