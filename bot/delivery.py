"""The Delivery protocol: how the worker reaches the people who requested a job."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from bot.errors import EaselError
from bot.jobs import Job, Picture


@dataclass(frozen=True, slots=True)
class Shown:
    """The message that shows a result.

    `channel_id` is 0 if only the requester sees the message; None for one of an older version.
    """

    message_id: int
    channel_id: int | None


class NotDelivered(EaselError):
    """A transient failure: retry, `retry_after` seconds from now at the earliest.

    `shown` is the message that has the result already, if only the status message is left.
    """

    def __init__(
        self, reason: str, retry_after: float | None = None, *, shown: Shown | None = None
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.shown = shown


class InputsGone(NotDelivered):
    """A picture that a message had is not there any more: no retry can help."""


class ReplyUnknown(EaselError):
    """The reply to a request cannot be found any more: its outcome stays unknown."""


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """No destination is left: the result waits in `/history`.

    `reason` is for the member: sentences without the last full stop.
    """

    reason: str = ""


PLACES = 10  # in the queue that are shown; the next one stands for all behind


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual time of a job: the median and the 90th percentile of others."""

    median: timedelta
    most: timedelta


@dataclass(frozen=True, slots=True)
class Wait:
    """The knowledge about the wait for a job, beside its state.

    `place` is that in the queue, from 1, and PLACES + 1 for all places behind; `usual` belongs to a
    running job.
    """

    place: int | None = None
    usual: Usual | None = None


UNKNOWN = Wait()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The credits of the requester when a settled job is delivered, in thousandths.

    `left` is None without a limit. `reserved` is the part of the price of a failed or canceled job
    that may still be charged. `estimated` is true if a part of an overdue job's cost is.
    """

    left: int | None = None
    reserved: int = 0
    estimated: bool = False


class Delivery(Protocol):
    """Implemented by cogs.delivery for Discord."""

    async def show(self, job: Job, wait: Wait = UNKNOWN) -> bool:
        """Edit the status message to show the job's state. Best effort: never raises.

        Return False if Discord did not answer, a refusal being an answer, or if the edit gave way
        to other requests.
        """

    async def copy_inputs(self, job: Job, pictures: Sequence[Picture]) -> Sequence[str]:
        """Return fresh addresses of a job's input pictures, in the order of the pictures.

        Copies are uploaded where only the member sees them; pictures of messages are read again
        from their messages. Raises NotDelivered if that is impossible now, or at all.
        """

    async def find_reply(self, job: Job) -> int | None:
        """Return the id of the status message; None if there is surely none.

        Raises NotDelivered while Discord cannot be queried, ReplyUnknown if Discord no longer
        reports the reply.
        """

    async def remove(self, job: Job) -> None:
        """Delete the messages of a settled job, as far as the bot may.

        What only the requester sees, and no token reaches any more, stays. Raises NotDelivered if
        Discord does not answer now.
        """

    def limited_channels(self) -> Mapping[int, float]:
        """Return the channels in which a message would wait for a rate limit, with the seconds."""

    async def deliver(
        self,
        job: Job,
        pictures: Sequence[Picture],
        *,
        missing: int,
        again: bool,
        waits: Callable[[], None],
        receipt: Receipt,
    ) -> Shown | Undeliverable:
        """Show a settled job by its route; return the message, or Undeliverable.

        With `again`, an earlier attempt may have succeeded: the message is searched for first. If
        the job has a `result_message_id`, only the status message is left to be ended.
        `missing` pictures were requested and not made. `waits` is called when a rate limit of the
        channel begins to hold the delivery back. Raises NotDelivered.
        """
