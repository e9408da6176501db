import asyncio
import json
import logging
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from bot.errors import ProviderError, Reason, Taken
from bot.http_headers import parse_retry_after
from bot.providers.api_client import Api
from tests.providers import clients
from tests.providers.server import Reply, Service, raw

KEY = "key-that-nobody-may-see"


def api_at(session: aiohttp.ClientSession, url: str) -> Api:
    return clients.api_at(session, url, key=KEY)


@pytest.fixture
def api(session: aiohttp.ClientSession, api_service: Service) -> Api:
    return api_at(session, api_service.url)


async def refused(api: Api, method: str = "POST", **how: float) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await api.request(method, "/x", timeout=how.get("timeout", 5.0))
    return caught.value


async def test_an_answer_is_decoded_and_the_key_goes_with_the_request(
    api: Api, api_service: Service
) -> None:
    api_service.answers({"a": [1, "é"]})

    answer = await api.request("POST", "/x/y", json={"b": 2}, params={"c": "d e"})

    assert answer == {"a": [1, "é"]}
    (asked,) = api_service.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/x/y", {"c": "d e"})
    assert json.loads(asked.body) == {"b": 2}
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.headers["User-Agent"].startswith("Easel/")


OWN = {"error": {"message": "No"}}
HTML = "<html><title>Bad Gateway</title></html>"


async def test_the_text_of_an_error_is_read_beyond_the_first_packet(
    session: aiohttp.ClientSession,
) -> None:
    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=400)
        await response.prepare(request)
        await response.write(b'{"error": {"message": "in two')
        await asyncio.sleep(0.05)  # sent at once, the parts would be one packet
        await response.write(b' packets"}}')
        return response

    async with RawTestServer(serve) as server:
        error = await refused(api_at(session, str(server.make_url("")).rstrip("/")))

    assert error.detail == "HTTP 400 in two packets"


@pytest.mark.parametrize(
    ("status", "body", "taken"),
    [
        (429, "", Taken.NO),
        (503, OWN, Taken.NO),
        (503, HTML, Taken.DOUBTFUL),
        (503, {}, Taken.DOUBTFUL),
        (400, OWN, Taken.REFUSED),
        (401, HTML, Taken.REFUSED),
        (402, b"\xff\x00", Taken.REFUSED),
        (403, "", Taken.REFUSED),
        (404, OWN, Taken.REFUSED),
        (422, OWN, Taken.REFUSED),
        (408, OWN, Taken.DOUBTFUL),
        (500, OWN, Taken.DOUBTFUL),
        (502, HTML, Taken.DOUBTFUL),
        (504, OWN, Taken.DOUBTFUL),
        (302, "", Taken.DOUBTFUL),
        (200, HTML, Taken.DOUBTFUL),
        (200, "", Taken.DOUBTFUL),
        (200, '{"generations": [', Taken.DOUBTFUL),
        (200, b"\xff\xfe\xfa", Taken.DOUBTFUL),
        (200, "[" * 100_000, Taken.DOUBTFUL),
        (200, b"9" * 10_000, Taken.DOUBTFUL),
    ],
)
async def test_what_became_of_a_creating_request_is_told(
    api: Api,
    api_service: Service,
    status: int,
    body: bytes | str | dict[str, object],
    taken: Taken,
) -> None:
    api_service.answers(body, status)

    assert (await refused(api)).taken is taken
    assert len(api_service.asked) == 1  # a POST is never repeated


async def test_a_refused_connection_is_surely_not_taken(session: aiohttp.ClientSession) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        error = await refused(api_at(session, f"http://127.0.0.1:{taken.getsockname()[1]}"))

    assert (error.taken, error.reason) == (Taken.NO, Reason.UNAVAILABLE)


async def test_a_name_that_does_not_exist_is_surely_not_taken(
    session: aiohttp.ClientSession,
) -> None:
    error = await refused(api_at(session, "http://nowhere.invalid"))

    assert error.taken is Taken.NO


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", Reason.UNAVAILABLE),  # closed without a word
        (b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"a"', Reason.UNAVAILABLE),
        (b"nonsense\r\n\r\n", Reason.UNAVAILABLE),
    ],
)
async def test_a_broken_connection_leaves_a_doubt(
    session: aiohttp.ClientSession, answer: bytes, reason: Reason
) -> None:
    async with raw(answer) as url:
        error = await refused(api_at(session, url))

    assert (error.taken, error.reason) == (Taken.DOUBTFUL, reason)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"])
async def test_a_service_that_falls_silent_is_given_up(
    session: aiohttp.ClientSession, answer: bytes
) -> None:
    async with raw(answer, hang=True) as url:
        error = await refused(api_at(session, url), timeout=0.05)

    assert (error.taken, error.reason) == (Taken.DOUBTFUL, Reason.TIMEOUT)


async def test_a_refusal_counts_although_its_body_breaks_off(
    session: aiohttp.ClientSession,
) -> None:
    async with raw(b"HTTP/1.1 401 No\r\nContent-Length: 50\r\n\r\n{") as url:
        error = await refused(api_at(session, url))

    assert (error.taken, error.reason) == (Taken.REFUSED, Reason.AUTH)


async def test_an_answer_without_an_end_is_cut_off(api: Api, api_service: Service) -> None:
    api_service.answers(b'"' + b"x" * 50_000_000 + b'"')

    error = await refused(api)

    assert (error.taken, error.reason) == (Taken.DOUBTFUL, Reason.MALFORMED)
    assert len(error.detail) <= 300


async def test_an_answer_may_have_exactly_as_many_bytes_as_its_limit(
    api: Api, api_service: Service
) -> None:
    api_service.answers(b'"' + b"x" * 998 + b'"')
    assert await api.request("POST", "/x", limit=1000) == "x" * 998

    api_service.answers(b'"' + b"x" * 999 + b'"')
    with pytest.raises(ProviderError) as refusal:
        await api.request("POST", "/x", limit=1000)
    assert refusal.value.detail == "an answer of over 1000 bytes"


async def test_a_large_answer_is_decoded_where_it_is_expected(
    api: Api, api_service: Service
) -> None:
    api_service.answers({"data": "x" * 9_000_000})

    answer = await api.request("POST", "/x", limit=20_000_000)

    assert isinstance(answer, dict)
    assert len(answer["data"]) == 9_000_000


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_may_be_repeated_is_repeated(
    api: Api, api_service: Service, method: str, status: int
) -> None:
    api_service.says(Reply(status, HTML), Reply(status, ""), Reply(200, [1]))

    assert await api.request(method, "/x") == [1]
    assert len(api_service.asked) == 3


async def test_a_get_is_tried_three_times_at_most(api: Api, api_service: Service) -> None:
    api_service.answers(OWN, 503)

    error = await refused(api, "GET")

    assert error.reason is Reason.UNAVAILABLE
    assert len(api_service.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_definite_refusal_is_not_repeated(
    api: Api, api_service: Service, status: int
) -> None:
    api_service.answers(OWN, status)

    await refused(api, "GET")

    assert len(api_service.asked) == 1


async def test_a_service_that_asks_for_a_long_pause_is_left_to_the_caller(
    api: Api, api_service: Service
) -> None:
    api_service.says(Reply(429, OWN, {"Retry-After": "60"}))

    error = await refused(api, "GET")

    assert error.retry_after == 60.0
    assert len(api_service.asked) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("999999999", 3600.0),
        ("-3", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header) == seconds


def test_retry_after_may_be_a_date_to_come() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=30)

    seconds = parse_retry_after(format_datetime(moment, usegmt=True))

    assert seconds is not None
    assert 25 < seconds <= 30


async def test_no_redirect_is_followed(api: Api, api_service: Service) -> None:
    api_service.says(Reply(302, "", {"Location": f"{api_service.url}/elsewhere"}), Reply(200, []))

    await refused(api)

    assert [asked.path for asked in api_service.asked] == ["/x"]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": f"Bad key {KEY}"}},
        {"error": {"message": "x" * 280 + KEY}},  # where it would be cut in two
        f"<h1>no</h1> {KEY}\r\n{KEY}",
    ],
)
async def test_the_key_is_never_in_an_errors_words(
    api: Api, api_service: Service, body: dict[str, object] | str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api_service.answers(body, 500)

    error = await refused(api, "GET")

    told = f"{error!r} {error.__cause__!r} {error.detail} {caplog.text}"
    assert KEY[:12] not in told
    assert len(error.detail) <= 300
    assert "\n" not in error.detail


async def test_the_key_is_not_told_when_the_connection_breaks(
    session: aiohttp.ClientSession,
) -> None:
    async with raw(b"nonsense\r\n\r\n") as url:
        error = await refused(api_at(session, url))

    assert error.__suppress_context__
    assert KEY not in repr(error)
    assert KEY not in repr(error.__cause__)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://hub.oxen.ai/api/repos/x", True),
        ("https://HUB.oxen.ai:443/x", True),
        ("http://hub.oxen.ai/x", False),
        ("https://hub.oxen.ai:8443/x", False),
        ("https://cdn.oxen.ai/x", False),
        ("https://hub.oxen.ai.evil.example/x", False),
        ("https://hub.oxen.ai@evil.example/x", False),
        ("https://evil.example/hub.oxen.ai", False),
        ("https://hub.oxen.ai\\@evil.example/", False),
        ("data:image/png;base64,AAAA", False),
        ("//hub.oxen.ai/x", False),
        ("https://[::1", False),
        ("https://@[::1]:8@/x", False),
        ("", False),
    ],
)
async def test_the_key_is_for_the_apis_own_origin_only(
    session: aiohttp.ClientSession, url: str, own: bool
) -> None:
    api = api_at(session, "https://hub.oxen.ai/api")

    assert api.headers_for(url) == ({"Authorization": f"Bearer {KEY}"} if own else {})


async def read_stream(api: Api, silence: float = 5.0) -> tuple[bytes, ProviderError]:
    found = b""
    with pytest.raises(ProviderError) as caught:
        async with asyncio.timeout(20):
            async for chunk in api.stream("/events", silence=silence):
                found += chunk
    return found, caught.value


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n"


async def test_a_stream_that_ends_has_failed(session: aiohttp.ClientSession) -> None:
    async with raw(STREAM) as url:
        found, error = await read_stream(api_at(session, url))

    assert found == b"data: a\n\n"
    assert error.reason is Reason.UNAVAILABLE


async def test_a_stream_that_falls_silent_is_given_up(session: aiohttp.ClientSession) -> None:
    async with raw(STREAM, hang=True) as url:
        found, error = await read_stream(api_at(session, url), silence=0.05)

    assert found == b"data: a\n\n"
    assert error.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(401, OWN), Reason.AUTH),
        (Reply(200, HTML, {"Content-Type": "text/html"}), Reason.MALFORMED),
    ],
)
async def test_what_is_no_stream_is_refused(
    api: Api, api_service: Service, reply: Reply, reason: Reason
) -> None:
    api_service.says(reply)

    _, error = await read_stream(api)

    assert error.reason is reason
