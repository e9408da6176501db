"""Permits for IDENTIFY among the processes of one database; see `bot.identify_permits`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.store.postgres_coordination import LOCKS, TIMEOUT, Connect, number

POLL = 0.5  # seconds between attempts to get a permit that another session has
TAKE = "SELECT pg_try_advisory_lock($1, $2)"


class PostgresPermits:
    """A permit is an advisory lock of a session of its own, so that it ends with the process."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    @asynccontextmanager
    async def hold(self, bucket: int) -> AsyncIterator[None]:
        """Hold the permit of a bucket during the block; entering waits for other holders."""
        async with asyncio.timeout(TIMEOUT):
            session = await self._connect()
        try:
            # Attempts instead of a wait inside the server, whose timeout for locks is short.
            while True:
                async with asyncio.timeout(TIMEOUT):
                    if await session.fetchval(TAKE, LOCKS, number(f"identify {bucket}")):
                        break
                await asyncio.sleep(POLL)
            yield
        finally:
            session.terminate()
