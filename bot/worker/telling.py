"""While an API does not work: one of those who wait in a channel is told so."""

from collections.abc import Container

from bot.jobs import Job, JobStatus
from bot.outages import Outages
from bot.store import queue
from bot.store.database import Connection


class Telling:
    def __init__(self, outages: Outages) -> None:
        self._outages = outages

    @property
    def so_far(self) -> frozenset[str]:
        """The jobs that tell it; to be asked for before the rows are read."""
        return self._outages.telling

    async def due(
        self, view: Connection, so_far: frozenset[str], *, but: Container[str]
    ) -> list[Job]:
        """Jobs whose messages are to tell it, `but` for some."""
        if not so_far and not self._outages.down:
            return []
        waiting = await queue.waiting(view)
        self._outages.keep(waiting, of=so_far)
        down = [job for job in waiting if job.request.model in self._outages.down]
        return self._outages.silent(job for job in down if can_tell(job) and job.id not in but)


def can_tell(job: Job) -> bool:
    """Whether its message is there, and may be changed: no API fetches its pictures from it."""
    copied = any(each.copied for each in job.inputs)
    return job.status is JobStatus.QUEUED and job.route.status_message_id is not None and not copied
