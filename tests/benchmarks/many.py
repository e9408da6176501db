"""Measure many jobs in flight: `python -m tests.benchmarks.many`.

The real bot runs with 100, 1,000 and 10,000 jobs at Oxen.ai at once. Members request each of them
by `/imagine`; the generations are held, until as many jobs run as are to be measured. Then 200 more
commands arrive, 20 a second, and one generation ends for each, so that the number stays. At last
all end together. With 1,000 jobs, the bot is killed and started again before.
"""

import argparse
import asyncio
import re
import socket
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import aiohttp

from bot.sandbox.discord import FakeDiscord
from bot.sandbox.oxen.server import FakeOxen
from tests.benchmarks.ack import process
from tests.benchmarks.figures import Figure, show
from tests.benchmarks.hostile_meters import family, resident
from tests.support.easel import KEY, TOKEN

NUMBERS = (100, 1_000, 10_000)
RESTARTED = 1_000  # the number of jobs with which the bot is started again
MEMBERS = 200
CHANNELS = 50
TOGETHER = 20  # commands that wait for their reply at once, until enough jobs run
COMMANDS = 200  # while these run, of which ...
EVERY = 0.05  # ... one begins in so many seconds
LONGEST = 900.0  # seconds until a measurement is given up
LOOK = 0.05
SAMPLE = 0.25
GROWTH = 1.2  # times the figure of the smallest number, at most


@dataclass
class Bench:
    """The bot's process, between the stand-ins in this process."""

    discord: FakeDiscord
    oxen: FakeOxen
    folder: Path
    port: int
    asked: int = 0
    rss: float = 0.0  # MB, the peak of the bot and of its children
    stalls: float = 0.0  # the upper bound of the longest in seconds
    pid: int = 0
    used: float = 0.0  # processor seconds of earlier processes
    ended: set[str] = field(default_factory=set)  # generations that were told to end

    def __post_init__(self) -> None:
        guild = self.discord.add_guild("Bench")
        channels = [self.discord.add_channel(guild, f"art{each}") for each in range(CHANNELS)]
        self._channels = cycle(channels)
        self._members = cycle(self.discord.add_user(f"Member {each}") for each in range(MEMBERS))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the bot, and yield once Discord's gateway is ready."""
        bot = process(
            *("-m", "bot", "run"),
            folder=self.folder,
            DISCORD_TOKEN=TOKEN,
            DISCORD_API_URL=self.discord.url,
            OXEN_API_KEY=KEY,
            OXEN_API_URL=self.oxen.url,
            PRIVATE_HOSTS=self.oxen.cdn_host,
            HTTP_PORT=str(self.port),
            LOG_LEVEL="ERROR",
            MAX_JOBS="unlimited",
            JOB_TIMEOUT="3600",
        )
        async with bot as running:
            self.pid = running.pid
            await self.discord.connected(60)
            sampling = asyncio.create_task(self._sample())
            try:
                yield
            finally:
                self.used += self._seconds()
                self.pid = 0
                sampling.cancel()
                await asyncio.wait({sampling})
                with suppress(ProcessLookupError):
                    running.kill()
        await self.discord.disconnected()

    async def _sample(self) -> None:
        while True:
            self.rss = max(self.rss, sum(resident(each) for each in family(self.pid)))
            await asyncio.sleep(SAMPLE)

    def seconds(self) -> float:
        """Return the processor time of the bot so far, of all its processes."""
        return self.used + (self._seconds() if self.pid else 0.0)

    def _seconds(self) -> float:
        return sum(map(_processor_seconds, family(self.pid)))

    async def metrics(self) -> dict[str, float]:
        address = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            lines = (await answer.text()).splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    async def longest_stall(self) -> float:
        """Return the upper bound of the longest stall of this process, a bucket's, in ms."""
        found = await self.metrics()
        total = found["easel_event_loop_stall_seconds_count"]
        bounds = [
            float(match[1])
            for name, number in found.items()
            if (match := re.fullmatch(r'easel_event_loop_stall_seconds_bucket{le="(.+)"}', name))
            and number == total
        ]
        return min(bounds) * 1000

    async def ask(self) -> float:
        """Request a job; return the milliseconds until the acknowledgement."""
        prompt = f"a fox, number {self.asked:05},"
        self.asked += 1
        member, channel = next(self._members), next(self._channels)
        command = await self.discord.command(member, channel, "imagine", {"prompt": prompt})
        await command.answered()
        return (command.acknowledged_after or 0.0) * 1000

    async def fill(self, number: int) -> None:
        """Request so many jobs, and wait until all of them run."""
        slots = asyncio.Semaphore(TOGETHER)

        async def one() -> None:
            async with slots:
                await self.ask()

        await asyncio.gather(*(one() for _ in range(number)))
        await self.until_run(self.asked)

    async def until_run(self, number: int) -> None:
        async with asyncio.timeout(LONGEST):
            while len(self.oxen.generations) < number:
                await asyncio.sleep(LOOK)

    async def until_watched(self, number: int) -> None:
        async with asyncio.timeout(LONGEST):
            while (await self.metrics())["easel_watched_jobs"] < number:
                await asyncio.sleep(LOOK)

    async def exchange(self) -> list[float]:
        """Request jobs, and end the oldest for each; return the acknowledgements' times."""
        oldest = [each for each in self.oxen.generations if each not in self.ended]
        tasks: list[asyncio.Task[float]] = []
        async with asyncio.TaskGroup() as group:
            for id, _ in zip(oldest, range(COMMANDS), strict=False):
                tasks.append(group.create_task(self.ask()))
                self._end(id)
                await asyncio.sleep(EVERY)
        await self.until_run(self.asked)
        await self.until_delivered(len(self.ended))
        return [each.result() for each in tasks]

    def _end(self, id: str) -> None:
        self.ended.add(id)
        self.oxen.finish(id)

    async def end_all(self) -> None:
        for id in self.oxen.generations:
            if id not in self.ended:
                self._end(id)
        await self.until_delivered(self.asked)

    async def until_delivered(self, number: int) -> None:
        async with asyncio.timeout(LONGEST):
            while self.delivered().total() < number:
                await asyncio.sleep(LOOK * 10)

    def delivered(self) -> Counter[str]:
        """Return the number of messages with pictures for each prompt."""
        shown = [each for each in self.discord.world.messages.values() if each.pictures()]
        found = (re.search(r"a fox, number \d+,", each.text()) for each in shown)
        return Counter(match[0] for match in found if match)


def _processor_seconds(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / 100
    return 0.0


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # A limit of messages would only make the measurement longer.
        api = FakeDiscord(token=TOKEN, limit_messages=False)
        await stack.enter_async_context(api)
        oxen = await stack.enter_async_context(
            FakeOxen(key=KEY, generation_seconds=0.0, long_side=64)
        )
        oxen.manual = True
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        yield Bench(api, oxen, folder, port)


@dataclass
class Measured:
    """The figures with so many jobs in flight; times of processors in seconds."""

    number: int
    acks: Sequence[float] = ()
    requests: float = 0.0  # of a job at the provider
    discord: float = 0.0  # requests of a job at Discord
    filling: float = 0.0
    exchanging: float = 0.0
    ending: float = 0.0
    stall: float = 0.0
    rss: float = 0.0
    watched: float | None = None
    once: int = 0
    more: int = 0
    jobs: int = 0
    seconds: float = 0.0

    @property
    def a_job(self) -> float:
        """The milliseconds of a processor from the request of a job to its result."""
        return 1000 * (self.filling + self.ending) / self.number

    @property
    def beside_others(self) -> float:
        """The milliseconds of a processor for a job, while all others run."""
        return 1000 * self.exchanging / min(self.number, COMMANDS)


async def measure(number: int) -> Measured:
    began, found = time.monotonic(), Measured(number)
    async with bench() as made:
        async with made.running():
            await made.discord.commands_registered(60)
            await made.oxen.listening()
            before = made.seconds(), len(made.oxen.requests), len(made.discord.requests)
            await made.fill(number)
            await made.until_watched(number)
            filled = made.seconds()
            found.acks = await made.exchange()
            found.stall = await made.longest_stall()
            exchanged = made.seconds()
            if number != RESTARTED:
                await made.end_all()
                ended = made.seconds()
                found.stall = max(found.stall, await made.longest_stall())
        if number == RESTARTED:
            async with made.running():
                ready = time.monotonic()
                await made.until_watched(number)
                found.watched = time.monotonic() - ready
                exchanged_again = made.seconds()
                await made.end_all()
                ended = made.seconds() - (exchanged_again - exchanged)
                found.stall = max(found.stall, await made.longest_stall())
        found.filling, found.exchanging = filled - before[0], exchanged - filled
        found.ending = ended - exchanged
        found.requests = (len(made.oxen.requests) - before[1]) / made.asked
        found.discord = (len(made.discord.requests) - before[2]) / made.asked
        delivered = made.delivered()
        found.once = sum(each == 1 for each in delivered.values())
        found.more = sum(each > 1 for each in delivered.values())
        found.jobs, found.rss = made.asked, made.rss
    found.seconds = time.monotonic() - began
    return found


def figures_of(found: Measured, first: Measured) -> list[Figure]:
    """Return the figures, beside those of the smallest number of jobs."""
    name = f"{found.number:,} jobs in flight"
    # The smallest number may be the only one.
    most = (lambda value: GROWTH * value) if found is not first else (lambda _: None)
    acks = statistics.quantiles(found.acks, n=100, method="inclusive")
    rows = [
        Figure(f"{name}: delivered once", found.once, "jobs", at_least=found.jobs),
        Figure(f"{name}: delivered again", found.more, "jobs", at_most=0),
        Figure(f"{name}: RSS, peak", found.rss, "MB", at_most=200),
        Figure(f"{name}: processor time a job", found.a_job, "ms", at_most=most(first.a_job)),
        Figure(
            f"{name}: processor time of a job beside them",
            *(found.beside_others, "ms"),
            at_most=most(first.beside_others),
        ),
        Figure(
            f"{name}: requests a job to the provider",
            *(found.requests, ""),
            at_most=most(first.requests),
        ),
        Figure(
            f"{name}: requests a job to Discord", found.discord, "", at_most=most(first.discord)
        ),
        Figure(
            f"{name}: command → acknowledgement, p99",
            *(acks[98], "ms"),
            at_most=100,
            beside={"p50": acks[49], "longest": max(found.acks)},
        ),
        Figure(f"{name}: longest acknowledgement", max(found.acks), "ms", at_most=1000),
        Figure(f"{name}: longest stall, its bucket", found.stall, "ms", at_most=50),
    ]
    if found.watched is not None:
        rows.append(
            Figure(f"{name}: from ready to all watched", found.watched, "s", at_most=2),
        )
    return rows


async def figures(*, small: bool = False, numbers: Sequence[int] = ()) -> list[Figure]:
    found: list[Measured] = []
    rows: list[Figure] = []
    for number in numbers or (NUMBERS[:2] if small else NUMBERS):
        found.append(await measure(number))
        print(f"{number} jobs: {found[-1].seconds:.0f} s", flush=True)
        rows += figures_of(found[-1], found[0])
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int)
    show(asyncio.run(figures(numbers=parser.parse_args().numbers)))
