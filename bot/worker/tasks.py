"""The worker's tasks: one at a time for each job, and none whose error harms another."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType

from bot.errors import NotNow
from bot.jobs import Job
from bot.observability.logs import bind, hide
from bot.store.jobs import MoveRefused

log = logging.getLogger(__name__)

COOL_DOWN = 5.0  # seconds that a job is left alone after an error that should not have been

Work = Coroutine[object, object, None]


class Tasks:
    def __init__(self, *, wake: Callable[[], None], ended: Callable[[], None]) -> None:
        """`wake` is called when rows have changed, `ended` when a job's task is over."""
        self._wake = wake
        self._ended = ended
        self._busy: set[str] = set()  # jobs that a task is at work on
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

    def spawn(self, work: Work, *, name: str) -> asyncio.Task[None]:
        """Begin what belongs to no job; an error of it ends the worker."""
        return self._group.create_task(work, name=name)

    def start(self, job: Job, work: Work) -> bool:
        """Begin a job's; False, and the work is closed, where a task is at work on it."""
        if job.id in self._busy:
            work.close()
            return False
        self._busy.add(job.id)
        self.spawn(self._guarded(job, work), name=f"job {job.id}")
        return True

    def start_and_wake(self, job: Job, work: Work) -> None:
        """As `start`, of work that changes rows."""
        if not self.start(job, self.then_wake(work)):
            work.close()

    async def then_wake(self, work: Work) -> None:
        await work
        self._wake()

    async def _guarded(self, job: Job, work: Work) -> None:
        """Run one job's work; whatever it raises, the other jobs go on."""
        bind(job=job.id)
        hide(*job.request.texts)
        try:
            await work
        except MoveRefused as error:
            log.info("%s", error)
        except NotNow:
            log.warning("it waits for the database, and is tried again")
            await self._cool_down()
        except Exception:
            log.exception("unexpected; it is tried again")
            await self._cool_down()
        finally:
            self._busy.discard(job.id)
            self._ended()

    async def _cool_down(self) -> None:
        await asyncio.sleep(COOL_DOWN)
        self._wake()
