"""The decoder processes of a bot, by their process ids."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


def decoders(parent: int | None = None) -> list[int]:
    """Return the ids of the decoders that this process, or another, has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            is_child = int(status[1]) == (parent or os.getpid()) and status[0] != "Z"
            if is_child and b"decoder_process.py" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


async def started(parent: int | None = None, *, besides: list[int] | None = None) -> int:
    """Wait for a decoder, and return its id."""
    async with asyncio.timeout(20):
        while True:
            for pid in decoders(parent):
                if pid not in (besides or []):
                    return pid
            await asyncio.sleep(0.005)


async def stopped(parent: int | None = None, *, besides: list[int] | None = None) -> int:
    """Wait for a decoder, stop it, so that it never answers, and return its id."""
    pid = await started(parent, besides=besides)
    os.kill(pid, signal.SIGSTOP)
    return pid


@asynccontextmanager
async def slow() -> AsyncIterator[None]:
    """Stop every decoder of this process as soon as it starts."""

    async def stop_all() -> None:
        seen: list[int] = []
        while True:
            seen.append(await stopped(besides=seen))

    task = asyncio.create_task(stop_all())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
