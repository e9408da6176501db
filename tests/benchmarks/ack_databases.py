"""Compare the first reply on both databases: `python -m tests.benchmarks.ack_databases`.

Two bots, one with a SQLite file and one with a PostgreSQL server of its own that syncs each commit,
reply in turns, so that noise of the machine affects both. The budget: the 99th percentile on
PostgreSQL is at most 1.5 times that on SQLite.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bot.sandbox.oxen.server import FakeOxen
from tests.benchmarks.ack import IN_FLIGHT, PAUSE, SETTLE, Discord, process, quantile
from tests.benchmarks.figures import Figure, show
from tests.support import cluster
from tests.support.easel import KEY, TOKEN

BUDGET = 1.5


class Bot:
    """A bot with a Discord and an Oxen of its own."""

    def __init__(self, discord: Discord, oxen: FakeOxen) -> None:
        self.discord = discord
        self.oxen = oxen

    async def ask(self, prompt: str) -> float:
        """Request a picture, settle one job, and return the milliseconds until the reply."""
        before = len(self.oxen.generations)
        taken = await self.discord.ask("imagine", prompt=prompt)
        await self.oxen.created(before + 1)
        ended = self.discord.ended
        oldest = next(each for each in self.oxen.generations.values() if each.id not in ended)
        ended.add(oldest.id)
        if self.oxen.manual:
            self.oxen.finish(oldest.id)
        await self.discord.result_of(str(oldest.body["prompt"]))
        await asyncio.sleep(PAUSE)
        return taken

    async def fill(self) -> None:
        """Have IN_FLIGHT jobs that run until they are finished by hand."""
        self.oxen.manual = True
        already = len(self.oxen.generations)
        for number in range(IN_FLIGHT):
            await self.discord.ask("imagine", prompt=f"a whale, number {number},")
        await self.oxen.created(already + IN_FLIGHT, timeout=60)
        await asyncio.sleep(SETTLE)


@asynccontextmanager
async def bot(folder: Path, database_url: str) -> AsyncIterator[Bot]:
    folder.mkdir()
    async with AsyncExitStack() as stack:
        discord = await stack.enter_async_context(Discord(TOKEN))
        oxen = await stack.enter_async_context(FakeOxen(key=KEY, generation_seconds=0.05))
        running = process(
            "-m",
            "bot",
            "run",
            folder=folder,
            DISCORD_TOKEN=TOKEN,
            DISCORD_API_URL=discord.api.url,
            OXEN_API_KEY=KEY,
            OXEN_API_URL=oxen.url,
            PRIVATE_HOSTS=oxen.cdn_host,
            DATABASE_URL=database_url,
            PICTURES_URL=f"file://{folder}/pictures",
            LOG_LEVEL="WARNING",
        )
        await stack.enter_async_context(running)
        await discord.api.commands_registered(20)
        await discord.api.connected(20)
        yield Bot(discord, oxen)


async def measure(name: str, bots: list[Bot], rounds: int) -> Figure:
    times: list[list[float]] = [[] for _ in bots]
    for number in range(rounds):
        for each, found in zip(bots, times, strict=True):
            found.append(await each.ask(f"{name}, number {number},"))
    (sqlite, postgres) = ([quantile(each, q) for q in (50, 99)] for each in times)
    beside = {
        f"{database} p{q}": value
        for database, values in (("SQLite", sqlite), ("PostgreSQL", postgres))
        for q, value in zip((50, 99), values, strict=True)
    }
    title = f"acknowledgement, PostgreSQL over SQLite, {name}: p99"
    return Figure(title, postgres[1] / sqlite[1], "", at_most=BUDGET, beside=beside)


async def compare(folder: Path, postgres_url: str, rounds: int) -> list[Figure]:
    async with (
        bot(folder / "sqlite", "sqlite:///data/easel.db") as on_sqlite,
        bot(folder / "postgres", postgres_url) as on_postgres,
    ):
        bots = [on_sqlite, on_postgres]
        await measure("warm up", bots, 10)
        idle = await measure("idle", bots, rounds)
        for each in bots:
            await each.fill()
        return [idle, await measure(f"{IN_FLIGHT} jobs in flight", bots, rounds)]


async def figures(*, small: bool = False, rounds: int = 300) -> list[Figure]:
    place = cluster.make_folder()
    try:
        url = cluster.start(place, fsync="on", full_page_writes="on", synchronous_commit="on")
        with tempfile.TemporaryDirectory() as data:
            return await compare(Path(data), url, rounds // 6 if small else rounds)
    finally:
        cluster.remove(place)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=300)
    show(asyncio.run(figures(rounds=parser.parse_args().rounds)))
