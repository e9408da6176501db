"""Gateways and workers as processes of their own, on one PostgreSQL server."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox.http.faults import Hold, Rule
from tests.harness.cluster import COMMANDS, GATEWAYS, ClusterArena
from tests.harness.crash import START_SECONDS, arena
from tests.harness.instants import CHANNEL_POST, CREATING, PICTURE, drawing
from tests.harness.verdict import judge
from tests.support import cluster as server

STALL = 60.0  # seconds: twice a lease
GATEWAY_NAMES = [name for name in COMMANDS if name.startswith("gateway")]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not server.is_available() and not server.REQUIRED, reason=server.ABSENT),
]


@pytest.fixture
async def arranged(tmp_path: Path) -> AsyncIterator[ClusterArena]:
    async with arena(tmp_path, seed=3, kind=ClusterArena) as made:
        assert isinstance(made, ClusterArena)
        yield made


async def started(made: ClusterArena, *names: str) -> None:
    await made.launch(*names)
    await made.discord.connected(START_SECONDS, sessions=GATEWAYS)


async def test_a_worker_that_is_stopped_for_a_minute_doubles_nothing(
    arranged: ClusterArena,
) -> None:
    """Stopped in the middle of a submit, a download and a post, then continued."""
    at = arranged
    await started(at, *GATEWAY_NAMES, "worker-0")
    waiting: list[Rule] = []
    for path, faults in (
        (PICTURE["oxen"], at.oxen.faults),
        (CHANNEL_POST, at.discord.faults),
        (CREATING["oxen"], at.oxen.faults),
    ):
        # The other side has done its part; the answer is on the way.
        waiting.append(faults.add("GET" if path == PICTURE["oxen"] else "POST", path, Hold()))
        await at.request(model="oxen", private=False, edit=False, plain=True)
        await waiting[-1].reached()

    stopped = at.process("worker-0")
    stopped.send(signal.SIGSTOP)
    at.clear_faults()
    await at.launch("worker-1")
    async with asyncio.timeout(STALL + 30):
        await asyncio.gather(asyncio.sleep(STALL), at.settled(STALL + 20))
    stopped.send(signal.SIGCONT)
    await at.request(plain=True)  # one more, while both work
    await at.settled()
    await at.close()

    verdict = await judge(at)
    assert verdict.good, verdict.wrong
    assert verdict.fates.total() == 4


async def test_a_worker_that_stops_hands_its_running_jobs_over_at_once(
    arranged: ClusterArena,
) -> None:
    at = arranged
    await started(at, *GATEWAY_NAMES, "worker-0")
    await drawing(at, "skills")

    at.process("worker-0").terminate()
    await at.process("worker-0").ended()
    await at.launch("worker-1")
    at.clear_faults()
    await at.settled(20)  # before the lease would have ended

    await at.close()
    assert (await judge(at)).good


async def test_the_server_may_be_away_for_a_while(arranged: ClusterArena) -> None:
    at = arranged
    await at.start()
    await at.request(plain=True)

    await asyncio.to_thread(server.crash, at.server_folder)
    await at.request(plain=True)
    await at.settled()

    await at.close()
    assert (await judge(at)).good
