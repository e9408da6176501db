"""Measure many jobs in flight: `python -m tests.benchmarks.many`.

The real bot runs with 100, 1,000 and 10,000 jobs at Oxen.ai at once. Members request each of them
by `/imagine`; the generations are held, until as many jobs run as are to be measured. Then 200 more
commands arrive, 20 a second, and one generation ends for each, so that the number stays. At last
all end together. With 1,000 jobs, the bot is killed and started again before.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.figures import Figure, show
from tests.benchmarks.many_ground import COMMANDS, bench

NUMBERS = (100, 1_000, 10_000)
RESTARTED = 1_000  # the number of jobs with which the bot is started again
GROWTH = 1.2  # times the figure of the smallest number, at most


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
    waited: float = 0.0  # seconds without a processor, because of other programs
    rss: float = 0.0
    watched: float | None = None
    once: int = 0
    more: int = 0
    jobs: int = 0
    refused: int = 0

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

    def say(what: str) -> None:
        print(f"{number} jobs: {what} after {time.monotonic() - began:.0f} s", flush=True)

    async with bench() as made:
        async with made.running():
            await made.discord.commands_registered(60)
            await made.oxen.listening()
            before = made.seconds(), len(made.oxen.requests), len(made.discord.requests)
            await made.fill(number)
            await made.until_watched(number)
            filled = made.seconds()
            say(f"all run ({1000 * (filled - before[0]) / number:.0f} ms each, {made.rss:.0f} MB)")
            found.acks = await made.exchange()
            found.stall = await made.longest_stall()
            found.waited = made.waited()
            exchanged = made.seconds()
            longest = max(found.acks)
            say(f"{len(found.acks)} more delivered (acknowledged within {longest:.0f} ms)")
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
        found.jobs, found.rss, found.refused = made.asked, made.rss, made.refused
    say("all delivered")
    return found


def figures_of(found: Measured, first: Measured) -> list[Figure]:
    """Return the figures, beside those of the smallest number of jobs."""
    name = f"{found.number:,} jobs in flight"
    # The smallest number may be the only one.
    most = (lambda value: GROWTH * value) if found is not first else (lambda _: None)
    acks = statistics.quantiles(found.acks, n=100, method="inclusive")
    rows = [
        Figure(f"{name}: delivered once", found.once, "jobs", at_least=found.jobs),
        Figure(f"{name}: requests refused", found.refused, "", at_most=0),
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
        Figure(
            f"{name}: longest stall, its bucket",
            found.stall,
            "ms",
            at_most=50,
            beside={"s without a processor": found.waited},
        ),
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
        rows += figures_of(found[-1], found[0])
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int)
    show(asyncio.run(figures(numbers=parser.parse_args().numbers)))
