"""The health endpoint: GET /healthz and GET /metrics, served if HTTP_PORT is set."""

import asyncio
import errno
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from bot.errors import StartupError
from bot.observability.connections import gated
from bot.observability.metrics import CONTENT_TYPE
from bot.services import Services
from bot.store.database import read_note
from bot.store.stats import Figures, figures_of

log = logging.getLogger(__name__)

READ_SECONDS = 2.0
BEAT = 0.1  # seconds between measurements of the event loop's delay


BACKLOG = 16  # connections that wait to be accepted

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Part = dict[str, object]
T = TypeVar("T")


class Gateway(Protocol):
    """The connection of the Discord client.

    `shard_states` is empty for a client without a gateway; `commands_registered` is None in a
    process that leaves the registration to another one.
    """

    @property
    def connected(self) -> bool: ...

    @property
    def shard_states(self) -> Mapping[int, bool]: ...

    @property
    def latency(self) -> float: ...

    @property
    def commands_registered(self) -> bool | None: ...


class HealthReport:
    """Examines every part on request; the report contains nothing secret."""

    def __init__(
        self, services: Services, gateway: Callable[[], Gateway | None], *, works: bool = True
    ) -> None:
        """`works` is false for a process that leaves the jobs to other ones."""
        self._works = works
        self._database = services.database
        self._metrics = services.metrics
        self._health = services.health
        self._providers = tuple(services.providers)
        self._gateway = gateway
        self._now = services.now
        self._clock = services.clock
        self._copies = services.copies
        self._since = services.now()
        self._write = SharedQuery(self._begin_write)
        self._read = SharedQuery(self._figures)

    async def report(self) -> tuple[bool, Part]:
        """Return whether all parts are alive, and the details of each."""
        parts: dict[str, Part] = {
            "gateway": self._gateway_part(),
            "database": {"alive": await self._write.result(READ_SECONDS) is not None},
            **({"worker": self._worker_part()} if self._works else {}),
            "clock": self._clock_part(),
            "second_copy": self._copy_part(),
        }
        providers = {name: self._provider_part(name) for name in self._providers}
        alive = all(part["alive"] for part in (*parts.values(), *providers.values()))
        return alive, {"status": "ok" if alive else "dead", **parts, "providers": providers}

    async def metrics(self) -> bytes:
        """Return one scrape for Prometheus."""
        return self._metrics.text(await self._read.result(READ_SECONDS))

    async def watch_loop(self) -> None:
        """Measure, until cancelled, how long other work delays a task of the event loop."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT
            await asyncio.sleep(BEAT)
            self._metrics.loop_stalled(loop.time() - due)

    async def close(self) -> None:
        for query in (self._write, self._read):
            await query.close()

    def _gateway_part(self) -> Part:
        gateway = self._gateway()
        alive = gateway is not None and gateway.connected
        latency = gateway.latency if gateway and alive else math.nan  # nan before the first beat
        return {
            "alive": alive,
            "latency_seconds": latency if math.isfinite(latency) else None,
            "shards": {} if gateway is None else dict(gateway.shard_states),
            "commands_registered": False if gateway is None else gateway.commands_registered,
        }

    def _worker_part(self) -> Part:
        idle = self._now() - (self._metrics.last_turn or self._since)
        # A turn is due every two seconds, with work or without.
        return {"alive": idle < timedelta(seconds=60), "seconds_since_turn": idle.total_seconds()}

    def _clock_part(self) -> Part:
        """A wrong clock is no reason for a restart, so this part is alive."""
        machine, own = self._clock.machine_ahead, self._clock.own_ahead
        return {
            "alive": True,
            "machine_seconds_ahead": None if machine is None else round(machine.total_seconds()),
            "run_seconds_ahead": None if own is None else round(own.total_seconds()),
        }

    def _copy_part(self) -> Part:
        """A restart would not end the other program, so this part is alive too."""
        seen = self._copies.last_seen
        return {"alive": True, "last_seen": seen.isoformat() if seen else None}

    def _provider_part(self, name: str) -> Part:
        service = self._health.of(name)
        return {
            "alive": not service.is_failing(self._now()),
            "down": self._health.has_outage(name),
            "last_good_answer": service.last_good.isoformat() if service.last_good else None,
            "last_error": service.last_error,
        }

    async def _begin_write(self) -> bool:
        """Begin a transaction as every write does: a reader would not notice a lock."""
        async with self._database.transaction() as tx:
            await read_note(tx, "health")
        return True

    async def _figures(self) -> Figures:
        async with self._database.reading() as view:
            return await figures_of(view, self._now())


class SharedQuery(Generic[T]):
    """A query that concurrent callers share. Never cancelled: that would lose the connection."""

    def __init__(self, query: Callable[[], Coroutine[object, object, T]]) -> None:
        self._query = query
        self._task: asyncio.Task[T] | None = None

    async def result(self, timeout: float) -> T | None:
        """Return the result; None if the query failed, or takes longer than `timeout` seconds."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._query())
        task = self._task
        await asyncio.wait({task}, timeout=timeout)
        if not task.done():
            return None
        if (error := task.exception()) is not None:
            log.warning("health query of the database failed: %s", error)
            return None
        return task.result()

    async def close(self) -> None:
        """Wait for the running query; cancel it after READ_SECONDS."""
        if self._task is None:
            return
        _, unfinished = await asyncio.wait({self._task}, timeout=READ_SECONDS)
        for task in unfinished:
            task.cancel()
            await asyncio.wait({task})
        if not self._task.cancelled():
            self._task.exception()  # reported already; asyncio would log it again


class HealthServer:
    """The server, running within `async with`; `port` is then the port that was bound."""

    def __init__(self, health: HealthReport, host: str, port: int) -> None:
        self.port = port
        self._host = host
        self._health = health
        self._server: asyncio.Server | None = None
        app = web.Application(middlewares=[self._checked])
        app.router.add_get("/healthz", self._healthz, allow_head=False)
        app.router.add_get("/metrics", self._metrics, allow_head=False)
        app.router.add_route("*", "/{rest:.*}", self._nothing)  # any method
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> "HealthServer":
        await self._runner.setup()
        if self._runner.server is None:
            raise RuntimeError("the runner has no server")
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                gated(self._runner.server), self._host, self.port, backlog=BACKLOG
            )
        except OSError as error:
            await self._runner.cleanup()
            raise StartupError(_remedy(error, self._host, self.port)) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        await self._health.close()

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a foreign Host on loopback: a page in the operator's browser would read this."""
        if is_loopback(self._host) and not is_loopback(host_of(request.host)):
            return web.Response(status=421, text="not a host of this server")
        return await handler(request)

    async def _healthz(self, _: web.Request) -> web.Response:
        alive, report = await self._health.report()
        return web.json_response(report, status=200 if alive else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=await self._health.metrics(), headers={"Content-Type": CONTENT_TYPE}
        )

    async def _nothing(self, _: web.Request) -> web.Response:
        return web.Response(status=404, text="not found")


def host_of(header: str) -> str:
    """Return the name or address in a Host header, without the port; empty if unreadable."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _remedy(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"HTTP_PORT: {port} on {host} is in use. Choose another port in .env."
    if error.errno == errno.EACCES:
        return f"HTTP_PORT: {port} may not be opened by this user. Choose 1024 or more in .env."
    return f"HTTP_HOST: nothing can be served on {host}. Set it to an address of this computer."
