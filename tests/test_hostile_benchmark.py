"""The benchmark of attacks itself, in the shorter form (tests/benchmarks/hostile.py)."""

import math

import pytest

from tests.benchmarks.hostile import run, table

pytestmark = pytest.mark.long


# One of each kind, since each takes seconds of both cores; `python -m tests.benchmarks --small
# hostile` runs all.
@pytest.mark.parametrize("name", ["budget", "scans", "storage", "lists", "polls", "interim"])
async def test_an_attack_is_measured(name: str) -> None:
    outcomes = await run(name, small=True)

    assert outcomes
    for each in outcomes:
        assert math.isfinite(each.quiet)
        assert math.isfinite(each.attacked)
        assert each.rss > 20  # MB: the bot was measured
        assert set(each.broken) <= {"time"}  # which other tests of this machine may take
    lines = table(outcomes)
    assert all(any(line.startswith(each.name) for line in lines) for each in outcomes)
