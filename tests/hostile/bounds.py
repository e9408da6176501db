"""The bounds of a hostile case: time, memory, and the longest pause of the event loop."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

MB = 1_000_000


@asynccontextmanager
async def bounded(
    *, seconds: float, pause: float = 0.5, megabytes: float | None = None
) -> AsyncIterator[None]:
    """Fail if the block works longer, stops the event loop for longer, or allocates more.

    Times are those of the processor, so that a busy machine changes nothing; waits have an end of
    their own. The garbage collector ignores the objects of other tests, because a run over a large
    heap would count as a pause. To measure the memory takes several times longer.
    """
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.01)
            longest = max(longest, time.thread_time() - began)

    gc.collect()
    gc.freeze()
    watching = asyncio.create_task(watch())
    if megabytes is not None:
        tracemalloc.start()
    began = time.process_time()
    try:
        async with asyncio.timeout(10 * seconds):  # so that a failure ends, too
            yield
        took = time.process_time() - began
        await asyncio.sleep(0.02)  # the watch sees a pause at the end
        peak = tracemalloc.get_traced_memory()[1] / MB if megabytes is not None else 0.0
    finally:
        tracemalloc.stop()
        gc.unfreeze()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    assert took < seconds, f"{took:.1f} s"
    assert longest < pause, f"the event loop stopped for {longest:.1f} s"
    assert megabytes is None or peak < megabytes, f"{peak:.0f} MB"
