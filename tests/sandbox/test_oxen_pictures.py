"""Oxen's stand-in: inputs, results, the CDN, the synchronous calls and the event stream."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.sandbox.drawing.draw import draw
from bot.sandbox.oxen.server import FakeOxen
from tests.sandbox.raw import Raw, data_uri, picture, raw_client

ASK = {"model": "qwen-image-2", "prompt": "a fox in the snow"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_775_091_431.6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def oxen(clock: Clock) -> AsyncIterator[FakeOxen]:
    service = FakeOxen(generation_seconds=0.01, clock=clock, long_side=128, keep_alive_seconds=0.05)
    async with service:
        yield service


@pytest.fixture
async def raw(oxen: FakeOxen) -> AsyncIterator[Raw]:
    async with raw_client(oxen, oxen.url) as client:
        yield client


@asynccontextmanager
async def pictures_at(*answers: tuple[int, bytes]) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Run a foreign web server; yield the address of `/0`, `/1`, … and the received requests."""
    asked: list[web.Request] = []

    async def serve(request: web.Request) -> web.Response:
        asked.append(request)
        status, body = answers[int(request.match_info["n"])]
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get("/{n}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def ended(raw: Raw, oxen: FakeOxen, **options: object) -> dict[str, Any]:
    answer = await raw.post("/ai/queue", {**ASK, **options})
    id = answer.body["generations"][0]["generation_id"]
    await oxen.settled(id)
    row = (await raw.get(f"/ai/queue/{id}")).body
    assert isinstance(row, dict)
    return row


async def result(raw: Raw, row: dict[str, Any]) -> bytes:
    """Return the picture of a row, downloaded as a careful client does."""
    assert row["status"] == "succeeded", row
    led = await raw.get(row["result_url"])
    assert led.status == 302
    got = await raw.get(led.headers["Location"], key=None)
    assert (got.status, got.headers["Content-Type"]) == (200, "image/png")
    return got.raw


@pytest.mark.parametrize(
    ("ratio", "size"), [(None, (128, 72)), ("1:1", (128, 128)), ("1:2", (64, 128))]
)
async def test_a_result_has_the_size_of_its_ratio(
    raw: Raw, oxen: FakeOxen, ratio: str | None, size: tuple[int, int]
) -> None:
    options = {} if ratio is None else {"aspect_ratio": ratio}

    data = await result(raw, await ended(raw, oxen, **options))

    assert picture(data).size == size


async def test_the_same_seed_and_options_make_the_same_bytes(raw: Raw, oxen: FakeOxen) -> None:
    wishes: list[dict[str, object]] = [
        {"seed": 5},
        {"seed": 5},
        {"seed": 6},
        {"seed": 5, "negative_prompt": "blur"},
        {},
        {},
    ]
    made = [await result(raw, await ended(raw, oxen, **wish)) for wish in wishes]

    assert made[0] == made[1]
    assert len(set(made)) == 5


async def test_a_result_needs_the_key_and_leads_to_the_cdn(raw: Raw, oxen: FakeOxen) -> None:
    url = (await ended(raw, oxen))["result_url"]

    assert (await raw.get(url, key=None)).status == 401
    assert (await raw.get(url, key="wrong")).status == 401
    location = (await raw.get(url)).headers["Location"]
    assert location.startswith(oxen.cdn_origin)
    assert oxen.violations == []


async def test_a_result_can_be_served_without_a_redirect(raw: Raw, oxen: FakeOxen) -> None:
    oxen.redirect_results = False
    url = (await ended(raw, oxen))["result_url"]

    assert picture((await raw.get(url)).raw).size == (128, 72)
    assert (await raw.get(url, key=None)).status == 401
    oxen.results_need_key = False
    assert (await raw.get(url, key=None)).status == 200


async def test_there_is_no_result_before_the_end_nor_of_a_failure(raw: Raw, oxen: FakeOxen) -> None:
    url = (await ended(raw, oxen))["result_url"]
    failed = await ended(raw, oxen, seed=-1)
    other = url.replace(url[-40:-4], failed["generation_id"])

    assert (await raw.get(other)).status == 404
    assert (await raw.get(f"{oxen.url}/repos/x/y.png")).status == 404


async def test_an_address_at_the_cdn_is_signed_and_expires(
    raw: Raw, oxen: FakeOxen, clock: Clock
) -> None:
    location = (await raw.get((await ended(raw, oxen))["result_url"])).headers["Location"]
    statuses = [(await raw.get(location, key=None)).status]
    for wrong in (
        location[:-1],
        location.split("?")[0],
        location.replace("expires=1", "expires=2"),
    ):
        statuses.append((await raw.get(wrong, key=None)).status)
    clock.now += oxen.url_seconds
    statuses.append((await raw.get(location, key=None)).status)

    assert statuses == [200, 403, 403, 403, 403]
    assert {each.site for each in oxen.requests if each.status == 403} == {"cdn"}


@pytest.mark.parametrize("key", ["", "another"])
async def test_the_cdn_must_not_be_sent_a_key(raw: Raw, oxen: FakeOxen, key: str) -> None:
    location = (await raw.get((await ended(raw, oxen))["result_url"])).headers["Location"]

    assert (await raw.get(location, key=key)).status == 400
    assert len(oxen.violations) == 1
    assert "key was sent to the CDN" in oxen.violations[0]


async def test_an_input_is_fetched_without_credentials_and_shows(raw: Raw, oxen: FakeOxen) -> None:
    input_ = draw("a cat in the forest", 1, 90, 60)
    async with pictures_at((200, input_)) as (address, asked):
        edit = await ended(raw, oxen, input_image=f"{address}/0", seed=1)
    plain = await ended(raw, oxen, seed=1)

    assert [request.headers.get("Authorization") for request in asked] == [None]
    edited = await result(raw, edit)
    assert picture(edited).size == (128, 72)
    assert edited != await result(raw, plain)
    assert edit["input_image"] == f"{address}/0"


async def test_match_input_image_gives_the_inputs_size(raw: Raw, oxen: FakeOxen) -> None:
    row = await ended(raw, oxen, input_image=data_uri(size=(90, 61)), match_input_image=True)
    without = await ended(raw, oxen, match_input_image=True)

    assert picture(await result(raw, row)).size == (90, 61)
    assert picture(await result(raw, without)).size == (128, 72)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b"", "403 Client Error: Forbidden for url: http://127.0.0.1"),
        (404, b"", "404 Client Error: Not Found for url: http://127.0.0.1"),
        (500, b"", "500 Server Error: Internal Server Error for url: http://127.0.0.1"),
        (200, b"<html>log in</html>", "Invalid image format ''"),
        (200, b"", "Invalid image format ''"),
        (200, draw("x", 1, 60, 60)[:300], "Invalid image format ''"),
        (200, b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "Invalid image format"),
    ],
)
async def test_an_input_that_is_no_picture_fails_the_generation(
    raw: Raw, oxen: FakeOxen, status: int, body: bytes, words: str
) -> None:
    async with pictures_at((status, body)) as (address, _):
        row = await ended(raw, oxen, input_image=f"{address}/0")

    assert row["status"] == "failed"
    assert words in row["error_message"]
    assert oxen.charges == {}


@pytest.mark.parametrize(
    "address",
    ["data:image/png;base64,AAAA", "data:image/png;base64,%%%", "data:,x", "http://127.0.0.1:9/a"],
)
async def test_an_address_that_leads_nowhere_fails_the_generation(
    raw: Raw, oxen: FakeOxen, address: str
) -> None:
    assert (await ended(raw, oxen, input_image=address))["status"] == "failed"
    assert oxen.violations == []


@pytest.mark.parametrize("call", ["/ai/images/edit", "/ai/images/generate"])
async def test_the_synchronous_calls_answer_with_an_address_that_needs_no_key(
    raw: Raw, oxen: FakeOxen, call: str
) -> None:
    answer = await raw.post(call, {**ASK, "input_image": data_uri(), "aspect_ratio": "1:1"})

    assert answer.status == 200
    assert (answer.body["model"], answer.body["created"]) == ("qwen-image-2", 1_775_091_431)
    (image,) = answer.body["images"]
    led = await raw.get(image["url"], key=None)
    assert picture((await raw.get(led.headers["Location"], key=None)).raw).size == (128, 128)
    assert len(oxen.charges) == 1
    assert (await raw.get("/ai/queue?status=succeeded")).body["count"] == 0
    assert (await raw.get("/ai/generations")).body["total_entries"] == 1


async def test_a_synchronous_call_can_answer_with_the_bytes(raw: Raw) -> None:
    answer = await raw.post("/ai/images/generate", {**ASK, "response_format": "b64_json"})

    (image,) = answer.body["images"]
    assert picture(base64.b64decode(image["b64_json"])).size == (128, 72)


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"seed": -1}, 400, "seed must be between 0 and 2147483647"),
        ({"prompt": "forbidden"}, 400, "Content flagged for: sexual"),
        ({"model": "nothing"}, 404, "Model not found: nothing"),
        ({"input_image": "data:,"}, 400, "Invalid image format ''"),
    ],
)
async def test_a_synchronous_call_refuses_at_once(
    raw: Raw, oxen: FakeOxen, change: dict[str, object], status: int, message: str
) -> None:
    answer = await raw.post("/ai/images/edit", {**ASK, **change})

    assert (answer.status, answer.body) == (status, {"error": {"message": message}})
    assert oxen.charges == {}


class Stream:
    """The events of the event stream from the moment of the connection."""

    def __init__(self, raw: Raw, oxen: FakeOxen) -> None:
        self.raw = raw
        self.oxen = oxen
        self.text = ""

    async def read(self) -> None:
        headers = {"Authorization": f"Bearer {self.oxen.key}"}
        async with self.raw.session.get(self.raw.url + "/events", headers=headers) as response:
            assert response.content_type == "text/event-stream"
            async for chunk in response.content.iter_any():
                self.text += chunk.decode()

    def events(self, name: str) -> list[str]:
        blocks = [block.split("\n") for block in self.text.split("\n\n")]
        return [block[1].removeprefix("data: ") for block in blocks if block[0] == f"event: {name}"]

    async def until(self, text: str) -> None:
        async with asyncio.timeout(20):
            while text not in self.text:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(raw: Raw, oxen: FakeOxen) -> AsyncIterator[Stream]:
    stream = Stream(raw, oxen)
    reading = asyncio.create_task(stream.read())
    await oxen.listening()
    try:
        yield stream
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_the_stream_tells_each_end_once_but_no_cancelling(raw: Raw, oxen: FakeOxen) -> None:
    early = (await ended(raw, oxen))["generation_id"]
    async with listening(raw, oxen) as stream:
        good = (await ended(raw, oxen))["generation_id"]
        oxen.manual = True
        answer = await raw.post("/ai/queue", ASK)
        gone = answer.body["generations"][0]["generation_id"]
        await raw.ask("DELETE", f"/ai/queue/{gone}")
        oxen.manual = False
        bad = (await ended(raw, oxen, prompt="forbidden"))["generation_id"]
        await stream.until(bad)

    succeeded, failed = stream.events("media_generation_completed")
    assert f'"generation_id":"{good}"' in succeeded  # the form that clients search for
    told = json.loads(succeeded)
    url = told.pop("url")
    assert told == {
        "generation_id": good,
        "status": "succeeded",
        "media_type": "image",
        "model": "qwen-image-2",
    }
    assert json.loads(failed) == {
        "generation_id": bad,
        "status": "failed",
        "media_type": "image",
        "error": "Content flagged for: sexual",
    }
    assert early not in stream.text
    assert gone not in stream.text
    assert stream.events("deployment_status_changed")  # the stream also carries other events
    assert (await raw.get(url, key=None)).status == 302  # presigned


async def test_an_idle_stream_is_kept_alive(raw: Raw, oxen: FakeOxen) -> None:
    async with listening(raw, oxen) as stream:
        await stream.until(": keep-alive\n\n: keep-alive\n\n")
    assert "event:" not in stream.text


async def test_what_happens_while_a_stream_is_down_is_lost(raw: Raw, oxen: FakeOxen) -> None:
    stream = Stream(raw, oxen)
    reading = asyncio.create_task(stream.read())
    await oxen.listening()

    oxen.drop_streams()

    with pytest.raises(aiohttp.ClientError):
        await reading
    missed = (await ended(raw, oxen))["generation_id"]
    async with listening(raw, oxen) as later:
        heard = (await ended(raw, oxen))["generation_id"]
        await later.until(heard)
    assert missed not in later.text
