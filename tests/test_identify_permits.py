"""The turns of shards that start sessions, on permits that fail or are held by others."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from bot.identify_permits import (
    CONNECT_SECONDS,
    IDENTIFY_SECONDS,
    MARGIN,
    IdentifyPermits,
    IdentifyTurns,
    MemoryPermits,
)
from tests.support.virtual_time import in_virtual_time


@asynccontextmanager
async def turns_on(permits: IdentifyPermits) -> AsyncIterator[IdentifyTurns]:
    turns = IdentifyTurns(permits)
    try:
        yield turns
    finally:
        await turns.close()


@in_virtual_time
async def test_a_permit_is_held_for_some_seconds_after_the_identify() -> None:
    permits = MemoryPermits()
    loop = asyncio.get_running_loop()
    async with turns_on(permits) as one, turns_on(permits) as other:
        await one.take(0, 0, 1)
        await other.take(1, 1, 1)  # of another bucket
        with pytest.raises(TimeoutError):
            await other.take(2, 0, 0.05)
        began = loop.time()
        one.identified(0)
        await other.take(2, 0, 60)

    assert loop.time() - began == pytest.approx(IDENTIFY_SECONDS + MARGIN)


@in_virtual_time
async def test_a_turn_is_taken_once_and_again_after_its_identify() -> None:
    async with turns_on(MemoryPermits()) as turns:
        await turns.take(0, 0, 1)
        await turns.take(0, 0, 0.01)  # within the connection, whose turn began before
        turns.identified(0)
        with pytest.raises(TimeoutError):
            await turns.take(0, 0, 0.01)
        await turns.take(0, 0, 60)


@in_virtual_time
async def test_a_withdrawn_turn_and_one_that_waited_in_vain_block_nobody() -> None:
    permits = MemoryPermits()
    async with turns_on(permits) as one, turns_on(permits) as other:
        await one.take(0, 0, 1)
        with pytest.raises(TimeoutError):
            await other.take(1, 0, 0.01)
        one.withdraw()
        async with turns_on(permits) as third:
            await third.take(2, 0, 1)


@in_virtual_time
async def test_a_cancelled_wait_blocks_nobody() -> None:
    permits = MemoryPermits()
    async with turns_on(permits) as turns:
        async with permits.hold(0):
            waiting = asyncio.create_task(turns.take(0, 0, 10))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
        async with asyncio.timeout(1), permits.hold(0):
            pass


@in_virtual_time
async def test_a_permit_without_an_identify_is_returned() -> None:
    permits = MemoryPermits()
    async with turns_on(permits) as turns:
        await turns.take(0, 0, 1)
        async with asyncio.timeout(CONNECT_SECONDS + 1), permits.hold(0):
            pass
        await turns.take(0, 0, 1)


@in_virtual_time
async def test_closing_returns_a_permit_that_is_held_after_the_identify() -> None:
    permits = MemoryPermits()
    async with turns_on(permits) as turns:
        await turns.take(0, 0, 1)
        turns.identified(0)
    async with asyncio.timeout(0.05), permits.hold(0):
        pass


class Unreachable:
    """Permits whose database is away."""

    def hold(self, bucket: int) -> AbstractAsyncContextManager[None]:
        raise OSError("no database")


@in_virtual_time
async def test_without_the_database_sessions_start_at_the_pace_of_one_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    async with turns_on(Unreachable()) as turns:
        began = loop.time()
        await turns.take(0, 0, 60)
        turns.identified(0)
        await turns.take(1, 0, 60)

    assert loop.time() - began == pytest.approx(2 * IDENTIFY_SECONDS)
    assert (
        "sessions start without a permit for all processes: OSError('no database')" in caplog.text
    )


class LostLater:
    """Permits whose connection is lost while one is held."""

    @asynccontextmanager
    async def hold(self, bucket: int) -> AsyncIterator[None]:
        yield
        raise OSError("connection lost")


@in_virtual_time
async def test_a_permit_that_is_lost_while_held_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with turns_on(LostLater()) as turns:
        await turns.take(0, 0, 1)
        turns.identified(0)
        await asyncio.sleep(60)
        await turns.take(0, 0, 1)

    assert "permit for shard 0 ended early: OSError('connection lost')" in caplog.text
