"""The pace of requests to Discord: within the limit of one bot, what members wait for first."""

import asyncio
import heapq
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum

from bot.precedence import Precedence

# Discord's limit is 50 in a second (docs/internals/discord.md, Limits).
RATE = 47  # requests a second for the whole bot
BURST = 1  # more that may leave at once after a pause, or after a moment without the processor
GIVE_WAY = 2.0  # seconds that a status edit waits for its turn; SHOW_TIMEOUT is longer
# Replies to interactions do not count: they go by webhooks and callbacks.
UNCOUNTED = re.compile(r"/(webhooks|interactions)/")  # in the path of the address


class Rank(IntEnum):
    """The order in which requests leave that wait for their turn."""

    REPLY = 0  # and all else that is not named: somebody may wait for it
    RESULT = 1
    STATUS = 2  # an edit that members can do without


class GaveWay(Exception):
    """A status edit had no turn in time, and was surely not sent."""


RANK: ContextVar[Rank] = ContextVar("rank", default=Rank.REPLY)


@contextmanager
def ranked(rank: Rank) -> Iterator[None]:
    """Give the requests of this task a rank during the block."""
    token = RANK.set(rank)
    try:
        yield
    finally:
        RANK.reset(token)


class RestPace:
    """Holds requests back, so that all processes together stay below Discord's limit.

    A bot that Discord refuses with a global 429 can send nothing for a time: no results, and no
    answers to members either.
    """

    def __init__(self, sharers: Callable[[], int], precedence: Precedence | None = None) -> None:
        """`sharers` returns the number of processes that share the limit.

        What is no reply gives way to commands by `precedence`.
        """
        self._sharers = sharers
        self._precedence = precedence or Precedence()
        self._free_at = 0.0  # by the clock of the event loop
        self._waiting: list[tuple[Rank, int, asyncio.Future[None]]] = []  # a heap
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Wait for the turn of a request that counts.

        Raises GaveWay if a status edit would wait for too long.
        """
        if RANK.get() is not Rank.REPLY:
            await self._precedence.give_way()
        if self._takes_turn():
            return
        rank, turn = RANK.get(), asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._waiting, (rank, self._number, turn))
        self._plan()
        try:
            async with asyncio.timeout(GIVE_WAY if rank is Rank.STATUS else None):
                await turn
        except TimeoutError:
            raise GaveWay("other requests to Discord come first") from None

    def _takes_turn(self) -> bool:
        """Take the next turn, if nothing waits and the turn has come."""
        if self._waiting:
            return False
        now = asyncio.get_running_loop().time()
        if self._free_at > now:
            return False
        self._count(now)
        return True

    def _count(self, now: float) -> None:
        """Note a request that leaves now; a turn that came late takes nothing from the next."""
        interval = self._sharers() / RATE
        self._free_at = max(self._free_at, now - BURST * interval) + interval

    def _plan(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._free_at, self._serve)

    def _serve(self) -> None:
        """Give the turn to the first of those that wait; others may have been cancelled."""
        self._timer = None
        waiting, now = self._waiting, asyncio.get_running_loop().time()
        while waiting and (waiting[0][2].done() or self._free_at <= now):
            _, _, turn = heapq.heappop(waiting)
            if not turn.done():
                self._count(now)
                turn.set_result(None)
        if waiting:
            self._plan()
