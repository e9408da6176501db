"""The deletion of a member's own data: the question, the request and the progress."""

from dataclasses import dataclass

from bot.errors import UserError
from bot.pseudonym_key import note_key
from bot.services import Services
from bot.store import erasure_requests, members
from bot.store.database import Transaction
from bot.store.erasure_requests import Erasure
from bot.studio.requests import WRITE_LOCK_TIMEOUT


class DeletionUnavailable(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Your data cannot be deleted now, because a key of this bot is missing. Ask the "
            "operator of the bot to restore the key; /privacy says how to reach them."
        )


class NothingStored(UserError):
    def __init__(self) -> None:
        super().__init__("Nothing is stored about you. There is nothing to delete.")


MOST_ACTIVE = 100  # jobs under way that are counted


@dataclass(frozen=True, slots=True)
class Stored:
    """The number of a member's jobs, and of those that are under way."""

    jobs: int
    active: int


class Erasures:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._now = services.now

    async def progress(self, user_id: int) -> Erasure | None:
        """Return the member's deletion that has not ended. DeletionUnavailable."""
        self._check_key()
        async with self._database.reading() as view:
            return await erasure_requests.of_member(view, user_id)

    async def stored(self, user_id: int) -> Stored:
        """Count the jobs that a deletion would erase. NothingStored, DeletionUnavailable."""
        self._check_key()
        now = self._now()
        async with self._database.reading() as view:
            known = await erasure_requests.has_data(view, user_id, now)
            if not known and not await erasure_requests.is_named(view, user_id):
                raise NothingStored
            jobs = await erasure_requests.jobs_left(view, user_id, now)
            active = await members.active_of(view, user_id, MOST_ACTIVE)
        return Stored(jobs, len(active))

    async def request(self, user_id: int, *, with_results: bool) -> Erasure:
        """Request the deletion of everything that is stored now. DeletionUnavailable."""
        pseudonyms, now = self._database.pseudonyms, self._now()

        async def store(tx: Transaction) -> Erasure:
            if pseudonyms is None or not await note_key(tx, pseudonyms):
                raise DeletionUnavailable
            return await erasure_requests.request(tx, user_id, now, with_results=with_results)

        return await self._database.run(store, timeout=WRITE_LOCK_TIMEOUT)

    def _check_key(self) -> None:
        if self._database.pseudonyms is None:
            raise DeletionUnavailable
