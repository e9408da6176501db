"""How Easel is, for whoever watches over it: what is alive, and what was counted."""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from bot.observability.figures import Figures
from bot.observability.metrics import Metrics, Service
from bot.store import notes
from bot.store.database import Database
from bot.store.stats import figures_of

READ_SECONDS = 2.0
SILENT_WORKER = timedelta(seconds=60)  # it turns every two seconds, whether there is work or not
FAILING_SERVICE = timedelta(minutes=10)
BEAT = 0.1  # seconds between looks at how late the event loop is

log = logging.getLogger(__name__)

Part = dict[str, object]
T = TypeVar("T")


class Gateway(Protocol):
    """Our client, as far as its connection goes."""

    @property
    def connected(self) -> bool: ...

    @property
    def latency(self) -> float: ...


class Health:
    """Looks at every part when it is asked; nothing that it tells is secret."""

    def __init__(
        self,
        database: Database,
        metrics: Metrics,
        gateway: Callable[[], Gateway | None],
        providers: Iterable[str],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._gateway = gateway
        self._providers = tuple(providers)
        self._now = now
        self._since = now()
        self._write = OneAtATime(self._try_database)
        self._read = OneAtATime(self._figures)

    async def report(self) -> tuple[bool, Part]:
        """Whether all is alive, and what is to be known of each part."""
        parts: dict[str, Part] = {
            "gateway": self._gateway_part(),
            "database": await self._database_part(),
            "worker": self._worker_part(),
        }
        providers = {name: self._provider_part(name) for name in self._providers}
        alive = all(part["alive"] for part in (*parts.values(), *providers.values()))
        return alive, {"status": "ok" if alive else "dead", **parts, "providers": providers}

    async def metrics(self) -> bytes:
        return self._metrics.text(await self._read.result(READ_SECONDS))

    async def watch_loop(self) -> None:
        """Measure, until cancelled, how long other work keeps the event loop from ours."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT
            await asyncio.sleep(BEAT)
            self._metrics.loop_was_late(loop.time() - due)

    async def close(self) -> None:
        for check in (self._write, self._read):
            await check.close()

    def _gateway_part(self) -> Part:
        gateway = self._gateway()
        alive = gateway is not None and gateway.connected
        latency = gateway.latency if gateway and alive else math.nan  # nan before the first beat
        return {"alive": alive, "latency_seconds": latency if math.isfinite(latency) else None}

    async def _database_part(self) -> Part:
        return {"alive": await self._write.result(READ_SECONDS) is not None}

    def _worker_part(self) -> Part:
        idle = self._now() - (self._metrics.last_turn or self._since)
        return {"alive": idle < SILENT_WORKER, "seconds_since_turn": idle.total_seconds()}

    def _provider_part(self, name: str) -> Part:
        service = self._metrics.services.get(name, Service())
        failing = service.failing_since
        return {
            "alive": failing is None or self._now() - failing < FAILING_SERVICE,
            "last_good_answer": service.last_good.isoformat() if service.last_good else None,
            "last_error": service.last_error,
        }

    async def _try_database(self) -> bool:
        """A read that begins as every write does: with a reader, a lock would not be seen."""
        async with self._database.transaction() as tx:
            await notes.read(tx, "health")
        return True

    async def _figures(self) -> Figures:
        async with self._database.reading() as view:
            return await figures_of(view, self._now())


class OneAtATime(Generic[T]):
    """A look at the rows that is never cancelled: it would lose its connection by that. Who asks
    while one is under way waits for the same one."""

    def __init__(self, look: Callable[[], Coroutine[object, object, T]]) -> None:
        self._look = look
        self._task: asyncio.Task[T] | None = None

    async def result(self, timeout: float) -> T | None:
        """None where there is none within `timeout` seconds, or where it failed."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        task = self._task
        await asyncio.wait({task}, timeout=timeout)
        if not task.done():
            return None
        if (error := task.exception()) is not None:
            log.warning("the database cannot be read: %s", error)
            return None
        return task.result()

    async def close(self) -> None:
        """Let what is under way end."""
        if self._task is None:
            return
        _, late = await asyncio.wait({self._task}, timeout=READ_SECONDS)
        for task in late:
            task.cancel()
            await asyncio.wait({task})
        if not self._task.cancelled():
            self._task.exception()  # it has been told, or is of no interest any more
