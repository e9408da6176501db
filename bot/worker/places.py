"""Places in the queue: of each job now, and as the status messages show them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.delivery import PLACES
from bot.jobs import Job, JobStatus
from bot.services import Services
from bot.store import waiting
from bot.store.database import Connection

EVERY = timedelta(seconds=30)  # between two edits of one status message
FIRST = timedelta(seconds=3)  # after the request: most jobs do not wait for longer


@dataclass(frozen=True, slots=True)
class _Shown:
    """The place that a status message shows, since when, and the time of its job's request."""

    place: int | None
    at: datetime
    created_at: datetime


class Places:
    """The memory of the one process that shows places; all others know none."""

    def __init__(self, services: Services) -> None:
        self._health = services.health
        self._providers = services.providers
        self._now = services.now
        # Another run has shown places before, or another process until this one has the duty.
        self._since = None if services.database.shared else services.now()
        self._places: dict[str, int] = {}
        self._full: set[str] = set()  # providers with more than PLACES waiting jobs
        self._shown: dict[str, _Shown] = {}

    def of(self, job: Job) -> int | None:
        """Return a job's place at the last turn; more than PLACES for all jobs behind."""
        if job.status is not JobStatus.QUEUED or self._since is None:
            return None
        behind = PLACES + 1 if job.provider in self._full else None
        return self._places.get(job.id, behind)

    def show(self, job: Job) -> int | None:
        """Return a job's place, and note that the status message shows the place from now on."""
        place = self.of(job)
        if job.status is JobStatus.QUEUED:
            self._shown[job.id] = _Shown(place, self._now(), job.created_at)
        else:
            self._shown.pop(job.id, None)
        return place

    def miss(self, job: Job) -> None:
        """Note that nobody knows whether the status message shows the job's place."""
        if shown := self._shown.get(job.id):
            self._shown[job.id] = replace(shown, place=None)

    def leave(self) -> None:
        """Forget everything: another process shows places now."""
        self._since = None
        self._places.clear()
        self._full.clear()
        self._shown.clear()

    async def changed(
        self, view: Connection, now: datetime, *, created_after: datetime
    ) -> list[Job]:
        """Return the jobs whose status message shows no place, or another one, for long enough.

        The first in line come first. Jobs created before `created_after` have expired. While a
        provider is down, its queue does not move, and the status messages say so instead.
        """
        self._since = self._since or now
        self._forget(created_after)
        places: dict[str, int] = {}
        full: set[str] = set()
        found: list[Job] = []
        for provider in self._providers:
            if self._health.has_outage(provider):
                continue
            first = await waiting.first_in_line(
                view, provider, now, created_after=created_after, limit=PLACES + 1
            )
            line = first[:PLACES]
            places |= {job.id: place for place, job in enumerate(line, start=1)}
            found += line
            if len(first) > PLACES:
                full.add(provider)
                found += await self._behind(view, provider, line)
        self._places, self._full = places, full
        return [job for job in found if self._is_due(job, now)]

    async def _behind(self, view: Connection, provider: str, line: Sequence[Job]) -> list[Job]:
        """Return jobs behind the first in line, but those whose status message says that."""
        known = {job_id for job_id, each in self._shown.items() if each.place == PLACES + 1}
        known |= {job.id for job in line}
        return await waiting.waiting_behind(view, provider, known=known)

    def _is_due(self, job: Job, now: datetime) -> bool:
        if job.final_status_sent or job.cancel_requested_at is not None:
            return False
        shown = self._shown.get(job.id)
        if shown is not None:
            return shown.place != self.of(job) and now >= shown.at + EVERY
        earlier = self._since is not None and job.created_at < self._since
        begin = self._since if earlier and self._since is not None else job.created_at
        return now >= begin + (EVERY if earlier else FIRST)

    def _forget(self, created_before: datetime) -> None:
        """Forget jobs that have left the queue by now: unclaimed ones fail in the end."""
        shown = self._shown.items()
        self._shown = {key: each for key, each in shown if each.created_at > created_before}
