"""Other work waits while members wait for a reply, but not for ever."""

import asyncio

import pytest

from bot.precedence import LONGEST, Precedence
from tests.support.virtual_time import in_virtual_time


async def begun(precedence: Precedence, number: int) -> list[float]:
    """Return the times at which so many steps began, from now on."""
    loop = asyncio.get_running_loop()
    start, times = loop.time(), list[float]()

    async def step() -> None:
        await precedence.give_way()
        times.append(loop.time() - start)

    await asyncio.gather(*(step() for _ in range(number)))
    return times


@in_virtual_time
async def test_without_a_command_nothing_waits() -> None:
    assert max(await begun(Precedence(), 20)) == 0


@in_virtual_time
async def test_steps_wait_for_the_end_of_the_last_command() -> None:
    precedence, loop = Precedence(), asyncio.get_running_loop()

    async def command(seconds: float) -> None:
        with precedence.command():
            await asyncio.sleep(seconds)

    started = loop.time()
    commands = [asyncio.create_task(command(each)) for each in (LONGEST / 4, LONGEST / 2)]
    await asyncio.sleep(0)
    await precedence.give_way()
    waited = loop.time() - started
    await asyncio.gather(*commands)

    assert waited == pytest.approx(LONGEST / 2)


@in_virtual_time
async def test_a_flood_of_commands_delays_each_step_for_a_while_only() -> None:
    precedence = Precedence()
    with precedence.command():
        times = await begun(precedence, 3)

    assert times == pytest.approx([LONGEST, 2 * LONGEST, 3 * LONGEST])


@in_virtual_time
async def test_a_command_that_fails_is_over() -> None:
    precedence = Precedence()
    with pytest.raises(LookupError), precedence.command():
        raise LookupError

    assert max(await begun(precedence, 5)) == 0


@in_virtual_time
async def test_a_step_that_is_cancelled_gives_its_place_to_the_next() -> None:
    precedence = Precedence()
    with precedence.command():
        waiting = asyncio.create_task(precedence.give_way())
        following = asyncio.create_task(precedence.give_way())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
    async with asyncio.timeout(LONGEST):
        await following
