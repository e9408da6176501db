"""An outage of a stand-in: the port is closed for a while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

HANG_UP_SECONDS = 0.5  # for answers in progress


@asynccontextmanager
async def unreachable(runner: web.AppRunner) -> AsyncIterator[None]:
    """Close all connections, and refuse new ones until the block ends."""
    host, port = runner.addresses[0][:2]
    for site in list(runner.sites):
        await site.stop()
    if runner.server is not None:
        await runner.server.shutdown(HANG_UP_SECONDS)
    try:
        yield
    finally:
        await web.TCPSite(runner, host, port).start()
