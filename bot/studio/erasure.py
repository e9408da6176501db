"""The deletion of a member's own data: what it would concern, the request, and its progress."""

from dataclasses import dataclass

from bot.errors import UserError
from bot.pseudonym_key import note_key
from bot.services import Services
from bot.store import erasure, members
from bot.store.database import Transaction
from bot.store.erasure import Erasure
from bot.studio.requests import WRITE_LOCK_TIMEOUT


class DeletionUnavailable(UserError):
    def __init__(self, contact: str | None) -> None:
        """`contact` is the operator's page for support."""
        super().__init__(
            "Your data cannot be deleted now, because a key of this bot is missing. Ask the "
            f"operator of the bot to restore it{': {contact}' if contact else ''}.",
            **({"contact": contact} if contact else {}),
        )


class NothingStored(UserError):
    def __init__(self) -> None:
        super().__init__("Nothing is stored about you. There is nothing to delete.")


@dataclass(frozen=True, slots=True)
class Stored:
    """What a deletion would concern: the number of jobs, and of those that are under way."""

    jobs: int
    active: int


class Erasures:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._now = services.now
        self._contact = services.policies.support_url

    async def progress(self, user_id: int) -> Erasure | None:
        """Return the member's deletion that has not ended."""
        async with self._database.reading() as view:
            return await erasure.of_member(view, user_id)

    async def stored(self, user_id: int) -> Stored:
        """Return what a deletion would concern. NothingStored, DeletionUnavailable."""
        self._check_key()
        now = self._now()
        async with self._database.reading() as view:
            jobs = await erasure.left(view, Erasure(user_id, now, with_results=False))
            others = await erasure.has_data(view, user_id, now)
            if not others and not await erasure.has_choices(view, user_id):
                raise NothingStored
            active = await members.active_of(view, user_id, MOST_ACTIVE)
        return Stored(jobs, len(active))

    async def request(self, user_id: int, *, with_results: bool) -> Erasure:
        """Request the deletion of everything that is stored by now; return the one under way."""
        self._check_key()
        pseudonyms, now = self._database.pseudonyms, self._now()

        async def store(tx: Transaction) -> Erasure:
            if pseudonyms is None or not await note_key(tx, pseudonyms):
                raise DeletionUnavailable(self._contact)
            return await erasure.request(tx, user_id, now, with_results=with_results)

        return await self._database.run(store, timeout=WRITE_LOCK_TIMEOUT)

    def _check_key(self) -> None:
        if self._database.pseudonyms is None:
            raise DeletionUnavailable(self._contact)


MOST_ACTIVE = 100  # jobs under way that are counted
