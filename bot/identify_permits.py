"""Permits for IDENTIFY, which the processes of one bot share.

Discord lets the shards with the same `shard_id % max_concurrency`, a bucket, start one session in
5 seconds, and answers INVALID_SESSION to any further IDENTIFY. discord.py paces the shards of one
client alone, so several processes need a common permit for each bucket.
"""

import asyncio
import logging
from collections import defaultdict
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

log = logging.getLogger(__name__)

IDENTIFY_SECONDS = 5.0  # Discord's, between two sessions of one bucket
MARGIN = 1.0  # seconds; an IDENTIFY arrives some time after it was sent
CONNECT_SECONDS = 240.0  # for a permit whose IDENTIFY never follows; discord.py connects for 180


class IdentifyPermits(Protocol):
    """One permit for each bucket, among all processes of a bot."""

    def hold(self, bucket: int) -> AbstractAsyncContextManager[None]:
        """Hold the permit of a bucket during the block; entering waits for other holders.

        Two blocks of one process exclude each other, too. Other holders are no error, however long
        they take: the caller limits the wait, and cancels. An error means that no permit can be
        had, as from an unreachable database: the session then starts without. A permit ends with
        its process.
        """
        ...


class MemoryPermits:
    """Permits among the clients of one process."""

    def __init__(self) -> None:
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    def hold(self, bucket: int) -> AbstractAsyncContextManager[None]:
        return self._locks[bucket]


@dataclass(eq=False, slots=True)
class _Turn:
    shard_id: int
    bucket: int
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    identified: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class IdentifyTurns:
    """The permits that this process holds, each in a task of its own.

    A turn begins before the connection to the gateway is opened, because discord.py limits the time
    of a connection, and ends some seconds after the IDENTIFY. Turns outlive a client that is
    replaced; `close` ends all.
    """

    def __init__(self, permits: IdentifyPermits) -> None:
        self._permits = permits
        self._turns: dict[int, _Turn] = {}  # before their IDENTIFY, by shard
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, shard_id: int, bucket: int, seconds: float) -> None:
        """Return when the shard may send an IDENTIFY; TimeoutError after so many seconds.

        At once if the shard has its turn already.
        """
        turn = self._turns.get(shard_id)
        if turn is None:
            turn = self._turns[shard_id] = _Turn(shard_id, bucket)
            turn.task = asyncio.create_task(self._hold(turn), name=f"permit for shard {shard_id}")
            self._tasks.add(turn.task)
            turn.task.add_done_callback(self._tasks.discard)
        try:
            async with asyncio.timeout(seconds):
                await turn.taken.wait()
        except (TimeoutError, asyncio.CancelledError):
            self.withdraw(shard_id)
            raise

    def identified(self, shard_id: int) -> None:
        """Note that the shard sends its IDENTIFY now: the permit is held for some seconds more."""
        if turn := self._turns.pop(shard_id, None):
            turn.identified.set()

    def withdraw(self, shard_id: int | None = None) -> None:
        """End the turns without an IDENTIFY: that of a shard, or all those of a client."""
        for number in [shard_id] if shard_id is not None else list(self._turns):
            turn = self._turns.pop(number, None)
            if turn is not None and turn.task is not None:
                turn.task.cancel()

    async def close(self) -> None:
        """End all turns. A session of another process may then start too soon, and is repeated."""
        self._turns.clear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)

    async def _hold(self, turn: _Turn) -> None:
        try:
            async with self._permits.hold(turn.bucket):
                await self._use(turn)
        except Exception as error:
            if turn.taken.is_set():
                log.info("permit for shard %s ended early: %r", turn.shard_id, error)
                return
            log.warning("sessions start without a permit for all processes: %r", error)
            await asyncio.sleep(IDENTIFY_SECONDS)  # the pace of a single process
            await self._use(turn)
        finally:
            if self._turns.get(turn.shard_id) is turn:  # no IDENTIFY has followed
                del self._turns[turn.shard_id]

    async def _use(self, turn: _Turn) -> None:
        """Let the shard go on, and return some seconds after its IDENTIFY, or if there is none."""
        turn.taken.set()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await turn.identified.wait()
        except TimeoutError:
            return
        await asyncio.sleep(IDENTIFY_SECONDS + MARGIN)
