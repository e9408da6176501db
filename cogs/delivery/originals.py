"""The original pictures of a job, in as many messages as Discord's limits make necessary."""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bot.jobs import Job, Picture
from bot.pictures import ReducedCopies
from cogs.delivery.uploads import UPLOAD_BYTES, Upload, Uploads, file_name

IN_MESSAGE = 10  # files (discord.md, Limits)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A picture with its number in the job."""

    number: int
    picture: Picture


@dataclass(frozen=True, slots=True)
class Plan:
    """The messages with originals, and the pictures that fit into none."""

    messages: tuple[tuple[Numbered, ...], ...]
    left_out: tuple[Numbered, ...]


def plan(pictures: Sequence[Picture], limit: int, *, most: int) -> Plan:
    """Divide pictures among at most `most` messages, with `limit` bytes for a file."""
    numbered = [Numbered(number, each) for number, each in enumerate(pictures, start=1)]
    limit = min(limit, UPLOAD_BYTES)
    fitting = [each for each in numbered if each.picture.size <= limit]
    messages = list(_messages(fitting))
    sent = {each.number for message in messages[:most] for each in message}
    return Plan(tuple(messages[:most]), tuple(each for each in numbered if each.number not in sent))


def _messages(pictures: Sequence[Numbered]) -> Iterator[tuple[Numbered, ...]]:
    message: list[Numbered] = []
    size = 0
    for each in pictures:
        size += each.picture.size
        if message and (size > UPLOAD_BYTES or len(message) == IN_MESSAGE):
            yield tuple(message)
            message, size = [], each.picture.size
        message.append(each)
    if message:
        yield tuple(message)


async def lend(
    job: Job, pictures: Sequence[Numbered], reduced: ReducedCopies, lent: AsyncExitStack
) -> Uploads:
    """Find the files of the originals, which are there until `lent` ends.

    Raises PicturesUnavailable if nothing can be read now.
    """
    ready: list[Upload] = []
    gone = 0
    for each in pictures:
        picture = each.picture
        try:
            file = await lent.enter_async_context(
                reduced.fit(picture, picture.size, member=job.user_id)
            )
        except FileNotFoundError:
            gone += 1
            continue
        ready.append(Upload(file_name(job, each.number, picture), file.path, file.size))
    return Uploads(tuple(ready), gone=gone)
