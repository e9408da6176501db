"""Measure the time from the end of a generation to its result: `python -m tests.benchmarks.lag`.

The real bot runs against the stand-ins, whose generations take log-normal durations around 15 s
(sigma 0.4). Beside it stands the loop of the seed documents, which asks every 5 s, computed for the
same durations without any time of its own; and for polling alone, the optimum of the schedule for a
distribution that is known exactly. The first jobs of each case are not counted: their durations are
learnt.
"""

import argparse
import asyncio
import math
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from bot.sandbox.generations import FakeGeneration, GenerationRunner
from bot.sandbox.http.faults import Answer
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.skills.server import FakeSkills
from bot.worker.schedule import LONGEST, PRICE, STEP, Schedule, learnt, optimum
from tests.benchmarks.ack import Discord, process
from tests.support.easel import KEY, TOKEN

MIDDLE, SIGMA = 15.0, 0.4  # of the durations in seconds
SEED_INTERVAL = 5.0
EVERY = 0.4  # seconds between two requests
WARM_UP = 30


class StandIn(Protocol):
    runner: GenerationRunner


@dataclass(frozen=True)
class Case:
    name: str
    model: str
    stream: bool


CASES = (
    Case("Oxen.ai, its stream", "oxen", stream=True),
    Case("skills.video, its streams", "skills", stream=True),
    Case("skills.video, polling only", "skills", stream=False),
)


async def lags(case: Case, jobs: int) -> tuple[list[float], list[float], list[int]]:
    """Return the durations, and for each job the lag in seconds and the number of polls."""
    chance = random.Random(case.name)
    durations = [MIDDLE * math.exp(SIGMA * chance.gauss(0, 1)) for _ in range(WARM_UP + jobs)]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        discord = await stack.enter_async_context(Discord(TOKEN))
        oxen = await stack.enter_async_context(FakeOxen(key=KEY))
        skills = await stack.enter_async_context(FakeSkills(key=KEY, permanent=1_000_000))
        stand_in: StandIn = oxen if case.model == "oxen" else skills
        stand_in.runner.manual = True
        if not case.stream:
            oxen.faults.add("GET", "/api/events", Answer(503), times=None)
        running = process(
            *("-m", "bot", "run"),
            folder=folder,
            DISCORD_TOKEN=TOKEN,
            DISCORD_API_URL=discord.api.url,
            OXEN_API_KEY=KEY,
            OXEN_API_URL=oxen.url,
            SKILLS_API_KEY=KEY,
            SKILLS_API_URL=skills.url,
            SKILLS_STREAM="auto" if case.stream else "off",
            PRIVATE_HOSTS=f"{oxen.cdn_host},{skills.cdn_host}",
            LOG_LEVEL="ERROR",
            MAX_JOBS="unlimited",
        )
        await stack.enter_async_context(running)
        await discord.api.commands_registered(30)
        await discord.api.connected(30)
        await asyncio.sleep(2)  # the streams are opened
        await _all(discord, stand_in.runner, case.model, durations[:WARM_UP], "snow")
        found = await _all(discord, stand_in.runner, case.model, durations[WARM_UP:], "ice")
        made = [*stand_in.runner.generations.values()][WARM_UP:]
        return durations[WARM_UP:], found, [each.times_fetched for each in made]


async def _all(
    discord: Discord,
    runner: GenerationRunner,
    model: str,
    durations: Sequence[float],
    subject: str,
) -> list[float]:
    """Make jobs of these durations, EVERY seconds apart; return their lags."""
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number, seconds in enumerate(durations):
            prompt = f"a fox of {subject}, number {number},"
            tasks.append(group.create_task(_one(discord, runner, model, prompt, seconds)))
            await asyncio.sleep(EVERY)
    return [each.result() for each in tasks]


async def _one(
    discord: Discord, runner: GenerationRunner, model: str, prompt: str, seconds: float
) -> float:
    await discord.ask("imagine", prompt=prompt, model=model)
    generation = await _generation(runner, prompt)
    await asyncio.sleep(seconds)
    runner.finish(generation.id)
    began = time.monotonic()
    await discord.result_of(prompt)
    return time.monotonic() - began


async def _generation(runner: GenerationRunner, prompt: str) -> FakeGeneration:
    while True:
        for each in reversed([*runner.generations.values()]):
            if each.body.get("prompt") == prompt:
                return each
        await asyncio.sleep(0.02)


def of_seed(durations: Sequence[float]) -> tuple[list[float], list[int]]:
    """Return the lags and the polls of a loop that asks every SEED_INTERVAL seconds."""
    polls = [math.ceil(each / SEED_INTERVAL) for each in durations]
    return [
        number * SEED_INTERVAL - each for number, each in zip(polls, durations, strict=True)
    ], polls


def of_optimum(durations: Sequence[float]) -> tuple[list[float], list[int]]:
    """Return the lags and the polls by the best schedule for the distribution itself."""
    chance = random.Random(1)
    drawn = [MIDDLE * math.exp(SIGMA * chance.gauss(0, 1)) for _ in range(2000)]
    ended = learnt(drawn)
    lasting = [1 - ended(number * STEP) for number in range(int(LONGEST / STEP) // 4)]
    schedule = Schedule(optimum(lasting, PRICE), 0.0)
    found, polls = list[float](), list[int]()
    for duration in durations:
        age, number = 0.0, 0
        while age < duration:
            age += schedule.wait(timedelta(seconds=age)).total_seconds()
            number += 1
        found.append(age - duration)
        polls.append(number)
    return found, polls


def show(name: str, lag: Sequence[float], polls: Sequence[int]) -> None:
    ordered = statistics.quantiles(lag, n=100, method="inclusive")
    print(
        f"{name:<28} lag mean {statistics.mean(lag):5.2f} s  p50 {ordered[49]:5.2f}  "
        f"p95 {ordered[94]:5.2f}  polls a job {statistics.mean(polls):4.2f}"
    )


async def main(jobs: int) -> None:
    for case in CASES:
        durations, lag, polls = await lags(case, jobs)
        show(case.name, lag, polls)
        show("  asking every 5 s", *of_seed(durations))
        if not case.stream:
            show("  the optimum", *of_optimum(durations))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="?", type=int, default=60)
    asyncio.run(main(parser.parse_args().jobs))
