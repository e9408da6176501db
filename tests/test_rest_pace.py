"""Discord's limit of requests, divided among the processes of one bot."""

import asyncio

import pytest

from bot.rest_pace import RestPace

MESSAGES = "/api/v10/channels/1/messages"


async def seconds_of(pace: RestPace, path: str, requests: int) -> float:
    """Return how long so many requests at once wait, together."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(pace.wait(path) for _ in range(requests)))
    return loop.time() - began


async def test_each_of_five_processes_sends_ten_requests_a_second() -> None:
    pace = RestPace(lambda: 5)

    assert await seconds_of(pace, MESSAGES, 5) < 0.05  # a burst
    assert 0.45 < await seconds_of(pace, MESSAGES, 5) < 1.0


async def test_a_new_process_slows_the_others_down() -> None:
    processes = 2
    pace = RestPace(lambda: processes)
    await seconds_of(pace, MESSAGES, 5)

    processes = 10
    assert 0.35 < await seconds_of(pace, MESSAGES, 2) < 1.0


@pytest.mark.parametrize(
    ("processes", "path"),
    [
        (1, MESSAGES),
        (5, "/api/v10/webhooks/1/token/messages/@original"),
        (5, "/api/v10/interactions/1/token/callback"),
    ],
)
async def test_a_single_process_and_replies_do_not_wait(processes: int, path: str) -> None:
    assert await seconds_of(RestPace(lambda: processes), path, 100) < 0.1
