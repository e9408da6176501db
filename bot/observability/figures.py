"""What the rows add up to at one moment, for the operator's metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.jobs import JobStatus


@dataclass(frozen=True, slots=True)
class Figures:
    """Amounts are thousandths of a credit. The times are None where there is no such job."""

    jobs: Mapping[tuple[JobStatus, str], int]  # by status and model
    oldest_queued: datetime | None  # when it was asked for
    oldest_undelivered: datetime | None  # when it was settled
    held: int  # of jobs of this month that are not settled
    captured: int  # this month, with corrections
    settled: Mapping[str, int]  # what all jobs ever have cost, by model
