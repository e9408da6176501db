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
from tests.benchmarks.figures import Figure, show
from tests.support.easel import KEY, TOKEN

ROUNDS = 5  # of which the fastest counts, because other programs only slow down
IDLE_SECONDS = 5.0
REFERENCE = "import discord"
CHECK_AT_MOST = 2.5  # times the reference
IDLE_AT_MOST = 110.0  # MB
CHECK = "import bot.__main__, bot.observability.logs, bot.check.run"
COMMANDS = {
    "easel --help": "import bot.__main__",
    "easel check": CHECK,
    # With a database that exists.
    "easel check, of a database": f"{CHECK}, bot.check.database",
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


def imports(times: int) -> list[Figure]:
    programs = {REFERENCE: REFERENCE, **COMMANDS}
    # In turns, so that noise of the machine affects all.
    rounds = [
        {name: processor_seconds(text) for name, text in programs.items()} for _ in range(times)
    ]
    best = {name: min(each[name] for each in rounds) for name in programs}
    return [
        Figure(
            f"{name}: imports, of those of `{REFERENCE}`",
            *(best[name] / best[REFERENCE], "times"),
            at_most=CHECK_AT_MOST if name == "easel check" else None,
            beside={"ms": best[name] * 1000},
        )
        for name in COMMANDS
    ]


async def starts() -> list[Figure]:
    """Start the bot in an empty folder, where Alembic makes the tables, and once more."""
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first start", "next start"):
            ready, resident = await start_in(Path(folder))
            found.append(Figure(f"{name}: until ready", ready, "s"))
            found.append(Figure(f"{name}: idle RSS", resident, "MB", at_most=IDLE_AT_MOST))
    return found


async def figures(*, small: bool = False) -> list[Figure]:
    return [*await asyncio.to_thread(imports, 2 if small else ROUNDS), *await starts()]


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
    show(asyncio.run(figures()))
