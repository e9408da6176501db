"""What the worker knows of Discord: a job can be shown to the people who asked for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.errors import EaselError
from bot.jobs import Job, Picture


class NotDelivered(EaselError):
    """Discord did not take it now; it is to be tried again, `retry_after` seconds from now."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class AnswerLost(EaselError):
    """Nobody can tell any more whether the request was answered."""


@dataclass(frozen=True, slots=True)
class Kept:
    """No way is open: what was to be delivered is kept for its member to ask for.

    `why` is a sentence for the member, without its full stop.
    """

    why: str = ""


class Delivery(Protocol):
    async def show(self, job: Job) -> None:
        """Make the status message tell the job's state. Best effort: it never raises."""

    async def copy_inputs(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]]
    ) -> Sequence[str]:
        """Upload a job's input pictures to its status message; their addresses, in order.

        Raises NotDelivered where that is not possible now, or not at all.
        """

    async def find_answer(self, job: Job) -> int | None:
        """The id of the message that answered the request, or None where Discord has none.

        Raises NotDelivered while Discord cannot be asked, and AnswerLost where it no longer tells.
        """

    async def deliver(
        self, job: Job, pictures: Sequence[tuple[Picture, Path]], *, missing: int, again: bool
    ) -> int | Kept:
        """Show a settled job by its route, and return the message's id, or that it is kept.

        With `again`, an earlier try may have been taken: what it posted is found, not posted twice.
        `missing` pictures were asked for and not made. Raises NotDelivered.
        """
