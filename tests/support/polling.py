"""Jobs that run at Oxen, and are polled by a part of the worker without the rest."""

from collections.abc import Sequence
from datetime import timedelta

from bot.jobs import Job, JobStatus
from bot.providers.base import Submitted
from bot.store import generations
from bot.worker.poll import Poller
from tests.support.parts import Served


async def watched(
    made: Served, poller: Poller, *, count: int = 1, submitted: Sequence[Submitted] = ()
) -> Job:
    """Store a job that runs at Oxen, and watch it."""
    remote_ids = await made.submitted(count=count)
    job = await made.running(remote_ids, provider="oxen", count=count)
    await poller.begin(job, submitted)
    return job


def end(made: Served, *remote_ids: str) -> None:
    """Let generations end without a picture."""
    for remote_id in remote_ids or made.oxen.generations:
        made.oxen.runner.advance(remote_id, "failed")


def requests(made: Served, method: str) -> int:
    return sum(each.method == method for each in made.oxen.requests)


def due_in(poller: Poller, made: Served) -> timedelta:
    """Return the time until the next poll."""
    moment = poller.next_poll(made.clock.now)
    assert moment is not None
    return moment - made.clock.now


async def states(made: Served, job: Job) -> list[JobStatus | None]:
    async with made.database.reading() as view:
        return [each.state for each in await generations.of_job(view, job.id)]
