"""FairLimit without the bot: bounds, turns, and what a cancel leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.pictures.turns import FairLimit, Share

ADA, BEN, CAI = 1, 2, 3


class Tasks:
    """Tasks that hold shares until they are told to end; `order` has their members."""

    def __init__(self, limit: FairLimit) -> None:
        self.limit = limit
        self.order: list[int] = []
        self._tasks: list[tuple[asyncio.Task[None], asyncio.Event]] = []

    async def start(self, member: int, units: int = 1) -> int:
        ends = asyncio.Event()
        task = asyncio.create_task(self._hold(member, units, ends))
        self._tasks.append((task, ends))
        await asyncio.sleep(0)
        return len(self._tasks) - 1

    async def end(self, number: int) -> None:
        task, ends = self._tasks[number]
        ends.set()
        await asyncio.wait({task})
        await asyncio.sleep(0)

    async def cancel(self, number: int) -> None:
        self._tasks[number][0].cancel()
        await asyncio.wait({self._tasks[number][0]})

    async def _hold(self, member: int, units: int, ends: asyncio.Event) -> None:
        async with self.limit.take(member, units):
            self.order.append(member)
            await ends.wait()


@asynccontextmanager
async def tasks(total: int, *, each: int | None = None) -> AsyncIterator[Tasks]:
    limit = FairLimit(total, each=each)
    started = Tasks(limit)
    yield started
    for number in range(len(started._tasks)):
        await started.cancel(number)
    assert limit.used == 0


async def test_a_member_with_many_tasks_delays_another_by_one_turn() -> None:
    async with tasks(1) as held:
        first = await held.start(ADA)
        for _ in range(80):
            await held.start(ADA)
        await held.start(BEN)
        await held.end(first)
        await held.end(1)

    assert held.order[:3] == [ADA, ADA, BEN]


async def test_a_member_gets_no_more_than_each() -> None:
    async with tasks(4, each=1) as held:
        for member in (ADA, ADA, BEN, ADA, CAI):
            await held.start(member)

        assert held.order == [ADA, BEN, CAI]
        assert held.limit.used == 3


async def test_nobody_overtakes_a_large_share() -> None:
    async with tasks(10) as held:
        first = await held.start(ADA, 8)
        await held.start(BEN, 5)
        await held.start(CAI, 2)
        assert held.order == [ADA]
        await held.end(first)

    assert held.order == [ADA, BEN, CAI]


async def test_a_share_over_the_limit_is_the_whole_limit() -> None:
    async with tasks(10) as held:
        await held.start(ADA, 50)

        assert held.limit.used == 10


@pytest.mark.parametrize("number", [0, 1])
async def test_a_cancelled_task_leaves_room(number: int) -> None:
    async with tasks(1) as held:
        for member in (ADA, BEN, CAI):
            await held.start(member)
        await held.cancel(number)
        await held.end(1 - number)
        await asyncio.sleep(0)

    assert held.order == [*([ADA] if number else [ADA, BEN]), CAI]


async def test_a_share_grows_only_when_there_is_room_and_then_shrinks() -> None:
    limit = FairLimit(10)

    async def grow(share: Share) -> None:
        await limit.resize(share, 9)

    async with limit.take(ADA, 4) as small, limit.take(BEN, 4) as other:
        growing = asyncio.create_task(grow(small))
        await asyncio.sleep(0)
        assert (small.units, limit.used) == (0, 4)  # returned first: no deadlock
        await limit.resize(other, 1)
        await growing
        assert (small.units, limit.used) == (9, 10)
        await limit.resize(small, 2)
        assert limit.used == 3

    assert limit.used == 0


async def test_a_growth_that_is_given_up_holds_nothing() -> None:
    limit = FairLimit(10)
    async with limit.take(ADA, 4) as small, limit.take(BEN, 6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await limit.resize(small, 9)
        assert limit.used == 6
        async with limit.take(CAI, 4):
            pass


async def test_each_member_has_turns_in_the_order_of_the_requests() -> None:
    async with tasks(1) as held:
        first = await held.start(ADA)
        for member in (BEN, CAI, BEN, CAI, ADA):
            await held.start(member)
        for number in (first, 1, 2, 5, 3):
            await held.end(number)

    assert held.order == [ADA, BEN, CAI, ADA, BEN, CAI]


@pytest.mark.parametrize(("total", "each", "units"), [(10, None, 10), (10, 4, 4)])
async def test_a_limit_is_used_to_its_last_unit(total: int, each: int | None, units: int) -> None:
    async with tasks(total, each=each) as held:
        await held.start(ADA, units - 1)
        await held.start(ADA, 2)
        assert held.order == [ADA]
        await held.start(ADA, 1)  # behind the second
        assert held.order == [ADA]
        await held.end(0)
        assert held.order == [ADA] * 3
        assert held.limit.used == 3
        await held.start(ADA, units - 3)
        assert held.limit.used == units


async def test_a_share_of_the_same_size_is_kept_while_others_wait() -> None:
    limit = FairLimit(10)
    async with limit.take(ADA, 10) as share:
        waiting = asyncio.create_task(taken(limit, BEN))
        await asyncio.sleep(0)
        await limit.resize(share, 10)
        assert (share.units, limit.used) == (10, 10)
        await limit.resize(share, 9)
        await waiting
        await limit.resize(share, 99)  # the whole limit
        assert share.units == 10
    assert not limit._used  # nobody is remembered


async def taken(limit: FairLimit, member: int) -> None:
    async with limit.take(member):
        pass


async def test_a_growth_waits_behind_those_who_wait_already() -> None:
    limit, order, grows = FairLimit(10), list[int](), asyncio.Event()

    async def grow() -> None:
        async with limit.take(ADA, 2) as share:
            await grows.wait()
            await limit.resize(share, 8)
            order.append(ADA)

    async def take_all() -> None:
        async with limit.take(BEN, 10):
            order.append(BEN)

    growing = asyncio.create_task(grow())
    await asyncio.sleep(0)
    taking = asyncio.create_task(take_all())
    await asyncio.sleep(0)
    assert order == []
    grows.set()
    await asyncio.gather(taking, growing)

    assert order == [BEN, ADA]
    assert limit.used == 0


async def test_a_task_that_is_cancelled_when_its_turn_has_come_gives_it_on() -> None:
    limit = FairLimit(1)
    async with limit.take(ADA):
        waiting = [asyncio.create_task(taken(limit, member)) for member in (BEN, BEN, CAI)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # it waits, and does not know yet
    waiting[1].cancel()  # it has its share, and does not know yet
    await asyncio.wait(waiting)

    assert not waiting[2].cancelled()
    assert limit.used == 0
    assert not limit._waiting


async def test_who_waits_behind_a_growth_that_is_given_up_goes_on() -> None:
    limit = FairLimit(10)
    async with limit.take(ADA, 4) as small, limit.take(BEN, 6):
        growing = asyncio.create_task(limit.resize(small, 9))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(taken(limit, CAI))
        await asyncio.sleep(0)
        assert limit.used == 6
        growing.cancel()
        await asyncio.wait({growing})
        await asyncio.sleep(0)
        assert waiting.done()
