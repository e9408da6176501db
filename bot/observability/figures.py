"""Figures: sums over the rows at one moment, for the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.jobs import JobStatus


@dataclass(frozen=True, slots=True)
class Figures:
    """Amounts are thousandths of a credit; the times are None if no job is in that state."""

    jobs: Mapping[tuple[JobStatus, str], int]  # by status and model
    oldest_queued: datetime | None  # the time of its request
    oldest_undelivered: datetime | None  # the time of its settlement
    held: int  # of jobs of this month that are not settled
    captured: int  # this month, with corrections
    settled: Mapping[str, int]  # cost of all jobs ever, by model
