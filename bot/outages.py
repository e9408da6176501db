"""Which services do not work, and who is told: in public, by one waiting job in each channel."""

from collections.abc import Iterable

from bot.jobs import Job, JobStatus

WAITING = frozenset({JobStatus.QUEUED, JobStatus.SUBMITTING})
Place = tuple[str, int | str]


class Outages:
    """In memory: after a restart a service is found out anew, and so is who still waits for it."""

    def __init__(self) -> None:
        self._down: set[str] = set()
        self._telling: dict[Place, str] = {}

    @property
    def down(self) -> frozenset[str]:
        """Models whose APIs do not work at the moment."""
        return frozenset(self._down)

    def changed(self, model: str, down: bool) -> None:
        """Hear that a model's API does not work, or works again."""
        (self._down.add if down else self._down.discard)(model)

    @property
    def telling(self) -> frozenset[str]:
        """The jobs' ids."""
        return frozenset(self._telling.values())

    def tells(self, job: Job) -> bool:
        """Whether this job's message is to: it waits, and no other tells it where it is seen."""
        if job.status not in WAITING or job.request.model not in self._down:
            return False
        return self._telling.setdefault(place_of(job), job.id) == job.id

    def keep(self, waiting: Iterable[Job], *, of: frozenset[str]) -> None:
        """Forget those `of` a set that wait no more; others may be newer than what was read."""
        places = {job.id: place_of(job) for job in waiting}
        self._telling = {
            place: job_id
            for place, job_id in self._telling.items()
            if job_id not in of or places.get(job_id) == place
        }

    def silent(self, waiting: Iterable[Job]) -> list[Job]:
        """The first job of each place where none tells it."""
        first: dict[Place, Job] = {}
        for job in waiting:
            first.setdefault(place_of(job), job)
        return [job for place, job in first.items() if place not in self._telling]


def place_of(job: Job) -> Place:
    """Where it is seen; what is private is seen by its member alone."""
    return job.request.model, job.id if job.route.private else job.route.channel_id
