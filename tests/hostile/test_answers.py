"""Answers of a service that take far more time or memory than bytes."""

import asyncio
import json
import tracemalloc
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from bot.errors import ProviderError, Reason, Taken
from bot.http_client import open_session
from bot.jobs import GenerationRequest
from bot.pictures import Downloader
from bot.providers.api_client import LIMIT
from bot.providers.base import Failed, Finished, Running
from bot.providers.error_mapping import classify, detail_of
from bot.providers.parsing import State, Vocabulary, amount
from tests.hostile.bounds import bounded
from tests.providers.clients import MEMBER, oxen_at, skills_at
from tests.providers.server import Reply, raw, service
from tests.support.loopback import LOOPBACK

REQUEST = GenerationRequest("oxen", "a fox")

# Each takes time by the square of the length in one of the patterns, or did.
TEXTS = {
    "client error": "client error: " * 23_000,
    "policy": "content " * 40_000,
    "dashes": "data_inspection_" * 20_000,
    "tags": "<" * 325_000,
    "spaces": " " * 325_000 + "x",
    "cannot": "cannot be " * 32_000,
    "lines": "\n" * 325_000,
}


@pytest.mark.long
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_long_text_of_an_error_delays_nobody(text: str, status: int) -> None:
    row = {"generation_id": "g1", "status": "failed", "error_message": text}
    body = row if status == 200 else {"error": {"message": text, "detail": text}}
    async with service() as api, open_session() as session:
        api.answers(body, status)
        async with bounded(seconds=2, pause=0.2, megabytes=20):
            try:
                update = await oxen_at(session, api.url).fetch("g1")
            except ProviderError as error:
                detail = error.detail
            else:
                assert isinstance(update, Failed)
                detail = update.detail
    assert len(detail) <= 320


async def test_many_texts_of_an_error_delay_nobody() -> None:
    texts = [{"msg": f"client error: {number}" * 5} for number in range(8_000)]
    async with bounded(seconds=1, pause=0.2):
        assert classify({"detail": texts}, 400) is Reason.INVALID


def test_a_pattern_still_finds_its_words_at_the_end_of_a_usual_text() -> None:
    assert classify({"detail": "x" * 1500 + " content policy"}, 400) is Reason.REJECTED


HUGE = {
    "lists": b"[" + b"[]," * 700_000 + b"[]]",
    "objects": b"[" + b"{}," * 700_000 + b"{}]",
    "numbers": b"[" + b"1," * 1_000_000 + b"1]",
    "names": b"{" + b",".join(b'"%d":1' % number for number in range(200_000)) + b"}",
    "depth": b"[" * 1_500_000,
}


@pytest.mark.long
@pytest.mark.parametrize("body", HUGE.values(), ids=HUGE)
async def test_an_answer_of_many_values_is_refused_before_it_is_decoded(body: bytes) -> None:
    assert len(body) > LIMIT
    async with service() as api, open_session() as session:
        api.says(Reply(200, body))
        # The answer itself is copied a few times, in this process by the server too.
        async with bounded(seconds=2, pause=0.3, megabytes=30):
            with pytest.raises(ProviderError) as caught:
                await oxen_at(session, api.url).fetch("g1")

    assert caught.value.reason is Reason.MALFORMED


async def test_an_answer_without_pictures_has_a_mebibyte_at_most() -> None:
    async with service() as api, open_session() as session:
        api.answers({"generations": [{"generation_id": "g1", "prompt": "x" * LIMIT}]})
        with pytest.raises(ProviderError, match="over 1048576 bytes") as caught:
            await oxen_at(session, api.url).submit(REQUEST, MEMBER)

    assert caught.value.taken is Taken.DOUBTFUL


async def test_an_answer_with_a_picture_of_many_bytes_is_read() -> None:
    url = "data:image/png;base64," + "A" * 20_000_000
    async with service() as api, open_session() as session:
        api.answers({"id": "g1", "status": "COMPLETED", "data": {"images": [{"url": url}]}})
        update = await skills_at(session, api.url).fetch("g1")

    assert isinstance(update, Finished)
    assert update.pictures == (url,)


async def test_an_emoji_beside_a_long_picture_does_not_multiply_its_memory() -> None:
    url = "data:image/png;base64," + "A" * 20_000_000
    body = {"id": "g1", "status": "COMPLETED", "prompt": "🦊 é", "data": {"images": [url]}}
    async with service() as api, open_session() as session:
        api.says(Reply(200, json.dumps(body, ensure_ascii=False).encode()))
        # The server has a copy too; decoded at once, the text takes four bytes for each of these.
        async with bounded(seconds=3, megabytes=100):
            update = await skills_at(session, api.url).fetch("g1")

    assert isinstance(update, Finished)
    assert update.pictures == (url,)


def test_long_words_of_an_answer_are_not_stored(caplog: pytest.LogCaptureFixture) -> None:
    words = Vocabulary("oxen")
    tracemalloc.start()
    for number in range(30):
        assert words.state(f"{number}" + "x" * 1_000_000) is State.RUNNING
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert held < 1_000_000
    assert len(caplog.records) == 30


async def test_a_long_code_delays_nobody() -> None:
    async with bounded(seconds=0.1, pause=0.1):
        body = {"code": "É" * 20_000_000, "message": "É" * 20_000_000}
        assert classify(body, 400) is Reason.INVALID
        assert len(detail_of(body)) < 5_000


AMOUNTS = [
    *("1e-60000000", "0e-60000000", "0e60000000", "1e60000000", "9" * 100_000, "0." + "0" * 99),
    *("1e-99", "-1", "nan", "inf", "٣" * 100, " " * 1000),
]


@pytest.mark.long
@pytest.mark.parametrize("text", AMOUNTS, ids=range(len(AMOUNTS)))
async def test_a_cost_is_a_number_that_can_be_written(text: str) -> None:
    row = {"generation_id": "g1", "status": "succeeded", "result_url": "https://a/b", "cost": text}
    async with service() as api, open_session() as session:
        api.says(Reply(200, json.dumps(row)))
        async with bounded(seconds=1):
            update = await oxen_at(session, api.url).fetch("g1")

    assert isinstance(update, Finished)
    assert update.cost is None


@pytest.mark.parametrize("value", ["0.075", 0.075, "7.750000000000001", 1e-07, 20, "1000000"])
def test_usual_amounts_are_read(value: object) -> None:
    assert amount(value) == Decimal(str(value))


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
FLOODS: dict[str, Callable[[], bytes]] = {
    "empty lines": lambda: b"\n" * 4_000_000,
    "comments": lambda: b": keep-alive\n\n" * 300_000,
    "events": lambda: b'event: media_generation_completed\ndata: {"generation_id": 1}\n\n' * 60_000,
    "one line": lambda: b"data: " + b"x" * 4_000_000,
}


@pytest.mark.long
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_an_event_stream_at_full_speed_stops_nobody(flood: Callable[[], bytes]) -> None:
    stream = STREAM + flood()
    async with (
        raw(stream) as url,
        open_session() as session,
        bounded(seconds=5, pause=0.3, megabytes=30),
    ):
        with pytest.raises(ProviderError) as caught:
            async for _ in oxen_at(session, url).events():
                pass

    assert caught.value.reason is Reason.MALFORMED


def large_row(remote_id: str) -> bytes:
    row = {"generation_id": remote_id, "status": "processing", "input_image": "A" * 2 * LIMIT}
    return json.dumps(row).encode()


async def poll(url: str) -> None:
    async with open_session() as session:
        await oxen_at(session, url).fetch("g1")


async def download(url: str) -> None:
    async with Downloader(private_hosts=LOOPBACK) as downloader:
        await downloader.fetch(f"{url}/a.png", lambda _: {}, limit=2_900_000)


@pytest.mark.parametrize("send", [poll, download])
async def test_errors_that_are_stored_hold_no_answers(
    send: Callable[[str], Awaitable[None]],
) -> None:
    """The traceback of each error leads to the frames that have read the answer."""
    body = b"[" + b"[]," * 1_000_000 + b"[]]"
    errors = []
    async with service() as api:
        api.says(Reply(200, body))
        tracemalloc.start()
        for _ in range(8):
            with pytest.raises(ProviderError) as caught:
                await send(api.url)
            errors.append(caught.value)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()

    assert held < 2 * len(body)


async def test_large_answers_are_read_one_at_a_time() -> None:
    finish = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readuntil(b"\r\n\r\n"):
            remote_id = request.split()[1].rpartition(b"/")[2].decode()
            body = b'{"generation_id": "small", "status": "processing"}'
            if remote_id != "small":
                body = large_row(remote_id)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-1])
            await writer.drain()
            if remote_id == "held":
                await finish.wait()
            writer.write(body[-1:])

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, open_session() as session:
        host, port = server.sockets[0].getsockname()
        oxen = oxen_at(session, f"http://{host}:{port}")
        held = asyncio.create_task(oxen.fetch("held"))
        while not oxen._api._large.locked():
            await asyncio.sleep(0.01)
        second = asyncio.create_task(oxen.fetch("second"))
        for _ in range(20):
            assert isinstance(await oxen.fetch("small"), Running)
        assert not second.done()
        finish.set()
        assert isinstance(await held, Running)
        assert isinstance(await second, Running)
