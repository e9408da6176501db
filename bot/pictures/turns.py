"""FairLimit: an amount that members share in turns."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class Share:
    """The part of a limit that one task holds."""

    member: int
    units: int = 0


@dataclass(eq=False, slots=True)
class Request:
    """A share that waits for its units."""

    share: Share
    units: int
    granted: asyncio.Future[None]


class FairLimit:
    """At most `total` units at once, and at most `each` for one member.

    Waiting members are served in turns, whatever number of tasks each of them has: 80 tasks of
    one member delay the first of another by one turn. Nobody overtakes a member whose turn has
    come and for whom too little is free, so that large shares are not starved by small ones.
    """

    def __init__(self, total: int, *, each: int | None = None) -> None:
        self._total = total
        self._each = total if each is None else each
        self._used: Counter[int] = Counter()  # by member
        self._waiting: dict[int, deque[Request]] = {}  # in the order of the turns

    @property
    def used(self) -> int:
        """The units that are held now."""
        return self._used.total()

    @asynccontextmanager
    async def take(self, member: int, units: int = 1) -> AsyncIterator[Share]:
        """Hold a share during the block; wait for it first."""
        share = Share(member)
        try:
            await self.resize(share, units)
            yield share
        finally:
            self._return(share)

    async def resize(self, share: Share, units: int) -> None:
        """Change a share. To a larger one, all is returned first, so that no two can deadlock."""
        units = min(units, self._each)
        if units <= share.units:
            self._used[share.member] += units - share.units
            share.units = units
            self._serve()
            return
        self._return(share)
        request = Request(share, units, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(share.member, deque()).append(request)
        self._serve()
        try:
            await request.granted
        finally:
            if share.units == 0:  # cancelled while it waited
                self._leave(request)

    def _return(self, share: Share) -> None:
        self._used[share.member] -= share.units
        if not self._used[share.member]:
            del self._used[share.member]
        share.units = 0
        self._serve()

    def _leave(self, request: Request) -> None:
        queue = self._waiting.get(request.share.member, deque())
        if request in queue:
            queue.remove(request)
            if not queue:
                del self._waiting[request.share.member]
        self._serve()

    def _serve(self) -> None:
        while (request := self._next()) is not None:
            member = request.share.member
            queue = self._waiting.pop(member)
            queue.popleft()
            if queue:  # behind all others, for the next turn
                self._waiting[member] = queue
            if not request.granted.done():
                request.share.units = request.units
                self._used[member] += request.units
                request.granted.set_result(None)

    def _next(self) -> Request | None:
        """Return the request whose turn has come, if it fits."""
        for member, queue in self._waiting.items():
            request = queue[0]
            if self._used[member] + request.units <= self._each:
                return request if self.used + request.units <= self._total else None
        return None
