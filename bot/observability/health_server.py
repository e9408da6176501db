"""GET /healthz and GET /metrics, served if HTTP_PORT is set. Everything else is not found."""

import errno

from aiohttp import web

from bot.errors import StartupError
from bot.observability.health_report import HealthReport
from bot.observability.metrics import CONTENT_TYPE

STOP_SECONDS = 1.0


class HealthServer:
    """The server, running within `async with`; `port` is then the port that was bound."""

    def __init__(self, health: HealthReport, host: str, port: int) -> None:
        self.port = port
        self._host = host
        self._health = health
        app = web.Application()
        app.router.add_get("/healthz", self._healthz, allow_head=False)
        app.router.add_get("/metrics", self._metrics, allow_head=False)
        app.router.add_route("*", "/{rest:.*}", self._nothing)  # any method
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)

    async def __aenter__(self) -> "HealthServer":
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise StartupError(_remedy(error, self._host, self.port)) from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._health.close()

    async def _healthz(self, _: web.Request) -> web.Response:
        alive, report = await self._health.report()
        return web.json_response(report, status=200 if alive else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=await self._health.metrics(), headers={"Content-Type": CONTENT_TYPE}
        )

    async def _nothing(self, _: web.Request) -> web.Response:
        return web.Response(status=404, text="not found")


def _remedy(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"HTTP_PORT: {port} on {host} is in use. Choose another port in .env."
    if error.errno == errno.EACCES:
        return f"HTTP_PORT: {port} may not be opened by this user. Choose 1024 or more in .env."
    return f"HTTP_HOST: nothing can be served on {host}. Set it to an address of this computer."
