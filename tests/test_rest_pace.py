"""Discord's limit of requests: divided among the processes of one bot, results before edits."""

import asyncio
from itertools import pairwise

import pytest

from bot.rest_pace import BURST, GIVE_WAY, RATE, UNCOUNTED, GaveWay, Rank, RestPace, ranked
from tests.support.virtual_time import in_virtual_time

LIMIT = 50  # of Discord


async def seconds_of(pace: RestPace, requests: int) -> float:
    """Return how long so many requests at once wait, together."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(pace.wait() for _ in range(requests)))
    return loop.time() - began


async def times_of(pace: RestPace, requests: int) -> list[float]:
    """Return when so many requests at once leave."""
    loop, times = asyncio.get_running_loop(), list[float]()

    async def send() -> None:
        await pace.wait()
        times.append(loop.time())

    await asyncio.gather(*(send() for _ in range(requests)))
    return times


@in_virtual_time
async def test_each_of_five_processes_sends_a_fifth() -> None:
    pace = RestPace(lambda: 5)

    assert await seconds_of(pace, BURST + 1) == 0  # a burst
    assert await seconds_of(pace, 5) == pytest.approx(5 * 5 / RATE)


@in_virtual_time
async def test_a_new_process_slows_the_others_down() -> None:
    processes = 2
    pace = RestPace(lambda: processes)
    await seconds_of(pace, 5)

    processes = 10
    assert await seconds_of(pace, 2) == pytest.approx((2 + 10) / RATE)


@in_virtual_time
async def test_one_process_alone_stays_below_the_limit_in_any_second() -> None:
    times = await times_of(RestPace(lambda: 1), 2 * LIMIT + 5)

    assert all(later >= earlier for earlier, later in pairwise(times))
    assert min(b - a for a, b in zip(times, times[LIMIT:], strict=False)) >= 0.99
    assert times[-1] - times[0] < 2.25  # also near the limit


@in_virtual_time
async def test_the_limit_is_not_passed_after_a_pause() -> None:
    pace = RestPace(lambda: 1)
    await seconds_of(pace, 1)
    await asyncio.sleep(0.3)

    times = await times_of(pace, LIMIT + 1)

    assert times[-1] - times[0] >= 0.99
    assert BURST + 1 + RATE <= LIMIT


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/api/v10/channels/1/messages", True),
        ("/api/v10/webhooks/1/token/messages/@original", False),
        ("/api/v10/interactions/1/token/callback", False),
    ],
)
def test_replies_to_interactions_do_not_count(path: str, counts: bool) -> None:
    assert (UNCOUNTED.search(path) is None) is counts


@in_virtual_time
async def test_replies_leave_first_and_status_edits_last() -> None:
    pace, order = RestPace(lambda: 1), list[Rank]()

    async def send(rank: Rank) -> None:
        with ranked(rank):
            await pace.wait()
        order.append(rank)

    await seconds_of(pace, BURST + 1)
    ranks = [Rank.STATUS, Rank.RESULT, Rank.STATUS, Rank.RESULT, Rank.REPLY]
    await asyncio.gather(*(send(rank) for rank in ranks))

    assert order == sorted(ranks)


@pytest.mark.long
@in_virtual_time
async def test_a_status_edit_is_dropped_while_results_use_up_the_limit() -> None:
    pace, sent = RestPace(lambda: 1), list[Rank]()

    async def send(rank: Rank) -> None:
        with ranked(rank):
            await pace.wait()
        sent.append(rank)

    async with asyncio.TaskGroup() as group:
        for _ in range(int(RATE * (GIVE_WAY + 0.5))):
            group.create_task(send(Rank.RESULT))
        await asyncio.sleep(0)
        with pytest.raises(GaveWay):
            await send(Rank.STATUS)
        began = asyncio.get_running_loop().time()
        await send(Rank.REPLY)
        assert asyncio.get_running_loop().time() - began < 0.1

    assert Rank.STATUS not in sent
    await send(Rank.STATUS)  # soon afterwards
    assert sent[-1] is Rank.STATUS


@in_virtual_time
async def test_a_request_that_is_cancelled_takes_no_turn() -> None:
    pace = RestPace(lambda: 1)
    await seconds_of(pace, BURST + 1)
    waiting = [asyncio.create_task(pace.wait()) for _ in range(100)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()

    assert await seconds_of(pace, 1) < 0.1
