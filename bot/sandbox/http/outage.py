"""An outage of a stand-in: the port is closed, and opened again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

HANG_UP_SECONDS = 0.5  # for answers which are still being sent


@asynccontextmanager
async def unreachable(runner: web.AppRunner) -> AsyncIterator[None]:
    """Refuse connections until the block ends, and cut those which there are."""
    host, port = runner.addresses[0][:2]
    for site in list(runner.sites):
        await site.stop()
    if runner.server is not None:
        await runner.server.shutdown(HANG_UP_SECONDS)
    try:
        yield
    finally:
        await web.TCPSite(runner, host, port).start()
