"""The paced queue of polls: every running job has one time, and few are polled at once."""

import heapq
from datetime import datetime, timedelta

# At most 20 polls a second, however many jobs run: commands are answered between them, and the
# APIs are not flooded. Jobs of which a stream reported an end are polled at once.
GAP = timedelta(milliseconds=50)


class PollQueue:
    """Job ids by the time of their next poll; the newest time that was set counts."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []
        self._times: dict[str, datetime] = {}
        self._urgent: dict[str, None] = {}  # in the order of arrival
        self._not_before: datetime | None = None

    def set(self, job_id: str, moment: datetime) -> None:
        """Poll then, or as soon afterwards as the jobs that wait longer allow."""
        self._urgent.pop(job_id, None)
        self._times[job_id] = moment
        heapq.heappush(self._heap, (moment, job_id))

    def hurry(self, job_id: str) -> None:
        """Poll at once, before all others."""
        self._times.pop(job_id, None)
        self._urgent[job_id] = None

    def drop(self, job_id: str) -> None:
        self._urgent.pop(job_id, None)
        self._times.pop(job_id, None)

    def next(self, now: datetime) -> datetime | None:
        """Return when `take_due` has a job; None while none is queued."""
        if self._urgent:
            return now
        first = self._first()
        if first is None or self._not_before is None:
            return first
        return max(first, self._not_before)

    def take_due(self, now: datetime) -> list[str]:
        """Return all urgent jobs, and one other that is due."""
        due, self._urgent = list(self._urgent), {}
        first = self._first()
        if first is None or first > now or (self._not_before and now < self._not_before):
            return due
        _, job_id = heapq.heappop(self._heap)
        del self._times[job_id]
        self._not_before = now + GAP
        return [*due, job_id]

    def _first(self) -> datetime | None:
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
