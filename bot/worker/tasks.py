"""The worker's tasks: one at a time for each job, and no error harms another job."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from types import TracebackType

from bot.errors import NotNow
from bot.jobs import Job
from bot.observability.logs import bind, hide
from bot.precedence import Precedence
from bot.store.jobs import MoveRefused
from bot.worker.leases import Leases

log = logging.getLogger(__name__)

COOL_DOWN = 5.0  # seconds without an attempt after an unexpected error

Work = Coroutine[object, object, None]
Due = tuple[Callable[[Job], Work], Job]  # a method to call for a job


class Tasks:
    def __init__(
        self,
        leases: Leases,
        precedence: Precedence,
        *,
        wake: Callable[[], None],
        ended: Callable[[], None],
        goes_on: Callable[[str], bool],
    ) -> None:
        """`wake` is called when rows have changed, `ended` when a job's task is over.

        `goes_on` returns whether the lease of a job goes on after the task.
        """
        self._leases = leases
        self._precedence = precedence
        self._wake = wake
        self._ended = ended
        self._goes_on = goes_on
        self._busy: dict[str, asyncio.Task[None] | None] = {}  # jobs with a task
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "Tasks":
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._group.__aexit__(kind, error, traceback)

    def is_busy(self, job: Job) -> bool:
        return job.id in self._busy

    @property
    def busy(self) -> Collection[str]:
        """The ids of the jobs with a task."""
        return self._busy.keys()

    def spawn(self, work: Work, *, name: str) -> asyncio.Task[None]:
        """Start work that belongs to no job; an error of this work ends the worker."""
        return self._group.create_task(work, name=name)

    def start(self, job: Job, work: Work) -> bool:
        """Start work of a job; close the work and return False if the job has a task already."""
        if job.id in self._busy:
            work.close()
            return False
        self._busy[job.id] = None
        self._busy[job.id] = self.spawn(self._guarded(job, work), name=f"job {job.id}")
        return True

    async def start_all(self, due: list[Due]) -> None:
        """Start work that changes rows, for each job that no task and no other process has."""
        methods = {job.id: method for method, job in reversed(due) if not self.is_busy(job)}
        idle = {job.id: job for _, job in due if job.id in methods}
        for job in await self._leases.take([*idle.values()]):
            self.start(job, self.then_wake(methods[job.id](job)))

    def cancel(self, job_id: str) -> None:
        """End the work of a job whose lease is lost."""
        if task := self._busy.get(job_id):
            # After the first step: a task that has not begun would end without its `finally`.
            asyncio.get_running_loop().call_soon(task.cancel)

    async def then_wake(self, work: Work) -> None:
        await work
        self._wake()

    async def _guarded(self, job: Job, work: Work) -> None:
        """Run the work of one job; other jobs go on, whatever error it raises."""
        bind(job=job.id)
        hide(*job.texts)
        try:
            await self._precedence.give_way()
            await work
        except MoveRefused as error:
            log.info("%s", error)
        except NotNow:
            log.warning("job waits for the database or the pictures, retrying")
            await self._cool_down()
        except Exception:
            log.exception("unexpected error in a job, retrying")
            await self._cool_down()
        finally:
            del self._busy[job.id]
            self._ended()
        if not self._goes_on(job.id):  # after a cancel, the outcome is unknown: the lease ends then
            await self._leases.end(job.id)

    async def _cool_down(self) -> None:
        await asyncio.sleep(COOL_DOWN)
        self._wake()
