"""While an API does not work: one of those who wait in a channel is told so."""

from collections.abc import Container

from bot.catalog import Catalog
from bot.jobs import Job, JobStatus
from bot.store import queue
from bot.store.database import Connection


class Telling:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @property
    def so_far(self) -> frozenset[str]:
        """The jobs that tell it; to be asked for before the rows are read."""
        return self._catalog.notices.telling

    async def due(
        self, view: Connection, so_far: frozenset[str], *, but: Container[str]
    ) -> list[Job]:
        """Jobs whose messages are to tell it, `but` for some."""
        if not so_far and not self._catalog.down:
            return []
        waiting = await queue.waiting(view)
        self._catalog.notices.keep(waiting, of=so_far)
        down = [job for job in waiting if self._catalog.is_down(job.request.model)]
        return self._catalog.notices.silent(
            job for job in down if can_tell(job) and job.id not in but
        )


def can_tell(job: Job) -> bool:
    """Whether its message is there, and may be changed: no API fetches its pictures from it."""
    copied = any(each.copied for each in job.inputs)
    return job.status is JobStatus.QUEUED and job.route.message_id is not None and not copied
