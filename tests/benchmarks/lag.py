"""Measure the time from the end of a generation to its result: `python -m tests.benchmarks.lag`.

The real bot runs against the stand-ins, whose generations take log-normal durations around 15 s
(sigma 0.4). Beside it, in the same run, the loop of the seed documents makes as many pictures of
the same durations. For polling alone, the optimum of the schedule for a distribution that is known
exactly stands beside both, without any time of its own. The first jobs of each case are not
counted: their durations are learnt.
"""

import argparse
import asyncio
import math
import random
import statistics
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bot.sandbox.discord import Message
from bot.sandbox.generations import FakeGeneration, GenerationRunner
from bot.sandbox.http.faults import Answer
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.skills.server import FakeSkills
from bot.worker.schedule import PRICE, STEP, Schedule, optimum, schedule_of
from tests.benchmarks.ack import Discord, process, quantile
from tests.benchmarks.figures import Figure, show
from tests.benchmarks.seed_loop import SeedLoop
from tests.support.easel import KEY, TOKEN

MIDDLE, SIGMA = 15.0, 0.4  # of the durations in seconds
EVERY = 0.5  # seconds between two requests
WARM_UP = 30
JOBS, FEW = 120, 20  # that are counted
POLLED = 4  # times as many by polling alone, where a lag varies by a second: its mean is compared
SIMULATED = 4000


@dataclass(frozen=True)
class Case:
    name: str
    service: str
    stream: bool


CASES = (
    Case("Oxen.ai, stream", "oxen", stream=True),
    Case("skills.video, streams", "skills", stream=True),
    Case("skills.video, polling only", "skills", stream=False),
)


@dataclass
class Measured:
    """The lags in seconds and the polls of each job."""

    lag: list[float] = field(default_factory=list)
    polls: list[int] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return statistics.mean(self.lag)

    @property
    def cost(self) -> float:
        """What the schedule minimises: the delay, and the price of the polls."""
        return self.mean + PRICE * self.polls_a_job

    @property
    def polls_a_job(self) -> float:
        return statistics.mean(self.polls)


@dataclass(frozen=True)
class Run:
    """A running Easel and the loop, at the same stand-ins."""

    discord: Discord
    runner: GenerationRunner
    loop: SeedLoop

    async def all(self, durations: Sequence[float], subject: str) -> tuple[Measured, Measured]:
        """Make generations of these durations, EVERY seconds apart: Easel's, and the loop's."""
        easel, loop = Measured(), Measured()
        async with asyncio.TaskGroup() as group:
            for number, seconds in enumerate(durations):
                ours = f"a fox of {subject}, number {number},"
                model = self.loop.service
                asked = self.discord.ask("imagine", prompt=ours, model=model)
                group.create_task(self._one(ours, seconds, asked, easel))
                theirs = f"a hare of {subject}, number {number},"
                group.create_task(self._one(theirs, seconds, self.loop.make(theirs), loop))
                await asyncio.sleep(EVERY)
        return easel, loop

    async def _one(
        self, prompt: str, seconds: float, asked: Coroutine[Any, Any, object], measured: Measured
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asked)
            generation = await self._generation(prompt)
            # The picture is drawn before the end, as by a service, not at the first download.
            await asyncio.gather(asyncio.sleep(seconds), self.runner.picture(generation))
            self.runner.finish(generation.id)
            began = time.monotonic()
            await self.discord.api.wait_for_message(lambda each: self._is_result(each, prompt))
            measured.lag.append(time.monotonic() - began)
        measured.polls.append(generation.times_fetched)

    def _is_result(self, message: Message, prompt: str) -> bool:
        """Return whether a message is the bot's result, or the loop's, which posts nothing else."""
        return prompt in message.text() and bool(message.pictures() or prompt in self.loop.polls)

    async def _generation(self, prompt: str) -> FakeGeneration:
        while True:
            for each in reversed([*self.runner.generations.values()]):
                if each.body.get("prompt") == prompt:
                    return each
            await asyncio.sleep(0.02)


async def measure(case: Case, jobs: int) -> tuple[Measured, Measured, list[float]]:
    """Return what Easel and the loop have needed, and the durations."""
    chance = random.Random(case.name)
    durations = [_draw(chance, MIDDLE) for _ in range(WARM_UP + jobs)]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        discord = await stack.enter_async_context(Discord(TOKEN))
        oxen = await stack.enter_async_context(FakeOxen(key=KEY))
        skills = await stack.enter_async_context(FakeSkills(key=KEY, permanent=1_000_000))
        stand_in: FakeOxen | FakeSkills = oxen if case.service == "oxen" else skills
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
        session = await stack.enter_async_context(aiohttp.ClientSession())
        channel = f"{discord.api.url}/channels/{discord.channel.id}/messages"
        loop = SeedLoop(session, case.service, stand_in.url, channel)
        run = Run(discord, stand_in.runner, loop)
        await run.all(durations[:WARM_UP], "snow")
        easel, seed = await run.all(durations[WARM_UP:], "ice")
        return easel, seed, durations[WARM_UP:]


def simulated(schedule: Schedule, durations: Sequence[float]) -> Measured:
    """Return the lags and the polls of a schedule, without any time of the bot's own."""
    found = Measured()
    for duration in durations:
        age, number = 0.0, 0
        while age < duration:
            age += schedule.wait(timedelta(seconds=age)).total_seconds()
            number += 1
        found.lag.append(age - duration)
        found.polls.append(number)
    return found


def known(middle: float) -> Schedule:
    """Return the best schedule for log-normal durations that are known exactly."""
    ages = [max(number * STEP, 1e-9) for number in range(1200)]
    scaled = [math.log(age / middle) / (SIGMA * math.sqrt(2)) for age in ages]
    return Schedule(optimum([(1 - math.erf(each)) / 2 for each in scaled], PRICE), 0.0)


def shift() -> Figure:
    """Compare what is learnt of 30 jobs of twice the duration, after 20 others, with the optimum.

    Simulated.
    """
    chance = random.Random(1)
    learnt = [_draw(chance, 2 * MIDDLE) for _ in range(30)]  # the newest first
    learnt += [_draw(chance, MIDDLE) for _ in range(20)]
    durations = [_draw(chance, 2 * MIDDLE) for _ in range(SIMULATED)]
    ours, best = (simulated(each, durations) for each in (schedule_of(learnt), known(2 * MIDDLE)))
    name = "lag and polls, 30 jobs after durations doubled: over the optimum"
    return Figure(name, ours.cost / best.cost, "", at_most=1.25)


def _draw(chance: random.Random, middle: float) -> float:
    return middle * math.exp(SIGMA * chance.gauss(0, 1))


def of_streams(name: str, easel: Measured, seed: Measured) -> list[Figure]:
    found = [
        Figure(
            f"lag p{part}, {name}",
            quantile(easel.lag, part),
            "s",
            at_most=bound,
            beside={"seed loop": quantile(seed.lag, part)},
        )
        for part, bound in ((50, 0.15), (95, 0.4))
    ]
    polls = {"seed loop": seed.polls_a_job}
    return [*found, Figure(f"polls a job, {name}", easel.polls_a_job, "", 1.5, beside=polls)]


def of_polling(
    name: str, easel: Measured, seed: Measured, durations: Sequence[float]
) -> list[Figure]:
    best = simulated(known(MIDDLE), durations)
    lags = {"easel": easel.mean, "seed loop": seed.mean, "optimum": best.mean}
    polls = {"seed loop": seed.polls_a_job, "optimum": best.polls_a_job}
    return [
        Figure(f"lag, {name}: mean over the seed loop's", easel.mean / seed.mean, "", 0.62),
        Figure(
            f"lag, {name}: mean over the optimum", easel.mean / best.mean, "", 1.15, beside=lags
        ),
        Figure(
            f"polls a job, {name}",
            easel.polls_a_job,
            "",
            at_most=seed.polls_a_job,
            beside=polls,
        ),
        shift(),
    ]


async def figures(*, small: bool = False) -> list[Figure]:
    found = list[Figure]()
    for case in CASES:
        jobs = JOBS if case.stream else POLLED * JOBS
        easel, seed, durations = await measure(case, FEW if small else jobs)
        if case.stream:
            found += of_streams(case.name, easel, seed)
        else:
            found += of_polling(case.name, easel, seed, durations)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    show(asyncio.run(figures(small=parser.parse_args().small)))
