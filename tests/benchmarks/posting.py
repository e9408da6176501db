"""Measure the posting of results: `python -m tests.benchmarks.posting`.

Finished jobs wait in many channels, as after an outage, and the stand-in enforces Discord's limits
with 429. Members send commands meanwhile. A second run has pictures of 8 MB, from their download
on. The bot is a process of its own, and the stand-ins run in this one.
"""

import argparse
import asyncio
import random
import re
import sqlite3
import statistics
import struct
import tempfile
import time
import zlib
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox.discord import Channel, FakeDiscord, User
from bot.sandbox.http.faults import Answer, Stall
from bot.sandbox.oxen.server import FakeOxen
from tests.benchmarks import stalls
from tests.benchmarks.ack import process, quantile
from tests.benchmarks.figures import Figure, show
from tests.benchmarks.throughput import _seconds as processor_seconds
from tests.support.easel import KEY, TOKEN

CHANNELS, RESULTS = 120, 720
LARGE = 40  # results of LARGE_BYTES
LARGE_BYTES = 8_000_000
COMMANDS = 5  # a second
TOGETHER = 20  # commands that wait for their reply at once
DISTANCE = 0.15  # seconds until Discord answers a post or a removal
POST = re.compile(r"/api/v10/channels/\d+/messages")
SECONDS = 120.0  # for each part
WAITING = "SELECT count(*) FROM jobs WHERE settled_at IS NOT NULL AND delivered_at IS NULL"
JOBS = "SELECT count(*) FROM jobs"
DELIVERED = "SELECT count(*) FROM jobs WHERE delivered_at IS NOT NULL"
FRESH = """UPDATE jobs SET delivery_attempts = 0, delivery_started_at = NULL, deliver_after = NULL,
    delivery_error = NULL WHERE delivered_at IS NULL"""


class Painter(FakeOxen):
    """An Oxen.ai whose pictures have LARGE_BYTES of noise if `large`, each with other bytes."""

    large = False
    noise = b""

    async def open_picture(self, path: str) -> tuple[bytes, str] | None:
        found = await super().open_picture(path)
        if found is None or not self.large:
            return found
        self.noise = self.noise or _noise()
        return _with_text(self.noise, path), "image/png"


@dataclass
class Bench:
    """A bot with stand-ins. `since` is the monotonic time of the measurement's beginning."""

    discord: FakeDiscord
    oxen: Painter
    folder: Path
    channels: list[Channel]
    members: list[User]
    acknowledged: list[float] = field(default_factory=list)  # milliseconds
    load: list[tuple[float, float]] = field(default_factory=list)  # time and processor seconds
    since: float = 0.0
    pid: int = 0

    @property
    def stall_file(self) -> Path:
        return self.folder / "stalls"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        environment = {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": self.discord.url,
            "OXEN_API_KEY": KEY,
            "OXEN_API_URL": self.oxen.url,
            "PRIVATE_HOSTS": self.oxen.cdn_host,
            "LOG_LEVEL": "ERROR",
            "MAX_JOBS": "unlimited",
        }
        arguments = ("-m", "tests.benchmarks.stalls", str(self.stall_file), "run")
        async with process(*arguments, folder=self.folder, **environment) as running:
            self.pid, self.since = running.pid, time.monotonic()
            yield

    async def connected(self) -> None:
        await self.discord.commands_registered(30)
        await self.discord.connected(30)

    async def ask(self, number: int) -> float:
        """Send a command; return the milliseconds until the acknowledgement."""
        channel = self.channels[number % len(self.channels)]
        member = self.members[number % len(self.members)]
        options = {"prompt": f"a fox, number {number},"}
        interaction = await self.discord.command(member, channel, "imagine", options)
        await interaction.answered()
        return (interaction.acknowledged_after or 0.0) * 1000

    async def ask_many(self, number: int) -> None:
        limit = asyncio.Semaphore(TOGETHER)

        async def one(index: int) -> None:
            async with limit:
                await self.ask(index)

        await asyncio.gather(*(one(index) for index in range(number)))
        while (made := self.query(JOBS)) < number:  # a busy machine may have refused some
            await self.ask(made)

    async def keep_asking(self) -> None:
        """Send commands whose jobs do not end, COMMANDS a second."""
        async with asyncio.TaskGroup() as group:
            for number in range(10_000, 20_000):
                group.create_task(self._note(number))
                await asyncio.sleep(1 / COMMANDS)

    async def _note(self, number: int) -> None:
        self.acknowledged.append(await self.ask(number))

    async def watch_load(self) -> None:
        while True:
            self.load.append((time.monotonic(), processor_seconds(self.pid)))
            await asyncio.sleep(0.1)

    def posts(self) -> list[float]:
        """Return the monotonic times at which results were posted, since the beginning."""
        ahead = self.discord.rest.clock() - time.monotonic()
        return sorted(
            each.at - ahead
            for each in self.discord.requests
            if each.method == "POST" and each.status == 200 and POST.fullmatch(each.path)
        )

    async def delivered(self, number: int) -> None:
        """Wait until so many results are delivered, each by one message."""
        async with asyncio.timeout(SECONDS):
            while self.query(DELIVERED) < number:
                await asyncio.sleep(0.5)
        shown = [each for each in self.discord.world.messages.values() if each.pictures()]
        if not len(self.posts()) == len(shown) == number:
            raise RuntimeError(f"{len(shown)} messages, {len(self.posts())} posts, {number} jobs")

    def share(self, since: float, until: float) -> float:
        """Return the share of one core between two times."""
        times = [each for each, _ in self.load]
        first, last = self.load[bisect_left(times, since) - 1], self.load[bisect_left(times, until)]
        return (last[1] - first[1]) / (last[0] - first[0])

    def peak(self) -> float:
        """Return the largest RSS of the bot in MB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(each.split()[1]) for each in lines if each.startswith("VmHWM:")) / 1024

    def query(self, statement: str) -> int:
        with closing(sqlite3.connect(self.folder / "data" / "easel.db", timeout=30)) as database:
            row = database.execute(statement).fetchone()
            database.commit()
        return int(row[0]) if row else 0


@asynccontextmanager
async def bench(channels: int) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        discord = await stack.enter_async_context(FakeDiscord(token=TOKEN))
        oxen = await stack.enter_async_context(Painter(key=KEY, generation_seconds=0.0))
        oxen.long_side = 64
        guild = discord.add_guild("Bench")
        made = [discord.add_channel(guild, f"art-{each}") for each in range(channels)]
        members = [discord.add_user(f"Member {each}") for each in range(channels)]
        yield Bench(discord, oxen, folder, made, members)


async def waiting_results(results: int, channels: int, name: str) -> list[Figure]:
    """Post results that wait, with pictures of a few kilobytes."""
    async with bench(channels) as made:
        rule = made.discord.faults.add("POST", POST.pattern, Answer(503), times=None)
        made.discord.limits.enabled = False
        async with made.running(), asyncio.timeout(SECONDS):
            await made.connected()
            await made.ask_many(results)
            while made.query(WAITING) < results:
                await asyncio.sleep(0.5)
        made.query(FRESH)
        made.discord.faults.forget(rule)
        made.discord.limits.enabled = True
        made.discord.requests.clear()
        made.oxen.manual = True
        made.discord.faults.add("POST", POST.pattern, Stall(DISTANCE), times=None)
        made.discord.faults.add("DELETE", ".*", Stall(DISTANCE), times=None)
        async with made.running():
            watch = asyncio.create_task(made.watch_load())
            await made.connected()
            asking = asyncio.create_task(made.keep_asking())
            await made.delivered(results)
            asking.cancel()
            await asyncio.sleep(0.3)
            watch.cancel()
            return figures_of(made, name, rate=True)


async def large_results(results: int, channels: int, name: str) -> list[Figure]:
    """Make and post results of LARGE_BYTES, four jobs of a member at once."""
    async with bench(channels) as made:
        made.oxen.large = True
        async with made.running():
            await made.connected()
            watch = asyncio.create_task(made.watch_load())
            await asyncio.sleep(2)
            made.since = time.monotonic()
            await made.ask_many(results)
            for each in await made.oxen.created(results):
                await made.oxen.settled(each.id)
            made.oxen.manual = True
            asking = asyncio.create_task(made.keep_asking())
            await made.delivered(results)
            asking.cancel()
            await asyncio.sleep(0.3)
            watch.cancel()
            return figures_of(made, name, rate=False)


def figures_of(made: Bench, name: str, *, rate: bool) -> list[Figure]:
    """Return the figures, of the time in which the middle 80 % of the results were posted."""
    times = made.posts()
    since, until = times[len(times) // 10], times[len(times) * 9 // 10]
    sustained = (len(times) * 9 // 10 - len(times) // 10) / (until - since)
    refused = sum(each.status == 429 for each in made.discord.requests)
    asked = len(made.acknowledged)
    acknowledged = made.acknowledged if asked > 1 else [float("nan")] * 2
    quick = {"commands": asked, "p50": statistics.median(acknowledged)}
    stall, worked = stalls.longest(made.stall_file, since if rate else made.since)
    meanwhile = {"of processor time": worked * 1000}
    return [
        Figure(f"{name}: posts", sustained, "1/s", at_least=45.0 if rate else None),
        Figure(f"{name}: answers of 429", refused, "", beside={"posts": len(times)}),
        Figure(f"{name}: processor", made.share(since, until), "cores", at_most=1.0),
        Figure(
            f"{name}: acknowledgement p99", quantile(acknowledged, 99), "ms", 100.0, None, quick
        ),
        Figure(
            f"{name}: longest stall of the event loop", stall * 1000, "ms", 50.0, None, meanwhile
        ),
        Figure(f"{name}: largest RSS", made.peak(), "MB", at_most=200.0),
    ]


def _noise() -> bytes:
    """Return a PNG of LARGE_BYTES, which nothing compresses."""
    width, height = 2048, LARGE_BYTES // (2048 * 3)
    rows = random.Random(1).randbytes((width * 3 + 1) * height)
    rows = b"".join(
        b"\0" + rows[at + 1 : at + width * 3 + 1] for at in range(0, len(rows), width * 3 + 1)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in parts)


def _with_text(png: bytes, text: str) -> bytes:
    """Return the picture with a text of its own, so that no two have the same bytes."""
    end = png.rindex(b"IEND") - 4
    return png[:end] + _chunk(b"tEXt", b"Comment\0" + text.encode()) + png[end:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


async def figures(*, small: bool = False) -> list[Figure]:
    results, channels, large = (240, 60, 16) if small else (RESULTS, CHANNELS, LARGE)
    found = await waiting_results(results, channels, f"{results} waiting results")
    return found + await large_results(large, channels, f"{large} results of 8 MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a third of the results")
    show(asyncio.run(figures(small=parser.parse_args().small)))
