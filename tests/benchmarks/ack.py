"""Measure the time until the first reply: `python -m tests.benchmarks.ack`.

The real bot and a bare discord.py bot, each in a separate process, reply at stand-ins of Discord in
turns, so that noise of the machine affects both. The time runs from the dispatch of the interaction
to the arrival of the callback. That of `/imagine` includes the check of the request, the hold of
the price and the write of the job to the disk.

Under load, commands are sent at fixed times, whether or not the earlier ones were answered. Their
jobs are drawn meanwhile, and their results posted.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from bot.sandbox.discord import Channel, FakeDiscord, Interaction, User
from bot.sandbox.oxen.server import FakeOxen
from tests.benchmarks.figures import Figure, show
from tests.benchmarks.stalls import longest
from tests.support.easel import KEY, TOKEN

IN_FLIGHT = 200
MEMBERS = 100  # of whom none has more jobs at once than MAX_JOBS allows
TOGETHER = 20  # members who send a command at the same time
RATE = 50  # commands a second
MINUTE, MOMENT = 60, 10  # seconds of that
LONG_SIDE = 64  # pixels: the stand-in's drawing takes none of the bot's time
SETTLE = 3.0  # in seconds, until the work of the queued jobs is done
PAUSE = 0.02  # in seconds between two commands, because members do not type in a closed loop
BARE_TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ5.Cl2FMQ.bare-bot-bare-bot-bare-bot"
SLOWEST = 1000.0  # ms of any acknowledgement
P99 = 100.0  # ms


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
        interaction = await self._answered(name, options)
        return (interaction.acknowledged_after or 0.0) * 1000

    async def accepts(self, name: str, **options: object) -> bool:
        """Return whether the command has begun a job, whose message everybody sees."""
        message = (await self._answered(name, options)).message
        return message is not None and message.ephemeral_to is None

    async def _answered(self, name: str, options: Mapping[str, object]) -> Interaction:
        interaction = await self.api.command(next(self.members), self.channel, name, options)
        return await interaction.answered()


@dataclass(frozen=True)
class Bots:
    """Easel and the bare bot, each at its own stand-in of Discord."""

    easel: Discord
    bare: Discord
    oxen: FakeOxen
    pid: int  # of Easel
    stalls: Path

    async def in_turns(self, rounds: int, *, subject: str) -> tuple[list[float], list[float]]:
        """Ask both bots in turns, and settle one job for each new one: their number is constant.

        The oldest job is settled, or the new one if Oxen's generations end without help.
        """
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(rounds):
            before = len(self.oxen.generations)
            ours.append(await self.easel.ask("imagine", prompt=f"{subject}, number {number},"))
            await self.oxen.created(before + 1)
            oldest = next(
                each for each in self.oxen.generations.values() if each.id not in self.easel.ended
            )
            self.easel.ended.add(oldest.id)
            if self.oxen.manual:
                self.oxen.finish(oldest.id)
            await self.easel.result_of(str(oldest.body["prompt"]))
            await asyncio.sleep(PAUSE)
            theirs.append(await self.bare.ask("ping"))
            await asyncio.sleep(PAUSE)
        return ours, theirs

    async def together(self, rounds: int) -> tuple[list[float], list[float]]:
        """Let TOGETHER members ask at once, each bot in turn."""
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(rounds):
            asked = [
                self.easel.ask("imagine", prompt=f"a wolf, number {number}-{each},")
                for each in range(TOGETHER)
            ]
            ours += await asyncio.gather(*asked)
            await self._drawn()
            theirs += await asyncio.gather(*(self.bare.ask("ping") for _ in range(TOGETHER)))
        return ours, theirs

    async def load(self, seconds: int) -> tuple[list[float], list[float]]:
        """Send RATE commands a second: first to Easel, then to the bare bot."""
        ours = await self._at_rate(
            seconds, lambda number: self.easel.ask("imagine", prompt=f"a crow, number {number},")
        )
        await self._drawn()
        theirs = await self._at_rate(min(seconds, MOMENT), lambda _: self.bare.ask("ping"))
        return ours, theirs

    async def _at_rate(
        self, seconds: int, ask: Callable[[int], Coroutine[Any, Any, float]]
    ) -> list[float]:
        began, tasks = time.monotonic(), list[asyncio.Task[float]]()
        for number in range(seconds * RATE):
            await asyncio.sleep(began + number / RATE - time.monotonic())
            tasks.append(asyncio.create_task(ask(number)))
        return await asyncio.gather(*tasks)

    async def _drawn(self) -> None:
        """Wait until every result is posted."""
        world = self.easel.api.world
        async with asyncio.timeout(300):
            while sum(bool(each.pictures()) for each in world.messages.values()) < len(
                self.oxen.generations
            ):
                await asyncio.sleep(0.2)
        self.easel.ended.update(self.oxen.generations)


@asynccontextmanager
async def bots() -> AsyncIterator[Bots]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stalls = folder / "stalls"
        easel = await stack.enter_async_context(Discord(TOKEN))
        bare = await stack.enter_async_context(Discord(BARE_TOKEN))
        oxen = FakeOxen(key=KEY, generation_seconds=0.05, long_side=LONG_SIDE)
        await stack.enter_async_context(oxen)
        running = await stack.enter_async_context(
            process(
                *("-m", "tests.benchmarks.stalls", str(stalls), "run"),
                folder=folder,
                DISCORD_TOKEN=TOKEN,
                DISCORD_API_URL=easel.api.url,
                OXEN_API_KEY=KEY,
                OXEN_API_URL=oxen.url,
                PRIVATE_HOSTS=oxen.cdn_host,
                LOG_LEVEL="ERROR",
                MAX_JOBS="unlimited",
            )
        )
        await stack.enter_async_context(
            process(
                *("-m", "tests.benchmarks.bare_bot"),
                folder=folder,
                BARE_TOKEN=BARE_TOKEN,
                BARE_API_URL=bare.api.url,
            )
        )
        for discord in (easel, bare):
            await discord.api.commands_registered(20)
            await discord.api.connected(20)
        yield Bots(easel, bare, oxen, running.pid, stalls)


def quantile(values: list[float], q: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[q - 1]


def acknowledgement(name: str, ours: list[float], theirs: list[float]) -> list[Figure]:
    beside = {
        "p50": quantile(ours, 50),
        "bare p50": quantile(theirs, 50),
        "bare p99": quantile(theirs, 99),
    }
    return [
        Figure(f"acknowledgement p99, {name}", quantile(ours, 99), "ms", P99, beside=beside),
        Figure(
            f"acknowledgement, the slowest, {name}",
            max(ours),
            "ms",
            SLOWEST,
            beside={"bare": max(theirs)},
        ),
    ]


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


async def figures(*, small: bool = False, rounds: int = 300) -> list[Figure]:
    if small:
        rounds = 50
    seconds = MOMENT if small else MINUTE
    async with bots() as at:
        await at.in_turns(10, subject="an owl")  # warm up
        began = time.monotonic()
        found = acknowledgement("idle", *await at.in_turns(rounds, subject="a fox"))
        found += acknowledgement(f"{TOGETHER} members at once", *await at.together(rounds // 20))
        name = f"{RATE} commands a second for {seconds} s"
        found += acknowledgement(name, *await at.load(seconds))
        at.oxen.manual = True  # from here on, generations end only on request
        already = len(at.oxen.generations)
        for number in range(IN_FLIGHT):
            await at.easel.ask("imagine", prompt=f"a whale, number {number},")
        await at.oxen.created(already + IN_FLIGHT, timeout=60)
        await asyncio.sleep(SETTLE)
        name = f"{IN_FLIGHT} jobs in flight"
        found += acknowledgement(name, *await at.in_turns(rounds, subject="a hare"))
        stall, worked = (1000 * each for each in longest(at.stalls, began))
        found.append(
            Figure(
                *("event loop, the longest stall, commands", stall, "ms"),
                at_most=50,
                beside={"processor": worked},
            )
        )
        found.append(Figure(f"RSS with {IN_FLIGHT} jobs in flight", resident_mb(at.pid), "MB"))
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=300)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    show(asyncio.run(figures(small=arguments.small, rounds=arguments.rounds)))
