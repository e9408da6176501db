"""Stored pictures, read and shrunk for an upload within Discord's limits."""

import asyncio
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import discord

from bot.errors import ProviderError
from bot.jobs import Job, Picture
from bot.pictures import shrink

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Uploads:
    """File names with their bytes. One value serves several sends; a discord.File only one."""

    pictures: tuple[tuple[str, bytes], ...] = ()
    shrunk: bool = False
    left_out: int = 0  # pictures that could not be shrunk to the limit
    gone: int = 0  # pictures that retention has removed

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.pictures]

    @property
    def largest(self) -> int:
        """The size of the largest picture, in bytes."""
        return max((len(data) for _, data in self.pictures), default=0)

    @property
    def total(self) -> int:
        """The size of all pictures, in bytes."""
        return sum(len(data) for _, data in self.pictures)

    def files(self) -> list[discord.File]:
        return [discord.File(io.BytesIO(data), filename=name) for name, data in self.pictures]


async def prepare(
    job: Job, pictures: Sequence[tuple[Picture, Path]], limit: int, *, name: str = ""
) -> Uploads:
    """Read the pictures, and shrink those over `limit` bytes; `name` is put into the file names."""
    # Discord accepts 25 MiB in all (docs/internals/discord.md, Limits).
    limit = min(limit, 24 * 1024 * 1024 // max(len(pictures), 1))
    ready: list[tuple[str, bytes]] = []
    shrunk, gone = False, 0
    for position, (picture, path) in enumerate(pictures, start=1):
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            log.info("picture removed by retention: %s", path)
            gone += 1
            continue
        file = file_name(job, position, picture, name=name)
        if len(data) > limit:
            shrunk = True
            try:
                data, kind = await shrink(data, limit)
            except ProviderError as error:
                log.error("picture too large to post: %s (%s)", path, error)
                continue
            file = f"{file.rpartition('.')[0]}.{kind}"
        ready.append((file, data))
    return Uploads(tuple(ready), shrunk, left_out=len(pictures) - len(ready) - gone, gone=gone)


def file_name(job: Job, position: int, picture: Picture, *, name: str = "") -> str:
    """Return an ASCII name with the job's id, by which the result is found in its channel."""
    return f"easel-{job.id}-{name and f'{name}-'}{position}.{picture.kind}"
