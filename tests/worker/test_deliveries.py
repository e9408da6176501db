"""Many waiting results: each is posted once, members take turns, and few lists are read."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.errors import Reason
from bot.jobs import Job
from bot.sandbox.discord import Channel, User
from bot.store import queue, settlement
from bot.worker.deliveries import LISTED
from tests.support.delivery import SEND
from tests.support.easel import Stage
from tests.support.rows import add, new_job

OTHERS = 70  # members with one waiting result each, beside one with many


async def waiting(at: Stage, places: Sequence[tuple[User, Channel]]) -> list[Job]:
    """Store failed jobs, whose results are posted as messages without pictures."""
    found: list[Job] = []
    async with at.database() as database, database.transaction() as tx:
        for number, (member, channel) in enumerate(places):
            at_time = at.clock() - timedelta(minutes=5, milliseconds=-number)
            new = new_job(member.id, at=at_time, server_id=at.server.id)
            route = replace(
                new.route,
                channel_id=channel.id,
                guild_id=at.server.id,
                application_id=at.discord.application_id,
                interaction_token=None,
            )
            job = await add(tx, replace(new, route=route))
            found.append(job)
            await settlement.fail(tx, job.id, at.clock(), reason=Reason.REJECTED)
    return found


@pytest.mark.long
async def test_a_long_list_serves_for_many_deliveries(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    async def counted(*args: Any, **values: Any) -> list[Job]:  # noqa: ANN401
        found = await deliverable(*args, **values)
        reads.append(len(found))
        return found

    deliverable = queue.deliverable
    monkeypatch.setattr(queue, "deliverable", counted)
    members = [at.discord.add_user(f"Member {number}") for number in range(OTHERS)]
    places = [
        (member, at.discord.add_channel(at.server, f"art-{number}"))
        for number, member in enumerate(members)
    ]
    for member in members:
        at.discord.world.join(at.server, member)
    many = [(at.ada, at.discord.add_channel(at.server, f"ada-{each}")) for each in range(60)]
    jobs = await waiting(at, [*many, *places])
    async with at.easel():
        async with asyncio.timeout(30):
            while sum(len(at.discord.channel_messages(each)) for _, each in [*many, *places]) < len(
                jobs
            ):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)

    posts = [each for each in at.discord.requests if each.method == "POST" and _is_post(each.path)]
    assert len(posts) == len(jobs)
    assert {len(at.discord.channel_messages(each)) for _, each in [*many, *places]} == {1}
    cut = [number for number in reads if number == LISTED]
    assert len(cut) < 20
    # Ada's results, which are the oldest, delay nobody else's.
    of_ada = {f"/api/v10/channels/{each.id}/messages" for _, each in many}
    assert sum(each.path in of_ada for each in posts[:60]) < 40


def _is_post(path: str) -> bool:
    return re.fullmatch(SEND, path) is not None
