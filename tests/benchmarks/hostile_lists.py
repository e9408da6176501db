"""The time of one key press and of one list, with few and with thousands of jobs stored."""

import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.errors import Reason
from bot.store import jobs
from bot.store.sqlite import SQLiteDatabase
from tests.benchmarks.hostile_ground import QUIET_ROUNDS, Ground, ground
from tests.benchmarks.hostile_meters import Outcome
from tests.support import rows

OWN = 25  # jobs of Ada in both databases, as many as Discord shows
NAMES = ("waiting jobs", "waiting jobs, completion", "waiting jobs, /jobs")


async def lists(at: Ground, *, small: bool) -> list[Outcome]:
    """Complete `job` and list jobs beside thousands of jobs that wait.

    A second bot has few jobs. Both are asked in turns, so that the machine's noise affects both.
    """
    presses = 20 if small else 60
    with tempfile.TemporaryDirectory() as folder:
        async with ground(Path(folder), at.settings) as few:
            await _add_waiting(few, members=0, own=OWN)
            await _add_waiting(at, members=40 if small else 500, own=OWN if small else 475)
            for each in (few, at):
                await each.start()
                await each.draw("oxen")  # warm up
            drawn = [(await few.draw("oxen"), await at.draw("oxen")) for _ in range(QUIET_ROUNDS)]
            completed = [(await _complete(few), await _complete(at)) for _ in range(presses)]
            listed = [(await _list(few), await _list(at)) for _ in range(presses)]
    return [
        at.outcome(name, *map(statistics.median, zip(*times, strict=True)))
        for name, times in zip(NAMES, (drawn, completed, listed), strict=True)
    ]


async def _add_waiting(at: Ground, *, members: int, own: int) -> None:
    """Add jobs that wait for half an hour: `own` of Ada, and five of each other member."""
    now = datetime.now(UTC)
    async with SQLiteDatabase(at.database) as database, database.transaction() as tx:
        added = [
            await rows.add(tx, rows.new_job(10**6 + member, prompt=f"a wolf {number}", at=now))
            for member in range(members)
            for number in range(5)
        ]
        for number in range(own):  # without a hold, whose transaction may limit a member's jobs
            job = await jobs.add(tx, rows.new_job(at.ada.id, prompt=f"a wolf {number}", at=now))
            added.append(await jobs.confirm_reply(tx, job.id, 40) or job)
        for job in added:
            later = now + timedelta(minutes=30)
            await jobs.postpone_submit(tx, job.id, later, Reason.UNAVAILABLE)


async def _complete(at: Ground) -> float:
    began = time.perf_counter()
    await at.discord.complete(at.ada, at.art, "cancel", {"job": "w"}, "job")
    return time.perf_counter() - began


async def _list(at: Ground) -> float:
    began = time.perf_counter()
    await at.use(at.ada, at.art, "jobs", {})
    return time.perf_counter() - began
