"""Who is told that a service does not work: in public, by one waiting job in each channel."""

from collections.abc import Iterable

from bot.jobs import Job

Place = tuple[str, int | str]


class Notices:
    """Which jobs' messages tell it. In memory: after a restart those that still wait are told of
    anew, the oldest first, which will mostly be the same."""

    def __init__(self) -> None:
        self._telling: dict[Place, str] = {}

    @property
    def telling(self) -> frozenset[str]:
        """The jobs' ids."""
        return frozenset(self._telling.values())

    def tells(self, job: Job) -> bool:
        """Whether a waiting job tells it: no other does where it is seen."""
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
