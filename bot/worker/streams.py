"""The event streams of single submits: each is followed while its job is polled here.

A stream only brings a poll forward. Nobody opens it again, since that would create a generation.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from bot.providers.base import Stream
from bot.worker.tasks import Tasks

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    stream: Stream
    task: asyncio.Task[None] | None = None


class Streams:
    """The owner of the open streams, by job."""

    def __init__(self, ended: Callable[[str], None], *, over: Callable[[str], None]) -> None:
        """`ended` is called with the remote id of a generation that has ended.

        `over` is called with the id of a job whose stream is not followed any more.
        """
        self._ended = ended
        self._over = over
        self._held: dict[str, _Held] = {}
        self._stopping = False

    def hold(self, job_id: str, stream: Stream) -> None:
        """Own a stream until `close`, `stop`, or the end of the task that follows the stream."""
        self._held[job_id] = _Held(stream)

    def follow(self, job_id: str, tasks: Tasks) -> bool:
        """Start the task for a job's stream, if the job has one; return whether it has started."""
        held = self._held.get(job_id)
        if held is None:
            return False
        if self._stopping:
            self.close(job_id)
            return False
        held.task = tasks.spawn(self._follow(job_id, held), name=f"stream {job_id}")
        return True

    def close(self, job_id: str) -> None:
        """Close a job's stream, if the job has one."""
        held = self._held.pop(job_id, None)
        if held is None:
            return
        held.stream.close()
        if held.task is not None:
            held.task.cancel()

    def close_unfollowed(self, job_id: str) -> None:
        """Close a job's stream unless a task follows it."""
        held = self._held.get(job_id)
        if held is not None and held.task is None:
            self.close(job_id)

    def stop(self) -> None:
        """Close all streams that are followed, and follow no more."""
        self._stopping = True
        for job_id in [key for key, held in self._held.items() if held.task is not None]:
            self.close(job_id)

    async def _follow(self, job_id: str, held: _Held) -> None:
        try:
            async for remote_id in held.stream.ends():
                self._ended(remote_id)
        except Exception:  # the worker must not end with a stream
            log.exception("event stream of job %s failed, polling", job_id)
        finally:
            held.stream.close()
            if self._held.get(job_id) is held:
                del self._held[job_id]
            self._over(job_id)
