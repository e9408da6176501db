"""The real bot as a process, with many jobs, between the stand-ins in this process."""

import asyncio
import re
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import aiohttp

from bot.sandbox.discord import FakeDiscord
from bot.sandbox.oxen.server import FakeOxen
from tests.benchmarks.ack import process
from tests.benchmarks.hostile_ground import job_of
from tests.benchmarks.hostile_meters import family, resident
from tests.support.easel import KEY, TOKEN

COMMANDS = 200  # while the jobs run, of which ...
MEMBERS = 200
CHANNELS = 50
TOGETHER = 20  # commands that wait for their reply at once, until enough jobs run
EVERY = 0.05  # ... one begins in so many seconds
LONGEST = 900.0  # seconds until a measurement is given up
LOOK = 0.05
SAMPLE = 0.25
RETRY = 1.0  # seconds after a refusal


@dataclass
class Bench:
    """The bot's process, between the stand-ins in this process."""

    discord: FakeDiscord
    oxen: FakeOxen
    folder: Path
    port: int
    asked: int = 0
    refused: int = 0
    rss: float = 0.0  # MB, the peak of the bot and of its children
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

    def waited(self) -> float:
        """Return the seconds for which the bot's main thread was ready, without a processor."""
        fields = Path(f"/proc/{self.pid}/schedstat").read_text().split()
        return int(fields[1]) / 1e9

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
        """Request a job until it is accepted; return the milliseconds of the acknowledgement."""
        prompt = f"a fox, number {self.asked:05},"
        self.asked += 1
        while True:
            member, channel = next(self._members), next(self._channels)
            command = await self.discord.command(member, channel, "imagine", {"prompt": prompt})
            await command.answered()
            if job_of(command) is not None:
                return (command.acknowledged_after or 0.0) * 1000
            self.refused += 1  # such as by a disk that other programs keep busy
            await asyncio.sleep(RETRY)

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
            while self._posted() < number:
                await asyncio.sleep(LOOK * 10)

    def _posted(self) -> int:
        """Return the number of messages with files so far; `delivered` reads all messages."""
        return sum(bool(each.files) and each.status == 200 for each in self.discord.requests)

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
