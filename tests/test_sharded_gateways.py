"""Gateways that share the shards of one bot."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bot import identify_permits
from bot.backoff import Backoff
from bot.client import EaselClient
from bot.errors import StartupError
from bot.identify_permits import MemoryPermits
from bot.observability.endpoint import HealthReport
from bot.session_starts import SessionStarts
from bot.shards import Shards
from tests.support.easel import Stage, text_of
from tests.support.gateways import (
    WatchedPermits,
    channels_by_shard,
    ended,
    gateways,
    settings_of,
    start,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time between two sessions, at Discord as well (`strict`)."""
    monkeypatch.setattr(identify_permits, "IDENTIFY_SECONDS", 0.3)
    monkeypatch.setattr(identify_permits, "MARGIN", 0.3)


def strict(at: Stage, *, max_concurrency: int = 1) -> None:
    at.discord.gateway.limit.identify_seconds = 0.3
    at.discord.gateway.limit.max_concurrency = max_concurrency


def identified(at: Stage) -> int:
    """Return the number of all IDENTIFYs, those that were refused as well."""
    return 1000 - int(at.discord.gateway.limit.to_json()["remaining"])


def held(at: Stage) -> list[int]:
    return sorted(session.shard[0] for session in at.discord.gateway.live)


@pytest.mark.long
async def test_two_gateways_serve_all_shards_and_one_registers(at: Stage) -> None:
    strict(at)
    channels = channels_by_shard(at, 4)
    async with gateways(at, "2-3/4", "0-1/4", permits=MemoryPermits()) as (_, (last, first)):
        await at.discord.commands_registered()
        await last.connected()
        await first.connected()
        for channel in channels:
            text_of(await at.command("usage", where=channel))
        shown = await at.command("usage", where=at.discord.dm_channel(at.ada))
        states = [each.client.shard_states for each in (last, first)]
        servers = {each: {guild.id for guild in each.client.guilds} for each in (last, first)}

    assert shown.message is not None
    assert held(at) == []
    assert states == [{2: True, 3: True}, {0: True, 1: True}]
    assert identified(at) == 4  # none was refused
    assert not servers[last] & servers[first]
    assert {channel.guild.id for channel in channels[2:] if channel.guild} <= servers[last]
    lists = [r for r in at.discord.requests if r.method == "GET" and r.path.endswith("/commands")]
    assert len(lists) == 1
    assert (last.client.commands_registered, first.client.commands_registered) == (None, True)


async def test_shards_of_different_buckets_start_at_once(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict(at, max_concurrency=2)
    monkeypatch.setattr(identify_permits, "IDENTIFY_SECONDS", 60.0)
    async with gateways(at, "0/2", "1/2", permits=MemoryPermits()):
        await at.discord.connected(sessions=2)
        assert held(at) == [0, 1]

    assert identified(at) == 2


@pytest.mark.long
async def test_without_permits_discord_refuses_and_the_session_is_repeated(at: Stage) -> None:
    at.discord.gateway.limit.identify_seconds = 3.0
    async with gateways(at, "0/2", "1/2") as (_, both):
        for each in both:
            await each.connected(40)
        assert held(at) == [0, 1]

    assert identified(at) > 2


async def test_a_gateway_that_is_stopped_while_it_waits_blocks_nobody(at: Stage) -> None:
    permits = WatchedPermits()
    async with gateways(at, permits=permits) as (app, _):
        async with permits.hold(0):
            waiting = start(at, app, "1/2", permits)
            await permits.requested(2)
            assert identified(at) == 0
            await ended(waiting)
        gateway = start(at, app, "1/2", permits)
        try:
            await at.discord.connected()
        finally:
            await ended(gateway)

    assert identified(at) == 1
    assert permits.held == 0


@pytest.mark.long
async def test_a_lost_session_waits_for_its_permit_without_ending_the_others(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.client.RECONNECT_PERMIT_WAIT", 0.5)
    at.fails = True  # discord.py logs each time-out with a traceback
    permits = WatchedPermits()
    async with gateways(at, "0-1/2", permits=permits) as (_, (gateway,)):
        client = await gateway.connected()
        async with permits.hold(0):
            permits.requests = 0
            (lost,) = [each for each in at.discord.gateway.live if each.shard[0] == 1]
            at.discord.invalidate(lost)
            await permits.requested(2)  # the second after a time-out
            assert held(at) == [0]
            assert client.shard_states == {0: True, 1: False}
            assert not client.connected
        await gateway.connected(40)

        assert gateway.client is client  # the other shard's session goes on
        assert identified(at) == 3


@pytest.mark.long
async def test_a_shard_whose_sessions_are_lost_again_and_again_leaves_the_others_alone(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.fails = True  # discord.py logs each postponed session with a traceback
    async with gateways(at, "0-1/2", permits=MemoryPermits()) as (_, (gateway,)):
        client = await gateway.connected()
        gateway.session.starts.waits = Backoff(timedelta(seconds=60), timedelta(seconds=60))
        (lost,) = [each for each in at.discord.gateway.live if each.shard[0] == 1]
        at.discord.invalidate(lost)
        async with asyncio.timeout(20):
            while "sessions of shard 1 were lost again and again" not in caplog.text:
                await asyncio.sleep(0.05)
        assert held(at) == [0]
        gateway.session.starts.waits = Backoff(timedelta(0), timedelta(0))
        await gateway.connected(40)

        assert gateway.client is client
        assert held(at) == [0, 1]
        assert identified(at) == 3


@pytest.mark.parametrize(
    ("shards", "registers", "expected"),
    [
        (None, None, False),
        ("0,3/4", None, False),
        ("1-3/4", None, None),
        ("0/1", False, None),
        ("1/2", True, False),
    ],
)
async def test_the_process_with_shard_0_registers_by_default(
    at: Stage, shards: str | None, registers: bool | None, expected: bool | None
) -> None:
    some = None if shards is None else Shards.parse(shards)
    async with at.app() as app:
        client = EaselClient(
            settings_of(at),
            app.services,
            app.studio,
            SessionStarts(),
            shards=some,
            registers=registers,
        )

    assert client.commands_registered is expected  # None: never


@pytest.mark.long
async def test_the_health_shows_each_shard(at: Stage) -> None:
    async with gateways(at, "1,3/4", permits=MemoryPermits()) as (app, (gateway,)):
        report = HealthReport(app.services, lambda: gateway.session.client)
        await gateway.connected()
        alive: Any = (await report.report())[1]["gateway"]
        (lost,) = [each for each in at.discord.gateway.live if each.shard[0] == 3]
        at.discord.invalidate(lost)  # a new session is started after 5 s
        async with asyncio.timeout(20):
            while gateway.client.connected:
                await asyncio.sleep(0.01)
        dead: Any = (await report.report())[1]["gateway"]
        await report.close()

    assert (alive["alive"], alive["shards"]) == (True, {1: True, 3: True})
    assert alive["commands_registered"] is None
    assert (dead["alive"], dead["shards"]) == (False, {1: True, 3: False})


async def test_too_few_shards_end_the_gateway_with_the_remedy(at: Stage) -> None:
    at.discord.gateway.guilds_a_shard = 1
    for _ in range(2):
        at.discord.add_guild("One more", shard=(1, 2))
    async with gateways(at, "1/2", permits=MemoryPermits()) as (_, (gateway,)):
        with pytest.raises(StartupError) as raised:
            await asyncio.wait_for(gateway.task, 20)

    assert "(4011: more shards are needed)" in str(raised.value)
    assert "after the slash of --shards" in str(raised.value)


async def test_two_gateways_with_the_same_shard_make_one_job(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateways(at, "0/1", "0/1", permits=MemoryPermits()):
        await at.discord.connected(sessions=2)
        await at.discord.commands_registered()
        await at.imagine("a fox")
        await at.result("a fox")
        (job,) = await at.settled()

    assert len(at.created()) == 1
    assert job.delivered_at is not None
    assert "arrived twice" in caplog.text
    assert "another program" not in caplog.text


async def test_the_count_of_shards_is_not_requested_from_discord(at: Stage) -> None:
    at.discord.gateway.shards = 7
    async with gateways(at, "0-1/2", permits=MemoryPermits()):
        await at.discord.connected(sessions=2)
        assert {session.shard for session in at.discord.gateway.live} == {(0, 2), (1, 2)}
