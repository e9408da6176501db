"""Killed at each named instant, and started again: nothing is lost, and nothing is done twice."""

from pathlib import Path

import pytest

from tests.harness.crash import arena
from tests.harness.instants import NAMED, RANDOM, kill_at
from tests.harness.verdict import judge

pytestmark = pytest.mark.long

KILLS = [*NAMED, RANDOM, RANDOM, RANDOM]


@pytest.mark.parametrize("part", range(3))
async def test_nothing_is_lost_or_doubled_by_kills(tmp_path: Path, part: int) -> None:
    async with arena(tmp_path, seed=part) as made:
        reached = {name: await kill_at(made, name) for name in KILLS[part::3]}
        await made.start()
        await made.settled()
        await made.kill()
        verdict = await judge(made, unreached=[name for name, came in reached.items() if not came])

    assert verdict.wrong == {}
