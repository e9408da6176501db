"""Whatever an image API answers, nothing but an Update or a ProviderError comes of it."""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.errors import ProviderError, Reason, Taken
from bot.http_headers import parse_retry_after
from bot.jobs import GenerationRequest
from bot.pictures import Downloader
from bot.providers.base import Failed, Finished, Submission, Submitted
from bot.providers.error_mapping import DETAIL, classify, detail_of, one_line
from bot.providers.oxen.model import described, oxen_spec
from bot.providers.oxen.provider import Oxen
from bot.providers.parsing import pictures
from bot.providers.skills.provider import Skills
from bot.providers.sse import Decoder
from tests.providers.clients import MEMBER, answering, oxen_at, skills_at
from tests.providers.server import Reply, Service
from tests.support.loopback import LOOPBACK

pytestmark = pytest.mark.long

REQUEST = GenerationRequest("oxen", "a fox", {"count": 2})
SINCE = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = "key-of-the-operator"
URL = "https://cdn.example/a.png"

ROW: Mapping[str, object] = {
    "generation_id": "g1",
    "model_name": "qwen-image-2",
    "media_type": "image",
    "status": "succeeded",
    "prompt": "a fox",
    "result_url": URL,
    "error_message": None,
    "enqueued_at": 1_795_000_000,
    "started_at": 1_795_000_001,
    "completed_at": 1_795_000_009,
    "cost": "0.075",
}
REAL: list[object] = [
    {"generations": [ROW, {**ROW, "generation_id": "g2", "status": "queued"}]},
    {"status": "success", "status_message": "resource_found", "generation": ROW},
    ROW,
    {
        "error": {"type": "invalid_params", "title": "Wrong", "detail": "seed"},
        "status": "error",
        "status_message": "invalid_params",
    },
    {"error": {"message": "Insufficient credits"}},
    {"created": 1, "images": [{"url": URL}, {"b64_json": "aGk="}]},
    {
        "id": "qwen-image-2",
        "pricing": {"cost_per_image": "0.075", "cost_per_image_grid": {"1k": {"low": 1}}},
        "json_request_schema": {
            "properties": {
                "aspect_ratio": {"type": "string", "enum": ["1:1", "16:9"], "default": "1:1"},
                "seed": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
                "enhance_prompt": {"type": "boolean", "default": True},
                "negative_prompt": {"type": "string", "maxLength": 500},
            }
        },
    },
    {
        "id": "g1",
        "status": "COMPLETED",
        "data": {"images": [{"url": URL}], "image": {"url": URL}},
        "usage": {"total": 20, "subscription": 20, "permanent": 0},
        "input": {"prompt": "a fox", "image_urls": [URL]},
    },
    {"error": "TIMEOUT", "code": "IMAGE_GENERATION_TIMEOUT", "message": "Too slow"},
    {"data": {"subscription": 10, "permanent": "5"}, "balance": 15},
]
ODD: st.SearchStrategy[object] = st.sampled_from(
    [
        *(None, True, False, 0, -1, 10**400, 1e308, float("nan"), float("inf"), "", " ", "\0"),
        *("\ud800", "g1", "queued", "succeeded", "FAILED", URL, "data:image/png,\ud800", "{}"),
        *("data:image/png;base64,é", "9" * 5000, "-0.0", "1e999999999", "\u0661", {}, []),
        *([[]], [None], {"": {}}, {"url": URL}, {"generation_id": 7}, [{"msg": 1}], "x" * 10_000),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "https://[", "http://a:b@c:d"),
    ]
)
ANY = st.recursive(
    ODD | st.text(max_size=20) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(node: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """The way to every value in a JSON value."""
    yield path
    if isinstance(node, Mapping):
        for name in node:
            yield from places(node[name], (*path, name))
    elif isinstance(node, list):
        for index, each in enumerate(node):
            yield from places(each, (*path, index))


@st.composite
def spoiled(draw: st.DrawFn) -> object:
    """A real answer with one to three of its values replaced or gone."""
    body = copy.deepcopy(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places(body)))) or (None,)
        if last is None:
            return copy.deepcopy(draw(ANY))
        inside: object = body
        for step in way:
            inside = inside[step]  # type: ignore[index]  # as `places` found it
        if draw(st.booleans()):
            inside[last] = copy.deepcopy(draw(ANY))  # type: ignore[index]
        else:
            del inside[last]  # type: ignore[attr-defined]
    return body


def calls(provider: Oxen | Skills) -> list[Callable[[], Awaitable[object]]]:
    found: list[Callable[[], Awaitable[object]]] = [
        lambda: provider.submit(REQUEST, MEMBER),
        lambda: provider.fetch("g1"),
        lambda: provider.cost("g1"),
        lambda: provider.describe(),
        lambda: provider.check(),
        lambda: provider.find(REQUEST, SINCE, SINCE + timedelta(minutes=3)),
        lambda: provider.cancel("g1"),
    ]
    if isinstance(provider, Skills):
        return [*found, lambda: provider.credits()]
    return [
        *found,
        lambda: provider.list(),
        lambda: provider.history(),
    ]


def check(found: object) -> None:
    """What a provider gives can be stored, and its pictures be asked for."""
    if isinstance(found, Submission):
        found = found.generations
    if isinstance(found, tuple) and found and isinstance(found[0], Submitted):
        for each in found:
            each.remote_id.encode()
            check(each.update)
        ids = [each.remote_id for each in found]
        assert len(set(ids)) == len(ids)
    if isinstance(found, Finished):
        assert found.pictures
        assert len(set(found.pictures)) == len(found.pictures)
    if isinstance(found, Failed):
        found.detail.encode()
        assert len(found.detail) <= DETAIL
        assert SECRET not in found.detail
    if isinstance(found, Finished | Failed) and found.cost is not None:
        assert 0 <= found.cost.amount < 2**63
        json.dumps(dict(found.cost.details), allow_nan=False).encode()


def of_error(error: ProviderError) -> None:
    error.detail.encode()
    assert len(error.detail) <= DETAIL + 20
    assert SECRET not in error.detail


@settings(max_examples=300)
@given(spoiled())
async def test_a_spoiled_answer_is_an_update_or_a_provider_error(answer: object) -> None:
    for provider in (oxen_at(key=SECRET), skills_at(key=SECRET)):
        answering(provider, answer)
        for call in calls(provider):
            try:
                check(await call())
            except ProviderError as error:
                of_error(error)


@settings(max_examples=150)
@given(spoiled())
def test_a_spoiled_description_leaves_a_model_that_can_be_offered(answer: object) -> None:
    spec, _ = described(oxen_spec(price=7500), answer, credits_per_usd=Decimal(100))

    assert 0 < spec.price < 2**63
    for option in spec.options.values():
        repr(option).encode("ascii", "backslashreplace")
        for value in getattr(option, "values", ()):
            assert 0 < len(value) <= 100
            value.encode()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([200, 201, 202, 204, 302, 400, 401, 404, 418, 429, 500, 503, 599]),
    st.binary(max_size=60)
    | ANY.map(lambda value: json.dumps(value).encode())
    | st.sampled_from([b"[" * 100_000, b"9" * 5000, b'{"a":' * 3000, b"<html>502</html>"]),
)
async def test_any_bytes_with_any_status_are_an_update_or_a_provider_error(
    api_service: Service, session: aiohttp.ClientSession, status: int, body: bytes
) -> None:
    api_service.says(Reply(status, b"" if status == 204 else body))
    refused: list[Taken] = []
    for provider in (
        oxen_at(session, api_service.url, key=SECRET),
        skills_at(session, api_service.url, key=SECRET),
    ):
        for call in calls(provider)[:3]:
            try:
                check(await call())
            except ProviderError as error:
                of_error(error)
                refused.append(error.taken)
    assert status != 429 or set(refused) == {Taken.NO}


@given(ANY | spoiled(), st.none() | st.integers(-1, 1000))
def test_any_error_has_a_reason_and_a_line_for_the_log(body: object, status: int | None) -> None:
    assert classify(body, status) in Reason
    line = one_line(detail_of(body))
    line.encode()
    assert len(line) <= DETAIL
    assert len(line.splitlines()) <= 1


@given(st.text(max_size=40) | st.sampled_from(["Fri, 31 Dec 9999 23:59:59 -2359", "1e9", "٣"]))
def test_any_retry_after_is_a_bounded_wait_or_none(value: str) -> None:
    seconds = parse_retry_after(value)

    assert seconds is None or 0 <= seconds <= 3600


EVENTS = (
    b'event: connected\ndata: {"ok":true}\n\n: keep-alive\n\n'
    b'event: media_generation_completed\r\ndata: {"generation_id":"g1"}\r\n\r\n'
    b"event: media_generation_completed\ndata: {not json\n\n"
    b'id: 7\nevent: media_generation_completed\ndata: {"generation_id":\ndata: "g2"}\n\n'
)


def told(stream: bytes) -> int:
    """How many of the two ids are in a stream that is cut there."""
    return sum(stream.startswith(EVENTS[: EVENTS.index(end) + len(end)]) for end in ENDS)


ENDS = (b'"g1"}\r\n\r', b'"g2"}\n\n')


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_stream_cut_at_any_byte_tells_whole_events_only(size: int) -> None:
    provider = oxen_at(key=SECRET)
    for cut in range(len(EVENTS) + 1):
        stream = EVENTS[:cut]

        async def chunks(*_: object, stream: bytes = stream, **__: object) -> object:
            for at in range(0, len(stream), size):
                yield stream[at : at + size]
            raise ProviderError(Reason.UNAVAILABLE, "the stream ended")

        provider._api.stream = chunks  # type: ignore[assignment, method-assign]
        found: list[str] = []
        with pytest.raises(ProviderError):
            async for remote_id in provider.events():
                found.append(remote_id)

        assert [each for each in found if each] == ["g1", "g2"][: told(stream)], cut


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_stream_is_events_or_a_provider_error(chunks: list[bytes]) -> None:
    decoder = Decoder(limit=100)
    with suppress(ProviderError):
        for chunk in chunks:
            for event in decoder.feed(chunk):
                assert len(event.data.encode()) <= 600  # ten chunks, and no more than they hold


ADDRESSES = [
    *("http://[", "http://[::1", "https://:80/", "http://a:99999999/", "http://\ud800/", "http://"),
    *("http://127.0.0.1:0/a", "http://127.0.0.1:1/\ud800", "http://0x7f.1:1/", "HTTP://127.1:1/"),
    *(
        "http://user:pass@127.0.0.1:1/a",
        "http://127.0.0.1:1/" + "a" * 9000,
        "http://%00/",
        "http://é",
    ),
    *(
        "data:",
        "data:,",
        "data:image/png,\ud800",
        "data:image/png;base64,\ud800",
        "DATA:x;base64,é",
    ),
    *("data:image/png;base64,====", "data:image/png;base64," + "%" * 99, "data:image/png,\0"),
]


@pytest.mark.parametrize("url", ADDRESSES, ids=range(len(ADDRESSES)))
async def test_any_address_is_bytes_or_a_provider_error(url: str) -> None:
    async with Downloader(private_hosts=LOOPBACK) as downloader, asyncio.timeout(20):
        try:
            assert isinstance(await downloader.fetch(url, lambda _: {}), bytes)
        except ProviderError as error:
            of_error(error)
        if not url.lower().startswith("data:"):
            with pytest.raises(ProviderError):
                await downloader.fetch_head(url, 10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40), st.sampled_from(["data:", "data:image/png,", "DATA:a/b;base64,"]))
async def test_any_data_address_is_bytes_or_a_provider_error(text: str, start: str) -> None:
    async with Downloader() as downloader:
        with suppress(ProviderError):
            found = await downloader.fetch(start + text, lambda _: {}, limit=1000)
            assert len(found) <= 1000


@given(ANY | spoiled())
def test_pictures_are_addresses_that_can_be_asked_for(body: object) -> None:
    if isinstance(body, dict):
        for url in pictures(body):
            assert url.lower().startswith(("https://", "http://", "data:image/"))
            assert url.isprintable() or url.lower().startswith("data:")  # looked at when decoded
