"""The messages of a job: its views, with the files that they show."""

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from discord import ui

from bot.catalog import Catalog, ModelSpec
from bot.delivery import NotDelivered, Receipt, Wait
from bot.health import ServiceHealth
from bot.jobs import Job, JobStatus, Picture
from bot.pictures import Mark, NotDecoded, PicturesUnavailable, ReducedCopies, mark_of
from cogs.delivery.uploads import Uploads, prepare, share_of
from cogs.ui.panel import hide_prompt
from cogs.ui.result import failed_view, result_view
from cogs.ui.status import canceled_view, copies_view, status_view, undelivered_view


@dataclass(frozen=True, slots=True)
class Message:
    """The content of a message."""

    view: ui.LayoutView
    uploads: Uploads = field(default_factory=Uploads)
    hidden: bool = False  # without the prompt
    private_view: ui.LayoutView | None = None  # where only the requester reads it

    @property
    def private(self) -> "Message":
        """The same message for a destination that only the requester reads."""
        return self if self.private_view is None else replace(self, view=self.private_view)


class Messages:
    def __init__(self, catalog: Catalog, reduced: ReducedCopies, health: ServiceHealth) -> None:
        self._catalog = catalog
        self._reduced = reduced
        self._health = health

    def status(self, job: Job, wait: Wait) -> ui.LayoutView:
        down = self._health.has_outage(job.provider)
        return status_view(job, self._spec(job), down=down, wait=wait)

    def canceled(self, job: Job, receipt: Receipt) -> ui.LayoutView:
        return canceled_view(job, self._spec(job), _shown_to_all(job, receipt))

    def undelivered(self, job: Job) -> ui.LayoutView:
        return undelivered_view(job)

    async def settled(
        self,
        job: Job,
        pictures: Sequence[Picture],
        receipt: Receipt,
        lent: AsyncExitStack,
        *,
        missing: int,
        limit: int = sys.maxsize,
        instead: str = "",
    ) -> Message:
        """Return the result, with pictures of at most `limit` bytes each, or the failure.

        The files are there until `lent` ends. `instead` replaces the prompt, if Discord refuses the
        prompt. Where others read the message, it does not say what is left by the `receipt`.
        Raises NotDelivered if pictures cannot be read or shrunk now.
        """
        if instead:
            job = hide_prompt(job, instead)
        spec = self._spec(job)
        shown, hidden = _shown_to_all(job, receipt), bool(instead)
        if job.status is JobStatus.FAILED and not job.overdue_at:
            view, private = failed_view(job, spec, shown), failed_view(job, spec, receipt)
            return Message(view, hidden=hidden, private_view=private)
        mark = mark_of(job, spec.title)
        uploads = await self._prepare(job, pictures, limit, lent, mark=mark)
        view = result_view(job, spec, uploads, shown, missing=missing)
        private = result_view(job, spec, uploads, receipt, missing=missing)
        return Message(view, uploads, hidden=hidden, private_view=private)

    async def input_copies(
        self, job: Job, pictures: Sequence[Picture], limit: int, lent: AsyncExitStack
    ) -> Message:
        """Return the private message with unchanged copies of the inputs. Raises NotDelivered.

        The files are there until `lent` ends.
        """
        if any(each.size > share_of(limit, len(pictures)) for each in pictures):
            raise NotDelivered("the input pictures are too large for another upload")
        uploads = await self._prepare(job, pictures, limit, lent, name="input")
        if uploads.shrunk or uploads.left_out or uploads.gone:
            raise NotDelivered("an input picture is missing, or too large for another upload")
        return Message(copies_view(job, self._spec(job), uploads), uploads)

    async def _prepare(
        self,
        job: Job,
        pictures: Sequence[Picture],
        limit: int,
        lent: AsyncExitStack,
        *,
        mark: Mark | None = None,
        name: str = "",
    ) -> Uploads:
        try:
            return await prepare(job, pictures, limit, self._reduced, lent, mark=mark, name=name)
        except PicturesUnavailable as error:
            raise NotDelivered(f"pictures not read: {error.detail}") from error
        except NotDecoded as error:
            raise NotDelivered(f"pictures not shrunk: {error}") from error

    def _spec(self, job: Job) -> ModelSpec:
        return self._catalog.about(job.request.model)


def _shown_to_all(job: Job, receipt: Receipt) -> Receipt:
    """Return the receipt that the first destinations of a job show."""
    return receipt if job.read_alone else replace(receipt, left=None)
