"""Run the command line of the bot with a monitor: `python -m tests.benchmarks.stalls FILE run`.

The monitor writes a line for each time at which the event loop was late: the monotonic time, which
all processes share, the seconds, and the processor time of the loop's thread meanwhile. On a
machine with other work, the latter is what the bot itself did. Nothing of the monitor is in the
bot.
"""

import asyncio
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

PERIOD = 0.01  # seconds between two looks
NOTED = 0.002  # seconds; being less late is not written down


def longest(file: Path, since: float) -> tuple[float, float]:
    """Return the longest stall since a monotonic time, and the most processor time in one."""
    late = worked = 0.0
    with suppress(FileNotFoundError):
        for line in file.read_text().splitlines():
            at, *seconds = (float(each) for each in line.split())
            if at >= since:
                late, worked = max(late, seconds[0]), max(worked, seconds[1])
    return late, worked


async def _beat(file: Path) -> None:
    with file.open("a", buffering=1) as lines:
        while True:
            due, began = time.monotonic() + PERIOD, time.thread_time()
            await asyncio.sleep(PERIOD)
            late = time.monotonic() - due
            if late >= NOTED:
                worked = time.thread_time() - began
                lines.write(f"{time.monotonic():.3f} {late:.4f} {worked:.4f}\n")


async def _watched(work: Coroutine[Any, Any, Any], file: Path) -> Any:  # noqa: ANN401
    beat = asyncio.create_task(_beat(file))
    try:
        return await work
    finally:
        beat.cancel()


def main() -> None:
    from bot.__main__ import cli

    file, run = Path(sys.argv.pop(1)), asyncio.Runner.run

    def watched(self: asyncio.Runner, work: Coroutine[Any, Any, Any], **options: Any) -> Any:  # noqa: ANN401
        return run(self, _watched(work, file), **options)

    asyncio.Runner.run = watched  # type: ignore[method-assign, assignment]
    cli()


if __name__ == "__main__":
    main()
