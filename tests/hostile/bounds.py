"""The bounds of a hostile case: time, memory, and the longest pause of the event loop."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

MB = 1_000_000


@asynccontextmanager
async def bounded(
    *, seconds: float, pause: float = 0.5, megabytes: float = 10
) -> AsyncIterator[None]:
    """Fail if the block takes longer, stops the event loop for longer, or allocates more."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)

    watching = asyncio.create_task(watch())
    tracemalloc.start()
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds * 4):  # so that a failure ends, too
            yield
        took = time.monotonic() - began
        await asyncio.sleep(0.02)  # the watch sees a pause at the end
        peak = tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    assert took < seconds, f"{took:.1f} s"
    assert longest < pause, f"the event loop stopped for {longest:.1f} s"
    assert peak < megabytes, f"{peak:.0f} MB"
