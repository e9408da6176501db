"""Measure the throughput: `python -m tests.benchmarks.throughput`.

Jobs a second from the first command to the last result, with SQLite in one process, and with a
gateway and 1, 2 and 4 workers on PostgreSQL. The stand-ins have no artificial limits, and run in
this process; the processor time of each process shows where the time goes.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox.oxen.server import FakeOxen
from tests.benchmarks.ack import Discord, process
from tests.benchmarks.figures import Figure, show
from tests.support import cluster
from tests.support.easel import KEY, TOKEN

WORKERS = (1, 2, 4)
TOGETHER = 40  # commands that wait for their reply at once
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}  # as SQLite's file
SETTLE_SECONDS = 300.0
LOOK = 0.05  # seconds


@dataclass(frozen=True)
class Easel:
    """An Easel of one or more processes, with stand-ins of its own."""

    discord: Discord
    oxen: FakeOxen
    pids: dict[str, int]
    refused: list[str] = field(default_factory=list)  # prompts that were sent again

    def seconds(self) -> dict[str, float]:
        """Return the processor time of each process so far."""
        return {name: _seconds(pid) for name, pid in self.pids.items()}


@asynccontextmanager
async def easel(database_url: str | None, *commands: Sequence[str]) -> AsyncIterator[Easel]:
    """Run a process for each command, by default `easel run`; without a URL, on a SQLite file."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        discord = await stack.enter_async_context(Discord(TOKEN))
        oxen = await stack.enter_async_context(FakeOxen(key=KEY, generation_seconds=0.0))
        shared = {"DATABASE_URL": database_url, "PICTURES_URL": f"file://{folder}/pictures"}
        environment = {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": discord.api.url,
            "OXEN_API_KEY": KEY,
            "OXEN_API_URL": oxen.url,
            "PRIVATE_HOSTS": oxen.cdn_host,
            "LOG_LEVEL": "ERROR",
            "MAX_JOBS": "unlimited",
            **({name: str(value) for name, value in shared.items()} if database_url else {}),
        }
        pids: dict[str, int] = {}
        for number, command in enumerate(commands or [("run",)]):
            running = await stack.enter_async_context(
                process("-m", "bot", *command, folder=folder, **environment)
            )
            pids[f"{command[0]} {number}"] = running.pid
        await discord.api.commands_registered(30)
        await discord.api.connected(30)
        yield Easel(discord, oxen, pids)


async def throughput(name: str, jobs: int, url: str | None, *commands: Sequence[str]) -> Figure:
    async with easel(url, *commands) as made:
        await _jobs(made, 20, "an owl")  # warm up
        before, own, began = made.seconds(), time.process_time(), time.monotonic()
        await _jobs(made, jobs, "a fox")
        took = time.monotonic() - began
        used = {each: total - before[each] for each, total in made.seconds().items()}
        beside = {f"{each} ms a job": 1000 * seconds / jobs for each, seconds in used.items()}
        beside["refused once"] = len(made.refused)
        beside["stand-ins"] = 1000 * (time.process_time() - own) / jobs
        return Figure(f"throughput: {name}", jobs / took, "jobs/s", beside=beside)


async def _jobs(made: Easel, number: int, subject: str) -> None:
    """Send commands, and wait for the results of all."""
    limit, world = asyncio.Semaphore(TOGETHER), made.discord.api.world
    before = len(world.messages)

    async def ask(index: int) -> None:
        async with limit:
            prompt = f"{subject}, number {index},"
            while not await made.discord.accepts("imagine", prompt=prompt):
                made.refused.append(prompt)

    async with asyncio.timeout(SETTLE_SECONDS):
        await asyncio.gather(*(ask(index) for index in range(number)))
        # A look now and then: one at each message would cost more than the messages.
        while sum(bool(each.pictures()) for each in [*world.messages.values()][before:]) < number:
            await asyncio.sleep(LOOK)


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def figures(*, small: bool = False, jobs: int = 300) -> list[Figure]:
    jobs, workers = (jobs // 5, WORKERS[:1]) if small else (jobs, WORKERS)
    folder = cluster.make_folder()
    server = cluster.Cluster(cluster.start(folder, **DURABLE))
    try:
        found = [await throughput("SQLite, one process", jobs, None)]
        for number in workers:
            commands = [("gateway",), *([("worker",)] * number)]
            database = f"workers_{number}"
            await server.execute(f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'")
            name = f"PostgreSQL, {number} workers"
            found.append(await throughput(name, jobs, server.named(database), *commands))
        return found
    finally:
        cluster.remove(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="?", type=int, default=300)
    show(asyncio.run(figures(jobs=parser.parse_args().jobs)))
