"""Stored pictures, shrunk for an upload within Discord's limits."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import discord

from bot.errors import ProviderError
from bot.jobs import Job, Picture
from bot.pictures import Mark, ReducedCopies

log = logging.getLogger(__name__)

UPLOAD_BYTES = 24 * 1024 * 1024  # Discord accepts 25 MiB in all (docs/internals/discord.md, Limits)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that the store lends; its bytes are read only while they are sent."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Uploads:
    """Files of one message. One value serves several sends; a discord.File only one."""

    pictures: tuple[Upload, ...] = ()
    shrunk: bool = False
    left_out: int = 0  # pictures that could not be shrunk to the limit
    gone: int = 0  # pictures that retention has removed

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.pictures]

    @property
    def largest(self) -> int:
        """The size of the largest picture, in bytes."""
        return max((each.size for each in self.pictures), default=0)

    @property
    def total(self) -> int:
        """The size of all pictures, in bytes."""
        return sum(each.size for each in self.pictures)

    @contextmanager
    def opened(self) -> Iterator[list[discord.File]]:
        """Open the files for one send. They are read while they are sent, part by part."""
        files: list[discord.File] = []
        try:
            files += (discord.File(each.path, filename=each.name) for each in self.pictures)
            yield files
        finally:
            for file in files:
                file.close()


def share_of(limit: int, pictures: int) -> int:
    """Return the bytes that each of so many pictures may have, with `limit` for each file."""
    return min(limit, UPLOAD_BYTES // max(pictures, 1))


async def prepare(
    job: Job,
    pictures: Sequence[Picture],
    limit: int,
    reduced: ReducedCopies,
    lent: AsyncExitStack,
    *,
    mark: Mark | None = None,
    name: str = "",
) -> Uploads:
    """Find the files of the pictures, and shrink those over `limit` bytes.

    The files are there until `lent` ends. `mark` is for the copies of results. `name` is put into
    the file names. Raises NotDecoded if nothing can be shrunk now, PicturesUnavailable if nothing
    can be read now.
    """
    limit = share_of(limit, len(pictures))
    ready: list[Upload] = []
    shrunk, gone = False, 0
    for position, picture in enumerate(pictures, start=1):
        shrunk = shrunk or picture.size > limit
        try:
            fitting = reduced.fit(picture, limit, member=job.user_id, mark=mark)
            file = await lent.enter_async_context(fitting)
        except FileNotFoundError as error:
            log.info("picture removed by retention: %s", error)
            gone += 1
            continue
        except ProviderError as error:
            log.error("picture too large to post: %s (%s)", picture.sha256, error)
            continue
        stem = file_name(job, position, picture, name=name).rpartition(".")[0]
        ready.append(Upload(f"{stem}.{file.kind}", file.path, file.size))
    return Uploads(tuple(ready), shrunk, left_out=len(pictures) - len(ready) - gone, gone=gone)


def file_name(job: Job, position: int, picture: Picture, *, name: str = "") -> str:
    """Return an ASCII name with the job's id, by which the result is found in its channel."""
    return f"easel-{job.id}-{name and f'{name}-'}{position}.{picture.kind}"
