"""Check that no member, and no service, can stop the others: `python -m tests.benchmarks.hostile`.

The real bot runs between the stand-ins, once for each attack. Ada attacks, or her jobs meet a
hostile service; Ben, in another server, asks for a picture before the attack and meanwhile. The
table has his time to delivery, the peak memory of the bot with all its children, and the peak size
of the stored pictures, beside their bounds: at most twice the quiet time, 300 MB, and KEEP_GB +
10 %.
"""

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.benchmarks import hostile_lists
from tests.benchmarks import hostile_outside as outside
from tests.benchmarks import hostile_turns as turns
from tests.benchmarks import hostile_work as work
from tests.benchmarks.figures import Figure
from tests.benchmarks.hostile_ground import Ground, ground
from tests.benchmarks.hostile_meters import RSS_BOUND, SLOWER, Outcome


class Attack(Protocol):
    def __call__(self, at: Ground, *, small: bool) -> Awaitable[list[Outcome]]: ...


@dataclass(frozen=True, slots=True)
class Row:
    """An attack, and the bot's settings besides those of the stand-ins."""

    attack: Attack
    settings: Mapping[str, str] = field(default_factory=dict)


# Where MAX_JOBS alone would stop the attack, the turns of the members are measured without it.
UNLIMITED: Mapping[str, str] = {"MAX_JOBS": "unlimited"}
ROWS: Mapping[str, Row] = {
    "budget": Row(work.budget, {"BUDGET_MONTHLY": "150"}),
    "scans": Row(work.scans),
    "pixels": Row(work.pixels, UNLIMITED),
    "segments": Row(work.segments),
    "queued": Row(work.queued, UNLIMITED),
    "storage": Row(work.storage, {"KEEP_GB": "0.05"}),
    "show": Row(work.show),
    "forms": Row(work.forms),
    "lists": Row(hostile_lists.lists),
    "refused": Row(turns.refused, UNLIMITED),
    "polls": Row(turns.polls, UNLIMITED),
    "answers": Row(outside.answers, UNLIMITED),
    "events": Row(outside.events),
    "interim": Row(outside.interim),
    "connections": Row(outside.connections),
}


async def figures(*, small: bool = False) -> list[Figure]:
    outcomes = await run_all(ROWS, small=small)
    times = [each for each in outcomes if each.longest is None and math.isfinite(each.ratio)]
    slowest = max(each.ratio for each in times)
    broken = sum(bool(each.broken) for each in outcomes)
    return [
        Figure("attacks: broken bounds", broken, "", at_most=0, beside={"of": len(outcomes)}),
        Figure("attacks: another's time over the quiet one", slowest, "", at_most=SLOWER),
        Figure("attacks: RSS", max(each.rss for each in outcomes), "MB", at_most=RSS_BOUND),
    ]


async def run_all(names: Collection[str], *, small: bool) -> list[Outcome]:
    """Run the rows, and print the table."""
    began = time.monotonic()
    outcomes: list[Outcome] = []
    for name in names:
        outcomes += await run(name, small=small)
        print(f"{name}: done after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(table(outcomes)))
    return outcomes


async def run(name: str, *, small: bool) -> list[Outcome]:
    """Run one row with a new bot and new stand-ins."""
    with tempfile.TemporaryDirectory() as folder:
        async with ground(Path(folder), ROWS[name].settings) as made:
            return await ROWS[name].attack(made, small=small)


def table(outcomes: Collection[Outcome]) -> list[str]:
    head = ("attack", "quiet", "attacked", "ratio", "peak RSS", "disk", "bounds", "")
    cells = [head, *map(row, outcomes)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    notes = [
        f"{each.name}: {note}"
        for each in outcomes
        for note in (each.note, *each.violations)
        if note
    ]
    return [*lines, "", *notes]


def row(outcome: Outcome) -> tuple[str, ...]:
    longest = outcome.longest
    times = f"{SLOWER:g} times" if longest is None else seconds(longest)
    return (
        outcome.name,
        seconds(outcome.quiet),
        seconds(outcome.attacked),
        f"{outcome.ratio:.1f}" if math.isfinite(outcome.ratio) else "-",
        f"{outcome.rss:.0f} MB",
        f"{outcome.disk:.0f} MB",
        f"{times}, {RSS_BOUND:.0f} MB, {outcome.disk_bound:.0f} MB",
        f"NOT: {', '.join(outcome.broken)}" if outcome.broken else "ok",
    )


def seconds(value: float) -> str:
    if math.isinf(value):
        return "never"
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.1f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--small", action="store_true", help="fewer requests: a test of this file")
    arguments = parser.parse_args()
    if unknown := set(arguments.rows) - ROWS.keys():
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    found = asyncio.run(run_all(arguments.rows or list(ROWS), small=arguments.small))
    sys.exit(1 if any(each.broken for each in found) else 0)
