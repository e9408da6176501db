"""The menu behind the button *More* of a result: seen, marked, hidden, and traced to its origin."""

from dataclasses import dataclass, replace

from bot.errors import UserError
from bot.jobs import Job, JobStatus, Picture
from bot.quotas import Member, may_see
from bot.services import Services
from bot.store import favourites, jobs, lineage, pictures
from bot.store.database import Connection, Transaction
from bot.store.pictures import Role
from bot.studio.requests import WRITE_LOCK_TIMEOUT
from bot.studio.results import ResultUnavailable

MAX_FAVOURITES = 1000  # of one member
MAX_CHILDREN = 10  # that are listed
CHILDREN_READ = 50  # of which some may be private


class NotEnded(UserError):
    def __init__(self) -> None:
        super().__init__("This job has not ended yet. Press More under its result; see /jobs.")


class NotPosted(UserError):
    def __init__(self) -> None:
        super().__init__("This result is not posted yet. Try again after it is.")


class TooManyFavourites(UserError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            "You have {limit} favourites, and no more are possible. Remove one of them first.",
            limit=limit,
        )


class NotYours(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Only the member who requested this picture, and moderators who may manage messages "
            "here, can do that."
        )


class NotExpanded(UserError):
    def __init__(self) -> None:
        super().__init__("The service has not rewritten this prompt. Use Remix under the result.")


class ExpandedTooLong(UserError):
    def __init__(self, *, length: int, longest: int) -> None:
        super().__init__(
            "The prompt that was drawn has {length} characters, and a request has at most "
            "{longest}. Press Remix under the result, and write a shorter one.",
            length=length,
            longest=longest,
        )


class OriginalsRemoved(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The original pictures are no longer stored. Save the pictures in the result itself."
        )


@dataclass(frozen=True, slots=True)
class Menu:
    """A result as one member sees it.

    `may_change` is true for the requester and for moderators.
    """

    job: Job
    favourite: bool
    may_change: bool

    @property
    def posted(self) -> bool:
        """True if the delivery of the result has ended, with a message or without."""
        return self.job.delivered_at is not None or self.job.result_message_id is not None


@dataclass(frozen=True, slots=True)
class Lineage:
    """The jobs that a job was made from, nearest first, and the newest that were made from it.

    None is an ancestor that the member may not see. `cut` is true if there are further ancestors.
    """

    job: Job
    ancestors: tuple[Job | None, ...]
    children: tuple[Job, ...]
    cut: bool

    @property
    def parent(self) -> Job | None:
        return self.ancestors[0] if self.ancestors else None


class Menus:
    """The use cases of the menu. Each raises ResultUnavailable for a job that may not be seen."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database

    async def see(self, member: Member, channel_id: int, job_id: str) -> Menu:
        """Return the menu of a job that has ended. NotEnded."""
        async with self._database.reading() as view:
            return await self._menu(view, member, channel_id, job_id)

    async def change(self, member: Member, channel_id: int, job_id: str) -> Job:
        """Return a job whose result the member may change: the requester, and moderators.

        Raises NotYours, NotEnded, NotPosted: a result that is deleted too early would be posted.
        """
        menu = await self.see(member, channel_id, job_id)
        if not menu.may_change:
            raise NotYours
        if not menu.posted:
            raise NotPosted
        return menu.job

    async def add_favourite(self, member: Member, channel_id: int, job_id: str) -> Menu:
        """Make a job a favourite of the member. TooManyFavourites.

        On PostgreSQL, presses at the same instant may exceed the limit by their number.
        """

        async def add(tx: Transaction) -> Menu:
            menu = await self._menu(tx, member, channel_id, job_id)
            if not menu.favourite:
                if await favourites.number_of(tx, member.user_id) >= MAX_FAVOURITES:
                    raise TooManyFavourites(MAX_FAVOURITES)
                await favourites.add(tx, member.user_id, job_id, self._services.now())
            return replace(menu, favourite=True)

        return await self._database.run(add, timeout=WRITE_LOCK_TIMEOUT)

    async def remove_favourite(self, member: Member, channel_id: int, job_id: str) -> Menu | None:
        """Remove a favourite; None if the member may not see the job any more."""

        async def remove(tx: Transaction) -> Menu | None:
            await favourites.remove(tx, member.user_id, job_id)
            try:
                return await self._menu(tx, member, channel_id, job_id)
            except ResultUnavailable:
                return None

        return await self._database.run(remove, timeout=WRITE_LOCK_TIMEOUT)

    async def set_spoiler(self, job_id: str, *, spoiler: bool) -> None:
        """Store whether the pictures of the result are hidden until a click."""
        await self._database.run(
            lambda tx: jobs.set_spoiler(tx, job_id, spoiler), timeout=WRITE_LOCK_TIMEOUT
        )

    async def hide(self, job_id: str) -> None:
        """Let nobody but the requester see a job whose result was deleted; the ledger stays."""
        now = self._services.now()
        await self._database.run(lambda tx: jobs.hide(tx, job_id, now), timeout=WRITE_LOCK_TIMEOUT)

    async def originals(self, member: Member, channel_id: int, job_id: str) -> list[Picture]:
        """Return the pictures of a result, whose files may have been removed.

        Raises OriginalsRemoved for a job without any.
        """
        async with self._database.reading() as view:
            await self._menu(view, member, channel_id, job_id)
            found = await pictures.of_job(view, job_id, Role.OUTPUT)
        if not found:
            raise OriginalsRemoved
        return found

    async def lineage(self, member: Member, channel_id: int, job_id: str) -> Lineage:
        """Return what a job was made from, and what was made from it.

        Jobs that the member may not see are None among the ancestors, and left out of the children.
        """
        async with self._database.reading() as view:
            menu = await self._menu(view, member, channel_id, job_id)
            above = await lineage.ancestors(view, job_id)
            below = await lineage.children(view, job_id, CHILDREN_READ)
        made = [each for each in below if _has_result(each) and may_see(member, channel_id, each)]
        return Lineage(
            menu.job,
            tuple(each if may_see(member, channel_id, each) else None for each in above),
            tuple(made[:MAX_CHILDREN]),
            cut=bool(above) and above[-1].source_job_id is not None,
        )

    async def _menu(self, view: Connection, member: Member, channel_id: int, job_id: str) -> Menu:
        job = await jobs.get(view, job_id)
        if job is None or not may_see(member, channel_id, job):
            raise ResultUnavailable
        if not job.status.settled:
            raise NotEnded
        return Menu(
            job,
            await favourites.has(view, member.user_id, job_id),
            may_change=member.user_id == job.user_id or member.may_moderate,
        )


def expanded_prompt(job: Job, longest: int) -> str:
    """Return the prompt that was drawn, for a request of at most `longest` characters.

    Raises NotExpanded, ExpandedTooLong.
    """
    if not job.expanded_prompt:
        raise NotExpanded
    if len(job.expanded_prompt) > longest:
        raise ExpandedTooLong(length=len(job.expanded_prompt), longest=longest)
    return job.expanded_prompt


def _has_result(job: Job) -> bool:
    return job.status is JobStatus.SUCCEEDED or job.overdue_at is not None
