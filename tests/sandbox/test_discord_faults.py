"""Faults as seen by a client."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from bot.sandbox.http.faults import (
    Answer,
    AnswerAfter,
    Fault,
    Faults,
    Hold,
    HoldBefore,
    HoldLost,
    Reset,
    ResetAfter,
    Stall,
    Truncate,
)

LIMIT = aiohttp.ClientTimeout(total=5)


class Counter:
    """A server with one effect: the number of calls of /count."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.count = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        await request.read()
        self.count += 1
        if request.path == "/refused":
            raise web.HTTPForbidden(text="no")
        return web.Response(text=f"count {self.count}")


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    counter = Counter()
    app = web.Application(middlewares=[counter.faults.middleware])
    app.router.add_route("*", "/{path}", counter.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    counter.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield counter
    counter.faults.clear()
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=LIMIT) as session:
        yield session


async def ask(http: aiohttp.ClientSession, url: str, method: str = "POST") -> tuple[int, str]:
    async with http.request(method, url, data=b"x" * 1000) as answer:
        return answer.status, await answer.text()


async def test_an_answer_is_served_without_an_effect(
    counter: Counter, http: aiohttp.ClientSession
) -> None:
    rule = counter.faults.add("POST", "/count", Answer(503, {"a": 1}, {"Via": "x"}))

    async with http.post(f"{counter.url}/count?q=1") as answer:
        assert (answer.status, answer.headers["Via"]) == (503, "x")
        assert answer.headers["Content-Type"] == "application/json"
        assert await answer.json() == {"a": 1}
    assert (counter.count, rule.hits) == (0, 1)
    assert await ask(http, f"{counter.url}/count") == (200, "count 1")


async def test_an_answer_after_comes_with_the_effect(
    counter: Counter, http: aiohttp.ClientSession
) -> None:
    counter.faults.add("*", "/.*", AnswerAfter(500, "oops"), times=None)

    assert await ask(http, f"{counter.url}/count", "PUT") == (500, "oops")
    assert await ask(http, f"{counter.url}/refused") == (500, "oops")
    assert counter.count == 2


@pytest.mark.parametrize(("fault", "effects"), [(Reset(), 0), (ResetAfter(), 1)])
async def test_a_reset_drops_the_connection(
    counter: Counter, http: aiohttp.ClientSession, fault: Fault, effects: int
) -> None:
    counter.faults.add("POST", "/count", fault)

    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(http, f"{counter.url}/count")

    assert counter.count == effects


async def test_a_stall_only_delays(counter: Counter, http: aiohttp.ClientSession) -> None:
    counter.faults.add("POST", "/count", Stall(0.01))

    assert await ask(http, f"{counter.url}/count") == (200, "count 1")


@pytest.mark.parametrize(("fault", "effects"), [(HoldBefore(), 0), (Hold(), 1)])
async def test_a_held_answer_comes_when_it_is_released(
    counter: Counter, http: aiohttp.ClientSession, fault: Fault, effects: int
) -> None:
    rule = counter.faults.add("POST", "/count", fault)
    asking = asyncio.create_task(ask(http, f"{counter.url}/count"))

    await rule.reached()

    assert counter.count == effects
    assert not asking.done()
    rule.release()
    assert await asking == (200, "count 1")


async def test_a_delayed_effect_takes_place_when_the_client_is_gone(
    counter: Counter, http: aiohttp.ClientSession
) -> None:
    rule = counter.faults.add("POST", "/count", HoldBefore())
    asking = asyncio.create_task(ask(http, f"{counter.url}/count"))
    await rule.reached()
    asking.cancel()
    await asyncio.wait({asking})
    await asyncio.sleep(0.05)  # until the server has noticed the disconnect

    rule.release()

    assert await ask(http, f"{counter.url}/count") == (200, "count 2")


async def test_what_is_lost_on_its_way_ends_when_it_is_released(
    counter: Counter, http: aiohttp.ClientSession
) -> None:
    rule = counter.faults.add("POST", "/count", HoldLost())
    asking = asyncio.create_task(ask(http, f"{counter.url}/count"))
    await rule.reached()

    assert not asking.done()
    rule.release()

    with pytest.raises(aiohttp.ClientConnectionError):
        await asking
    assert counter.count == 0


async def test_removing_a_rule_releases_what_it_holds(
    counter: Counter, http: aiohttp.ClientSession
) -> None:
    rule = counter.faults.add("POST", "/count", Hold(), times=None)
    asking = asyncio.create_task(ask(http, f"{counter.url}/count"))
    await rule.reached()

    rule.remove()

    assert await asking == (200, "count 1")
    assert await ask(http, f"{counter.url}/count") == (200, "count 2")


async def test_a_truncated_body_is_noticed(counter: Counter, http: aiohttp.ClientSession) -> None:
    counter.faults.add("GET", "/count", Truncate(3))

    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(http, f"{counter.url}/count", "GET")

    assert counter.count == 1


async def test_the_oldest_rule_which_fits_decides(
    counter: Counter, http: aiohttp.ClientSession
) -> None:
    counter.faults.add("POST", "/coun", Answer(500))
    counter.faults.add("GET", "/count", Answer(501))
    counter.faults.add("POST", "/count", Answer(502), times=2)
    counter.faults.add("POST", "/count", Answer(503))

    statuses = [(await ask(http, f"{counter.url}/count"))[0] for _ in range(4)]

    assert statuses == [502, 502, 503, 200]


async def test_a_chooser_decides_where_no_rule_fits(
    counter: Counter, http: aiohttp.ClientSession
) -> None:
    counter.faults.add("POST", "/count", Answer(503))
    counter.faults.chooser = lambda method, path: (
        Answer(502) if (method, path) == ("POST", "/count") else None
    )

    statuses = [(await ask(http, f"{counter.url}/count"))[0] for _ in range(3)]
    other = await ask(http, f"{counter.url}/count", "GET")
    counter.faults.clear()
    cleared = await ask(http, f"{counter.url}/count")

    assert statuses == [503, 502, 502]
    assert (other, cleared) == ((200, "count 1"), (200, "count 2"))


async def test_waiting_for_a_rule_which_is_not_met_ends(counter: Counter) -> None:
    rule = counter.faults.add("POST", "/count", Hold())

    with pytest.raises(TimeoutError):
        await rule.reached(0.01)
