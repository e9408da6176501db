"""The usual time of a job at its model, by the model's own recent jobs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.delivery import Usual
from bot.errors import NotNow
from bot.jobs import Job
from bot.services import Services
from bot.store import waiting

TIMES = 50  # of the newest successes of a model with one picture, and with several ...
TIMES_OF = timedelta(days=30)  # ... within this time
FEWEST = 10  # of which an estimate is made
READ = 2 * TIMES  # rows: those with one picture and those with several are not separated in SQL
CACHED = timedelta(minutes=1)
CACHED_WITHOUT = timedelta(
    seconds=2
)  # while a model has no estimate yet: its next job may bring one


@dataclass(frozen=True, slots=True)
class _Estimate:
    """The usual times of a model, which are read again after `until`."""

    one: Usual | None
    several: Usual | None
    until: datetime


class Estimates:
    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._now = services.now
        self._known: dict[str, _Estimate] = {}  # by model

    async def usual(self, job: Job) -> Usual | None:
        """Return the usual time of such a job; None if too few were made, or none can be read.

        Several pictures may take longer than one, so both are counted separately.
        """
        model, now = job.request.model, self._now()
        known = self._known.get(model)
        if known is None or now >= known.until:
            try:
                known = self._known[model] = await self._read(model, now)
            except NotNow:
                return None
        return known.one if job.request.count == 1 else known.several

    async def _read(self, model: str, now: datetime) -> _Estimate:
        async with self._database.reading() as view:
            found = await waiting.recent_times(view, model, now - TIMES_OF, limit=READ)
        one = [each.time for each in found if each.pictures == 1][:TIMES]
        several = [each.time for each in found if each.pictures > 1][:TIMES]
        usual = usual_of(one), usual_of(several)
        return _Estimate(*usual, now + (CACHED if any(usual) else CACHED_WITHOUT))


def usual_of(times: Sequence[timedelta]) -> Usual | None:
    """Return the median and the 90th percentile, by nearest rank; None for fewer than FEWEST."""
    if len(times) < FEWEST:
        return None
    ordered = sorted(times)
    return Usual(_percentile(ordered, 50), _percentile(ordered, 90))


def _percentile(ordered: Sequence[timedelta], percent: int) -> timedelta:
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
