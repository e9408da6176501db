"""The policy of a delivery: when to search first, to fall back, and to give up.

Pure. Age counts from the first attempt, which is stored; so a restart changes no decision about
time. A failure counts only while Discord answers other requests: an outage of Discord is no reason
to leave a destination.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.jobs import Job


class Name(StrEnum):
    """The destinations, by the labels of the metrics."""

    CHANNEL = "channel"
    REPLY = "reply"
    PARENT_CHANNEL = "parent_channel"
    DIRECT_MESSAGE = "direct_message"


# From the channel to the command's reply, which can be edited for 15 minutes only ...
REPLY_AFTER = timedelta(minutes=4)
TOKEN_MARGIN = timedelta(minutes=2)  # ... and sooner if the token is about to expire
# From any destination to the next: most disturbances of a part of Discord are over by then.
FALL_BACK_AFTER = timedelta(hours=2)
ABANDON_AFTER = timedelta(hours=24)  # undeliverable
FAILURES = 3  # in a row that show a fault of the destination, and no passing one
SMALLEST_LIMIT = 512 * 1024  # bytes of a picture that no connection is too slow for


@dataclass(slots=True)
class Attempts:
    """The attempts to deliver one job, as far as this run of the program knows them."""

    earlier_run: bool = False  # attempts of which nothing is known
    unknown: set[str] = field(default_factory=set)  # destinations that may have the result
    failures: int = 0  # in a row, while Discord answered another request
    limit: int | None = None  # bytes of one picture, after an upload that took too long

    def searches_first(self, destination: Name, job: Job, now: datetime) -> bool:
        """Return whether to search there before a post to any destination.

        After a restart that is every destination but the direct messages: Discord dislikes many
        of them being opened, and while a job is young they follow only on refusals.
        """
        if destination in self.unknown:
            return True
        is_possible = destination != Name.DIRECT_MESSAGE or age_of(job, now) >= FALL_BACK_AFTER
        return self.earlier_run and is_possible

    def searches(self, destination: Name) -> bool:
        """Return whether to search there before a post to this destination."""
        return destination in self.unknown or self.earlier_run

    def may_fall_back(self, destination: Name, job: Job, now: datetime) -> bool:
        """Return whether the next destination is tried after a transient failure of this one."""
        if self.failures < FAILURES:
            return False
        age = age_of(job, now)
        if destination == Name.CHANNEL and job.route.status_message_id and job.route.token_at(now):
            expiring = job.route.token_expires_at - now <= TOKEN_MARGIN
            return age >= REPLY_AFTER or expiring
        return age >= FALL_BACK_AFTER

    def is_over(self, job: Job, now: datetime) -> bool:
        """Return whether the job is undeliverable."""
        return self.failures >= FAILURES and age_of(job, now) >= ABANDON_AFTER

    def upload_less(self, largest: int) -> None:
        """Halve the next upload; `largest` is the size of the largest picture, in bytes."""
        if largest > SMALLEST_LIMIT:
            self.limit = max(largest // 2, SMALLEST_LIMIT)


def age_of(job: Job, now: datetime) -> timedelta:
    """Return the time since the first attempt to deliver a job."""
    return now - (job.delivery_started_at or now)
