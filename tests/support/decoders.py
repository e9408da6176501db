"""The decoder processes of a bot, by their process ids."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from bot.pictures.decoder import PROGRAM


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
    """Wait for a decoder, stop the process, and return its id: it never answers."""
    pid = await started(parent, besides=besides)
    os.kill(pid, signal.SIGSTOP)
    return pid


def changed(folder: Path, old: str, new: str) -> Path:
    """Return a copy of the decoder's program with one change."""
    source = PROGRAM.read_text()
    assert old in source
    program = folder / PROGRAM.name
    program.write_text(source.replace(old, new))
    return program


def slow(folder: Path, seconds: float) -> Path:
    """Return a decoder that begins to read requests only after some time."""
    begin = "def main() -> None:\n"
    return changed(folder, begin, f"{begin}    import time\n\n    time.sleep({seconds})\n")
