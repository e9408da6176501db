"""Measure the time until the first reply: `python -m tests.benchmarks.ack`.

The real bot and a bare discord.py bot, each in a separate process, reply at the same stand-in of
Discord in turns, so that noise of the machine affects both. The time runs from the dispatch of the
interaction to the arrival of the callback.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from pathlib import Path

from bot.sandbox.discord import Channel, FakeDiscord, User
from bot.sandbox.oxen.server import FakeOxen
from tests.support.easel import KEY, TOKEN

IN_FLIGHT = 200
MEMBERS = 100  # of whom none has more jobs at once than MAX_JOBS allows
SETTLE = 3.0  # in seconds, until the work of the queued jobs is done
PAUSE = 0.02  # in seconds between two commands, because members do not type in a closed loop
BARE_TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ5.Cl2FMQ.bare-bot-bare-bot-bare-bot"


@asynccontextmanager
async def process(
    *arguments: str, folder: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a bot, and stop the bot at the end of the block."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    root = str(Path(__file__).parents[2])
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=folder,
        env={**inherited, "PYTHONPATH": root, **environment},
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
        await asyncio.wait_for(running.wait(), 20)


class Discord:
    """A stand-in with one server and one channel, in which members ask in turns."""

    def __init__(self, token: str) -> None:
        # A limit of messages would delay the end of the rounds, and is no part of a reply's time.
        self.api = FakeDiscord(token=token, limit_messages=False)
        self.channel: Channel
        self.members: Iterator[User]
        self.ended: set[str] = set()  # settled generations

    async def __aenter__(self) -> "Discord":
        await self.api.__aenter__()
        self.channel = self.api.add_channel(self.api.add_guild("Bench"), "art")
        self.members = cycle(self.api.add_user(f"Member {each}") for each in range(MEMBERS))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.__aexit__(None, None, None)

    async def result_of(self, prompt: str) -> None:
        await self.api.wait_for_message(
            lambda message: bool(message.pictures()) and prompt in message.text()
        )

    async def ask(self, name: str, **options: object) -> float:
        """Return the milliseconds until the acknowledgement."""
        interaction = await self.api.command(next(self.members), self.channel, name, options)
        await interaction.answered()
        return (interaction.acknowledged_after or 0.0) * 1000


async def measure(
    rounds: int, easel: Discord, bare: Discord, oxen: FakeOxen, *, subject: str
) -> tuple[list[float], list[float]]:
    """Measure both bots in turns, and settle one job for each new one to keep the number constant.

    The oldest job is settled, or the new one if Oxen's generations end without help.
    """
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        before = len(oxen.generations)
        ours.append(await easel.ask("imagine", prompt=f"{subject}, number {number},"))
        await oxen.created(before + 1)
        oldest = next(each for each in oxen.generations.values() if each.id not in easel.ended)
        easel.ended.add(oldest.id)
        if oxen.manual:
            oxen.finish(oldest.id)
        await easel.result_of(str(oldest.body["prompt"]))
        await asyncio.sleep(PAUSE)
        theirs.append(await bare.ask("ping"))
        await asyncio.sleep(PAUSE)
    return ours, theirs


def quantile(values: list[float], q: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[q - 1]


def report(name: str, ours: list[float], theirs: list[float]) -> None:
    p50, p99 = quantile(ours, 50), quantile(ours, 99)
    bare50, bare99 = quantile(theirs, 50), quantile(theirs, 99)
    print(
        f"{name:<18} easel p50 {p50:6.1f} ms  p99 {p99:6.1f} ms | "
        f"bare p50 {bare50:6.1f} ms  p99 {bare99:6.1f} ms | "
        f"p99 ratio {p99 / bare99:4.1f}"
    )


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


async def main(rounds: int) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        easel = await stack.enter_async_context(Discord(TOKEN))
        bare = await stack.enter_async_context(Discord(BARE_TOKEN))
        oxen = await stack.enter_async_context(FakeOxen(key=KEY, generation_seconds=0.05))
        running = await stack.enter_async_context(
            process(
                "-m",
                "bot",
                "run",
                folder=folder,
                DISCORD_TOKEN=TOKEN,
                DISCORD_API_URL=easel.api.url,
                OXEN_API_KEY=KEY,
                OXEN_API_URL=oxen.url,
                PRIVATE_HOSTS=oxen.cdn_host,
                LOG_LEVEL="WARNING",
            )
        )
        await stack.enter_async_context(
            process(
                "-m",
                "tests.benchmarks.bare_bot",
                folder=folder,
                BARE_TOKEN=BARE_TOKEN,
                BARE_API_URL=bare.api.url,
            )
        )
        for discord in (easel, bare):
            await discord.api.commands_registered(20)
            await discord.api.connected(20)
        await measure(10, easel, bare, oxen, subject="an owl")  # warm up
        report("idle", *await measure(rounds, easel, bare, oxen, subject="a fox"))
        oxen.manual = True  # from here on, generations end only on request
        already = len(oxen.generations)
        for number in range(IN_FLIGHT):
            await easel.ask("imagine", prompt=f"a whale, number {number},")
        await oxen.created(already + IN_FLIGHT, timeout=60)
        await asyncio.sleep(SETTLE)
        report(
            f"{IN_FLIGHT} jobs in flight",
            *await measure(rounds, easel, bare, oxen, subject="a hare"),
        )
        print(f"RSS of easel: {resident_mb(running.pid):.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=300)
    asyncio.run(main(parser.parse_args().rounds))
