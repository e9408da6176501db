"""Recipes: the request behind a message or a picture, found by proof, else by the file's own word.

A message is known by its id, a picture by the SHA-256 of its bytes: of a result, or of a reduced
copy. Metadata in a file can be forged, and a file name proves nothing.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bot.errors import ProviderError, UserError
from bot.jobs import Attachment, Job
from bot.pictures.marks import Recipe, recipe_in
from bot.quotas import Member, may_see
from bot.services import Services
from bot.store import jobs, pictures

PICTURES = 4  # of a message that are downloaded
SAME_PICTURE = 25  # jobs whose result has the same bytes
LOOKUPS_AT_ONCE = 2
LOOKUP_TIMEOUT = 60.0  # seconds


class NoRecipe(UserError):
    def __init__(self) -> None:
        super().__init__(
            "No recipe is known for this message. Choose a result of this bot, or a picture that "
            "was saved from one."
        )


class AlreadySearching(UserError):
    def __init__(self) -> None:
        super().__init__("Another recipe is being searched for. Wait for that one, then try again.")


class Recipes:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._downloader = services.downloader
        self._searching: set[int] = set()  # members

    async def of_message(self, member: Member, channel_id: int, message_id: int) -> Job | None:
        """Return the job whose result a message shows, if the member may see the job."""
        async with self._database.reading() as view:
            job = await jobs.of_result_message(view, message_id)
        return job if job is not None and may_see(member, channel_id, job) else None

    async def of_pictures(
        self, member: Member, channel_id: int, attached: Sequence[Attachment]
    ) -> Job | Recipe:
        """Return the job of the first picture that is a result, else the recipe in a file.

        NoRecipe if there is none, or none that the member may see.
        """
        written: Recipe | None = None
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                for each in attached[:PICTURES]:
                    found = await self._of_picture(member, channel_id, each)
                    if isinstance(found, Job):
                        return found
                    written = written or found
        except TimeoutError:
            pass  # a slow download
        if written is None:
            raise NoRecipe
        return written

    @contextmanager
    def searching(self, user_id: int) -> Iterator[None]:
        """Let one search of a member run at once, and LOOKUPS_AT_ONCE of all; AlreadySearching."""
        if user_id in self._searching or len(self._searching) >= LOOKUPS_AT_ONCE:
            raise AlreadySearching
        self._searching.add(user_id)
        try:
            yield
        finally:
            self._searching.discard(user_id)

    async def _of_picture(
        self, member: Member, channel_id: int, attachment: Attachment
    ) -> Job | Recipe | None:
        if attachment.url not in self._downloader.media:  # whatever its sender has written
            return None
        try:
            async with self._downloader.fetched(
                attachment.url, _no_headers, member=member.user_id
            ) as data:
                sha256, recipe = await asyncio.to_thread(_read, data)
        except ProviderError:
            return None
        async with self._database.reading() as view:
            same = await pictures.jobs_of(view, sha256, SAME_PICTURE)
        return next((job for job in same if may_see(member, channel_id, job)), recipe)


def _read(data: bytes) -> tuple[str, Recipe | None]:
    """Return the hash of a file, and the recipe in its metadata. Blocking: call in a thread."""
    return hashlib.sha256(data).hexdigest(), recipe_in(data)


def _no_headers(_: str) -> Mapping[str, str]:
    return {}
