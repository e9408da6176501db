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
    FOLLOW_UP = "follow_up"  # which only the requester sees
    PARENT_CHANNEL = "parent_channel"
    DIRECT_MESSAGE = "direct_message"


# From the channel to the command's reply, which can be edited for 15 minutes only: sooner if the
# token is about to expire (TOKEN_MARGIN).
REPLY_AFTER = timedelta(minutes=4)
# From any destination to the next: most disturbances of a part of Discord are over by then.
FALL_BACK_AFTER = timedelta(hours=2)
ABANDON_AFTER = timedelta(hours=24)  # undeliverable
# A post with the nonce of an earlier one returns that one, "in the past few minutes".
NONCE_WINDOW = timedelta(minutes=2)
LOOKUP_AFTER = timedelta(minutes=10)  # then a search that keeps failing is given up
WEBHOOK_APPEARS = timedelta(seconds=30)  # after which an unknown webhook does not exist
FAILURES_IN_A_ROW = 3  # fewer may be transient ...
SHORTEST_ROW = timedelta(minutes=4)  # ... and so may a row that began just now
SMALLEST_LIMIT = 512 * 1024  # bytes of a picture: no connection is too slow for these


@dataclass(slots=True)
class Attempts:
    """The attempts to deliver one job, as far as this run of the program knows them."""

    number: int = 0  # of the last one that this run has made
    earlier_run: bool = False  # attempts of which nothing is known, also of other processes
    # The destinations that may have the result, with the times of the first such attempts.
    unknown: dict[DestinationName, datetime] = field(default_factory=dict)
    reply_left: bool = False  # the edit of the reply was refused, or is no longer tried
    followed_up: bool = False  # a follow-up was sent, or may have been
    link_sent: bool = False  # the direct message with a link was sent, or may have been
    webhook_unknown_since: datetime | None = None
    instead: str = ""  # the text in place of a prompt that Discord refuses
    text_accepted: set[DestinationName] = field(default_factory=set)  # only the files were refused
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

    def may_have(self, destination: DestinationName, now: datetime) -> None:
        """Note that a destination may have the result, by an attempt that began now."""
        self.unknown.setdefault(destination, now)

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

    def repeats_safely(self, destination: DestinationName, job: Job, now: datetime) -> bool:
        """Return whether another post to a destination cannot double a result that it may have.

        A reply is edited; a new message has the nonce of the earlier one.
        """
        if destination == DestinationName.REPLY:
            return True
        since = self.unknown.get(destination) or job.delivery_started_at
        return since is not None and now - since < NONCE_WINDOW

    def gives_up_search(self, job: Job, now: datetime) -> bool:
        """Return whether a destination that cannot be searched stays in doubt for good."""
        if self.failures < FAILURES_IN_A_ROW:
            return False
        has_reply = job.route.status_message_id and job.route.token_at(now)
        if has_reply and job.route.token_expires_at - now <= TOKEN_MARGIN:
            return True
        return age_of(job, now) >= LOOKUP_AFTER and self._keeps_failing(now)

    def webhook_may_appear(self, now: datetime) -> bool:
        """Return whether an unknown webhook may appear in the next seconds."""
        self.webhook_unknown_since = self.webhook_unknown_since or now
        return now - self.webhook_unknown_since < WEBHOOK_APPEARS

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


def waits_for_status(job: Job, now: datetime) -> bool:
    """Return whether a status message that cannot be ended now is tried again."""
    return age_of(job, now) < FALL_BACK_AFTER


def age_of(job: Job, now: datetime) -> timedelta:
    """Return the time since the first attempt to deliver a job."""
    return now - (job.delivery_started_at or now)
