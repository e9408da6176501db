"""The schedules of polls, learnt from the durations of each model's recent generations."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.errors import NotNow
from bot.jobs import Job
from bot.services import Services
from bot.store import waiting
from bot.worker.schedule import FEWEST, Schedule, schedule_of

NEWEST = 50  # durations of a model and a number of pictures
CACHED = timedelta(seconds=10)

PRIOR = schedule_of(())


@dataclass(frozen=True, slots=True)
class _Learnt:
    schedule: Schedule
    until: datetime


class Durations:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._now = services.now
        self._learnt: dict[tuple[str, int], _Learnt] = {}  # by model and number of pictures

    async def schedule(self, job: Job) -> Schedule:
        """Return the schedule for such a job; the prior if too few were made, or none are read."""
        key, now = (job.request.model, job.request.count), self._now()
        known = self._learnt.get(key)
        if known is None or now >= known.until:
            try:
                async with self._database.reading() as view:
                    found = await waiting.durations(view, *key, limit=NEWEST)
            except NotNow:
                return PRIOR if known is None else known.schedule
            schedule = PRIOR
            if len(found) >= FEWEST:
                schedule = await asyncio.to_thread(schedule_of, found)
            known = self._learnt[key] = _Learnt(schedule, now + CACHED)
        return known.schedule
