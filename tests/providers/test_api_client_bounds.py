"""The bounds of the HTTP client: statuses, sizes, waits and broken connections."""

import asyncio
import json
import socket
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest
import stamina
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.test_utils import RawTestServer

from bot.errors import ProviderError, Reason, Taken
from bot.providers import api_client
from bot.providers.api_client import Api, NotServed
from tests.providers.clients import api_at
from tests.providers.server import Reply, Service, raw

MEGABYTE = 1024 * 1024


@pytest.fixture
def api(session: aiohttp.ClientSession, api_service: Service) -> Api:
    return api_at(session, api_service.url, key="key")


async def refused(api: Api, method: str = "POST", **how: Any) -> ProviderError:  # noqa: ANN401
    with pytest.raises(ProviderError) as caught:
        await api.request(method, "/x", **how)
    return caught.value


async def test_a_status_says_whether_a_creating_request_was_refused(
    api: Api, api_service: Service
) -> None:
    definite = {400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 413, 414, 415, 416, 422, 431, 451}
    for status in (*range(300, 304), *range(400, 432), 451, 452, 499, 500, 501):
        api_service.answers("", status)
        error = await refused(api)
        expected = Taken.REFUSED if status in definite else Taken.DOUBTFUL
        assert error.taken is (Taken.NO if status == 429 else expected), status
        assert isinstance(error, NotServed) is (status in {404, 405, 406}), status


async def test_every_status_from_200_to_299_is_a_success(api: Api, api_service: Service) -> None:
    for status in (200, 201, 299):
        api_service.answers({"status": status}, status)
        assert await api.request("POST", "/x") == {"status": status}

    api_service.answers({"status": 300}, 300)
    assert (await refused(api)).detail == "HTTP 300"


async def test_an_answer_has_a_megabyte_at_most_unless_more_is_expected(
    api: Api, api_service: Service
) -> None:
    api_service.answers(b'"' + b"x" * (MEGABYTE - 2) + b'"')
    assert await api.request("POST", "/x") == "x" * (MEGABYTE - 2)

    api_service.answers(b'"' + b"x" * (MEGABYTE - 1) + b'"')
    error = await refused(api)
    assert (error.reason, error.taken) == (Reason.MALFORMED, Taken.DOUBTFUL)
    assert await api.request("POST", "/x", limit=2 * MEGABYTE) == "x" * (MEGABYTE - 1)


@pytest.mark.parametrize("mark", [",", "[", "{"])
async def test_a_large_answer_of_many_values_is_not_decoded(
    api: Api, api_service: Service, mark: str
) -> None:
    """Marks in a text are counted too."""
    for marks, length, accepted in (
        (50_000, MEGABYTE + 1, True),
        (50_001, MEGABYTE + 1, False),
        (50_001, MEGABYTE, True),
    ):
        text = (mark * marks).ljust(length - 2, "x")
        api_service.answers(f'"{text}"'.encode())
        if accepted:
            assert await api.request("POST", "/x", limit=2 * MEGABYTE) == text
        else:
            error = await refused(api, limit=2 * MEGABYTE)
            assert (error.reason, error.taken) == (Reason.MALFORMED, Taken.DOUBTFUL)


@pytest.mark.parametrize("text", ["\ud83d", "😀", "\ud83d😀"], ids=ascii)
async def test_a_long_answer_is_decoded_as_a_short_one(
    api: Api, api_service: Service, text: str
) -> None:
    for length in (1, 300 * 1024):
        value = {"text": text + "x" * length}
        api_service.answers(json.dumps(value).encode())
        assert await api.request("POST", "/x") == value
    written = {"text": "é😀" + "x" * 300 * 1024}
    api_service.answers(json.dumps(written, ensure_ascii=False).encode())
    assert await api.request("POST", "/x") == written


async def test_large_answers_are_received_one_at_a_time(session: aiohttp.ClientSession) -> None:
    """A small one does not wait. The place is free again after an answer that is refused."""
    ends = asyncio.Event()
    half = b'"' + b"x" * (MEGABYTE + 10)

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        if request.path == "/small":
            await response.write(b"1")
            return response
        await response.write(half)
        if request.path == "/held":
            await ends.wait()
        await response.write(b'"' if request.path != "/broken" else b"")
        return response

    async with RawTestServer(serve) as server:
        api = api_at(session, str(server.make_url("")).rstrip("/"), key="key")
        held = asyncio.create_task(api.request("POST", "/held", limit=2 * MEGABYTE))
        async with asyncio.timeout(20):
            while not api._large.locked():
                await asyncio.sleep(0.005)
        assert await api.request("POST", "/small", limit=2 * MEGABYTE) == 1
        error = await refused(api, limit=2 * MEGABYTE, timeout=0.3)
        assert (error.reason, error.taken) == (Reason.TIMEOUT, Taken.DOUBTFUL)
        ends.set()
        assert isinstance(await held, str)
        with pytest.raises(ProviderError, match="not JSON"):
            await api.request("POST", "/broken", limit=2 * MEGABYTE)
        assert isinstance(await api.request("POST", "/x", limit=2 * MEGABYTE), str)


async def test_an_error_says_whether_the_answer_was_empty(api: Api, api_service: Service) -> None:
    api_service.answers("")
    assert (await refused(api)).detail == "an empty answer"
    api_service.answers("oops")
    assert (await refused(api)).detail == "not JSON: oops"


@pytest.mark.parametrize(("more", "readable"), [(0, True), (1, False)])
async def test_of_an_error_64_kilobytes_are_read(
    api: Api, api_service: Service, more: int, readable: bool
) -> None:
    body = json.dumps({"code": "content_rejected", "error": "No"})
    api_service.answers(body.rjust(64 * 1024 + more), 422)

    assert ((await refused(api)).reason is Reason.REJECTED) is readable


async def test_a_date_in_retry_after_counts_from_the_date_of_the_answer(
    api: Api, api_service: Service
) -> None:
    dates = {
        "Retry-After": "Wed, 21 Oct 2015 07:28:40 GMT",
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
    }
    api_service.says(Reply(429, "", dates))

    assert (await refused(api)).retry_after == 40.0


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which take no time."""
    found: list[float] = []
    sleep = asyncio.sleep

    async def noted(delay: float, *rest: object) -> None:
        if delay:
            found.append(delay)
        await sleep(0)

    stamina.set_testing(False)
    monkeypatch.setattr(asyncio, "sleep", noted)
    return found


async def test_the_waits_between_attempts_grow(
    api: Api, api_service: Service, waits: list[float]
) -> None:
    api_service.answers("", 500)
    await refused(api, "GET")

    first, second = waits
    assert 0.3 <= first <= 0.6
    assert 0.6 <= second <= 0.9
    assert len(api_service.asked) == 3


@pytest.mark.parametrize(
    ("header", "waited"), [("0.1", [0.1, 0.1]), ("10", [10.0, 10.0]), ("10.1", [])]
)
async def test_a_requested_wait_of_ten_seconds_is_kept(
    api: Api, api_service: Service, waits: list[float], header: str, waited: list[float]
) -> None:
    api_service.says(Reply(429, "", {"Retry-After": header}))
    await refused(api, "GET")

    assert waits == waited


KEY = ConnectionKey("a.example", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "reason", "taken"),
    [
        (aiohttp.ConnectionTimeoutError(), Reason.TIMEOUT, Taken.NO),
        (aiohttp.SocketTimeoutError(), Reason.TIMEOUT, Taken.DOUBTFUL),
        (TimeoutError(), Reason.TIMEOUT, Taken.DOUBTFUL),
        (aiohttp.ServerDisconnectedError(), Reason.UNAVAILABLE, Taken.DOUBTFUL),
        (aiohttp.ClientConnectorError(KEY, OSError(1, "x")), Reason.UNAVAILABLE, Taken.NO),
        (aiohttp.InvalidURL("http://["), Reason.UNAVAILABLE, Taken.NO),
        (OSError(104, "reset"), Reason.UNAVAILABLE, Taken.DOUBTFUL),
    ],
    ids=str,
)
async def test_without_a_connection_nothing_can_have_been_taken(
    api: Api, error: Exception, reason: Reason, taken: Taken
) -> None:
    found = api._broken(error)

    assert (found.reason, found.taken) == (reason, taken)


async def test_the_time_for_a_connection_is_limited_by_itself(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue of the listening socket is full, so that no connection is made."""
    assert api_client.CONNECT_TIMEOUT == 10.0
    monkeypatch.setattr(api_client, "CONNECT_TIMEOUT", 0.05)
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        error = await refused(api_at(session, url, key="key"), timeout=5.0)

    assert (error.reason, error.taken) == (Reason.TIMEOUT, Taken.NO)


async def test_a_stream_may_last_longer_than_a_request(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "TIMEOUT", 0.1)

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(6):
            await response.write(b": a\n")
            await asyncio.sleep(0.04)
        return response

    found: list[bytes] = []
    async with RawTestServer(serve) as server:
        api = api_at(session, str(server.make_url("")).rstrip("/"), key="key")
        with pytest.raises(ProviderError, match="the stream ended"):
            async for piece in api.stream("/events", silence=5.0):
                found.append(piece)

    assert found[0] == b""
    assert b"".join(found) == b": a\n" * 6


async def test_a_stream_is_requested_as_one(api: Api, api_service: Service) -> None:
    api_service.says(Reply(200, b"", {"Content-Type": "text/event-stream"}), Reply(200, b"{}"))
    with pytest.raises(ProviderError, match="the stream ended") as ended:
        async for _ in api.stream("/events", silence=5.0):
            pass
    await api.request("GET", "/x")

    stream, other = api_service.asked
    assert (stream.method, stream.headers["Accept"]) == ("GET", "text/event-stream")
    assert other.headers["Accept"] != "text/event-stream"
    assert ended.value.reason is Reason.UNAVAILABLE


async def test_only_200_opens_a_stream(api: Api, api_service: Service) -> None:
    api_service.says(Reply(201, b"", {"Content-Type": "text/event-stream"}))

    with pytest.raises(ProviderError, match="HTTP 201"):
        async for _ in api.stream("/events", silence=5.0):
            pass


async def test_a_connection_that_breaks_is_closed_without_the_key(
    session: aiohttp.ClientSession,
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 50\r\n\r\n: a\n"
    async with raw(head) as url:
        api = api_at(session, url, key="key-of-the-operator")
        with pytest.raises(ProviderError) as caught:
            async for _ in api.stream("/events", silence=5.0):
                pass

    assert (caught.value.reason, caught.value.__cause__) == (Reason.UNAVAILABLE, None)
    assert caught.value.__suppress_context__
