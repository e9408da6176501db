"""The policy of a delivery: when to search first, to fall back, and to abandon the delivery.

Pure. The age of a delivery is the time since the first attempt. That time is stored, so that the
age survives restarts. A failure counts only while Discord answers other requests, because an
outage of Discord is no reason to leave a destination. A row of failures belongs to one run of the
program and takes some minutes at least: after a long stop, the age alone says nothing about the
destination.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from bot.jobs import TOKEN_MARGIN, Job


class DestinationName(StrEnum):
    """The destinations, by the labels of the metrics."""

    CHANNEL = "channel"
    REPLY = "reply"
    PARENT_CHANNEL = "parent_channel"
    DIRECT_MESSAGE = "direct_message"


# From the channel to the command's reply, which can be edited for 15 minutes only: sooner if the
# token is about to expire (TOKEN_MARGIN).
REPLY_AFTER = timedelta(minutes=4)
# From any destination to the next: most disturbances of a part of Discord are over by then.
FALL_BACK_AFTER = timedelta(hours=2)
ABANDON_AFTER = timedelta(hours=24)  # undeliverable
FAILURES_IN_A_ROW = 3  # fewer may be transient ...
SHORTEST_ROW = timedelta(minutes=4)  # ... and so may a row that began just now
SMALLEST_LIMIT = 512 * 1024  # bytes of a picture: no connection is too slow for these


@dataclass(slots=True)
class Attempts:
    """The attempts to deliver one job, as far as this run of the program knows them."""

    earlier_run: bool = False  # attempts of which nothing is known
    unknown: set[DestinationName] = field(default_factory=set)  # may have the result
    failures: int = 0  # in a row, while Discord answered another request
    failing_since: datetime | None = None  # the first of them
    limit: int | None = None  # bytes of one picture, after an upload that took too long

    def count_failure(self, now: datetime, *, discord_works: bool) -> None:
        """Count a transient failure; one during an outage of Discord ends the row."""
        if discord_works:
            self.failures += 1
            self.failing_since = self.failing_since or now
        else:
            self.failures, self.failing_since = 0, None

    def searches_first(self, destination: DestinationName, job: Job, now: datetime) -> bool:
        """Return whether to search the destination before a post to any other.

        After a restart, every destination is searched first but the direct messages: Discord
        dislikes a bot that opens many of them, and a young delivery reaches them only by refusals.
        """
        if destination in self.unknown:
            return True
        if destination == DestinationName.DIRECT_MESSAGE and age_of(job, now) < FALL_BACK_AFTER:
            return False
        return self.earlier_run

    def searches(self, destination: DestinationName) -> bool:
        """Return whether to search the destination before a post to it."""
        return destination in self.unknown or self.earlier_run

    def may_fall_back(self, destination: DestinationName, job: Job, now: datetime) -> bool:
        """Return whether the next destination is tried after a transient failure of this one."""
        if self.failures < FAILURES_IN_A_ROW:
            return False
        age = age_of(job, now)
        has_reply = job.route.status_message_id and job.route.token_at(now)
        if destination == DestinationName.CHANNEL and has_reply:
            return age >= REPLY_AFTER or job.route.token_expires_at - now <= TOKEN_MARGIN
        return age >= FALL_BACK_AFTER and self._keeps_failing(now)

    def is_over(self, job: Job, now: datetime) -> bool:
        """Return whether the job is undeliverable."""
        return self._keeps_failing(now) and age_of(job, now) >= ABANDON_AFTER

    def _keeps_failing(self, now: datetime) -> bool:
        """Return whether this run has seen enough failures, for long enough."""
        return (
            self.failures >= FAILURES_IN_A_ROW
            and self.failing_since is not None
            and now - self.failing_since >= SHORTEST_ROW
        )

    def upload_less(self, largest: int) -> None:
        """Halve the next upload; `largest` is the size of the largest picture, in bytes."""
        if largest > SMALLEST_LIMIT:
            self.limit = max(largest // 2, SMALLEST_LIMIT)


def age_of(job: Job, now: datetime) -> timedelta:
    """Return the time since the first attempt to deliver a job."""
    return now - (job.delivery_started_at or now)
