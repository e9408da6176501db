"""Check that kills lose and double nothing: `python -m tests.benchmarks.crash`.

The real bot is killed (`kill -9`) with requests in flight, at named instants and at random ones,
and restarted on the same files. From time to time all jobs may settle, and in the end every request
is checked by tests/harness/verdict.py.
"""

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bot.jobs import JOB_ID_PATTERN
from tests.benchmarks.figures import Figure
from tests.harness.cluster import ClusterArena
from tests.harness.crash import Arena, arena
from tests.harness.instants import INSTANTS, kill_at
from tests.harness.verdict import Verdict, judge

CHAIN = 10  # kills in a row before all jobs may settle


async def run(kills: int, seed: int, instants: Sequence[str], kind: type[Arena]) -> Verdict:
    """Kill the bot so often, print what happened, and return what became of the requests."""
    print(f"seed {seed}", flush=True)
    reached: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with arena(Path(folder), seed, kind=kind) as made:
            for number, name in enumerate(order(kills, seed, instants), start=1):
                (reached if await kill_at(made, name) else missed)[name] += 1
                if number % CHAIN == 0 or number == kills:
                    await end(made)
                    print(
                        f"{number} kills, {len(made.requested)} requests, "
                        f"{time.monotonic() - began:.0f} s",
                        flush=True,
                    )
            await made.close()
            verdict = await judge(made, unreached=sorted(missed.elements()))
            report(reached, missed, verdict, instants)
            if isinstance(made, ClusterArena):
                print(f"killed: {counted(made.killed)}")
            print_log(made, verdict)
            return verdict


async def figures(*, small: bool = False) -> list[Figure]:
    kills = 20 if small else 200
    verdict = await run(kills, 4, list(INSTANTS), Arena)
    return of_verdict(f"{kills} kills", verdict)


def of_verdict(name: str, verdict: Verdict) -> list[Figure]:
    counted = {"lost": len(verdict.lost), "doubled": len(verdict.doubled)}
    title = f"{name}: kinds of faults"
    beside = {"requests": verdict.requests, **counted}
    return [Figure(title, len(verdict.wrong), "", at_most=0, beside=beside)]


async def end(arena: Arena) -> None:
    """Wait for all jobs. Print those that do not settle; the verdict counts them as lost."""
    await arena.start()
    try:
        await arena.settled()
    except TimeoutError as timeout:
        print(f"not settled in time:\n{timeout}", flush=True)
        print("\n".join((await arena.launch()).last_lines(30)), flush=True)


def order(kills: int, seed: int, instants: Sequence[str]) -> list[str]:
    """Return the instants in random order, each equally often."""
    names = [instants[number % len(instants)] for number in range(kills)]
    random.Random(seed).shuffle(names)
    return names


def report(
    reached: Counter[str], missed: Counter[str], verdict: Verdict, instants: Sequence[str]
) -> None:
    print(f"kills: {reached.total() + missed.total()}")
    for name in instants:
        unreached = f" (not reached: {missed[name]})" if missed[name] else ""
        print(f"  {name:<26} {reached[name]:>4}{unreached}")
    print_verdict(verdict)


def print_verdict(verdict: Verdict) -> None:
    print(
        f"requests: {verdict.requests} ({counted(verdict.fates)}); "
        f"{verdict.twins} with the prompt of another"
    )
    print(f"failed by reason: {counted(verdict.reasons) or 'none'}")
    for name, lines in (
        ("lost", verdict.lost),
        ("doubled", verdict.doubled),
        ("possibly doubled, seen by the requester alone", verdict.doubled_alone),
        ("left with an unfinished status message", verdict.unfinished),
        ("shown to the wrong request", verdict.foreign),
        ("private, but seen by others", verdict.leaked),
        ("never confirmed as delivered", verdict.undelivered),
        ("unknown outcomes", verdict.doubtful),
        ("unknown outcomes, missed by the search", verdict.missed),
        ("charged by estimate", verdict.estimated),
        ("ledger verify", [str(each) for each in verdict.findings]),
        ("violations", verdict.violations),
        ("errors logged", [f"{text} ({times})" for text, times in verdict.errors.items()]),
    ):
        print(f"{name}: {len(lines)}")
        for line in lines:
            print(f"  {line}")
    print(
        f"ledger difference: {verdict.difference / 1000:g} credits; charged for unknown outcomes, "
        f"which no member pays: {verdict.doubtful_charged / 1000:g}"
    )
    print("all is well" if verdict.good else f"NOT well: {', '.join(verdict.wrong)}")


def print_log(arena: Arena, verdict: Verdict) -> None:
    """Print the log of all jobs with errors."""
    wrong = " ".join(str(found) for found in verdict.wrong.values())
    for job_id in dict.fromkeys(re.findall(rf"job ({JOB_ID_PATTERN})", wrong)):
        print(f"the log about job {job_id}:")
        for line in arena.log:
            if line.get("job") == job_id:
                print(f"  {line}")


def counted(counter: Counter[str]) -> str:
    return ", ".join(f"{times} {name}" for name, times in sorted(counter.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--at", action="append", choices=INSTANTS, help="only these instants")
    parser.add_argument(
        "--cluster",
        action="store_true",
        help="two gateways, three workers and PostgreSQL, one of which each kill hits",
    )
    arguments = parser.parse_args()
    instants = arguments.at or list(INSTANTS)
    kind = ClusterArena if arguments.cluster else Arena
    found = asyncio.run(run(arguments.kills, arguments.seed, instants, kind))
    sys.exit(0 if found.good else 1)
