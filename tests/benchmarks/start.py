"""Measure the start: `python -m tests.benchmarks.start`.

The processor time of the imports of each command in relation to `import discord`, with which every
bot of discord.py begins; the time from the start of `easel run` until the bot is ready; and the
memory of the idle bot. The stand-ins of the APIs are in this process.
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bot.sandbox.oxen.server import FakeOxen
from tests.benchmarks.ack import Discord, process, resident_mb
from tests.support.easel import KEY, TOKEN

ROUNDS = 5  # of which the fastest counts, because other programs only slow down
IDLE_SECONDS = 5.0
REFERENCE = "import discord"
CHECK = "import bot.__main__, bot.observability.logs, bot.check.run"
COMMANDS = {
    "easel --help": "import bot.__main__",
    "easel check": CHECK,
    # All that a check uses at last, if Discord takes the token.
    "easel check, to the end": f"{CHECK}, bot.check.commands",
    "easel run": "import bot.__main__, bot.check.spelling, bot.observability.logs, bot.app",
}


def processor_seconds(program: str) -> float:
    """Return the user and system time of a Python that runs the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report_imports() -> None:
    programs = {REFERENCE: REFERENCE, **COMMANDS}
    # In turns, so that noise of the machine affects all.
    rounds = [
        {name: processor_seconds(text) for name, text in programs.items()} for _ in range(ROUNDS)
    ]
    best = {name: min(each[name] for each in rounds) for name in programs}
    for name, seconds in best.items():
        print(f"{name:<24} {seconds * 1000:5.0f} ms  ratio {seconds / best[REFERENCE]:4.2f}")


async def report_run() -> None:
    """Start the bot in an empty folder, where Alembic makes the tables, and once more."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first start", "next start"):
            ready, resident = await start_in(Path(folder))
            print(f"{name:<24} {ready:5.1f} s  RSS {resident:.0f} MB")


async def start_in(folder: Path) -> tuple[float, float]:
    """Return the seconds until the gateway was ready, and the megabytes some seconds later."""
    async with AsyncExitStack() as stack:
        discord = await stack.enter_async_context(Discord(TOKEN))
        oxen = await stack.enter_async_context(FakeOxen(key=KEY))
        began = time.monotonic()
        running = await stack.enter_async_context(
            process(
                *("-m", "bot", "run"),
                folder=folder,
                DISCORD_TOKEN=TOKEN,
                DISCORD_API_URL=discord.api.url,
                OXEN_API_KEY=KEY,
                OXEN_API_URL=oxen.url,
                PRIVATE_HOSTS=oxen.cdn_host,
                LOG_LEVEL="ERROR",
            )
        )
        await discord.api.connected(60)
        ready = time.monotonic() - began
        await asyncio.sleep(IDLE_SECONDS)
        return ready, resident_mb(running.pid)


if __name__ == "__main__":
    report_imports()
    asyncio.run(report_run())
