"""Downloads at their limits: sizes, answers, repeats, redirects, and the bytes in flight."""

import asyncio
import base64
import gzip
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import stamina
from aiohttp import web

from bot.errors import ProviderError, Reason
from bot.pictures import Downloader, download
from bot.pictures.download import EXPECTED_BYTES, PART, PICTURE_BYTES
from bot.proxies import Proxies, proxy_url
from tests.support.loopback import ADDRESSES, LOOPBACK
from tests.support.origin import KEY, Handler, Origin, nobody

LIMIT = 300_000


@pytest.fixture
async def downloader() -> AsyncIterator[Downloader]:
    async with Downloader(private_hosts=LOOPBACK, media=ADDRESSES) as opened:
        with stamina.set_testing(True, attempts=99, cap=True):  # without the waits
            yield opened


def answer(body: bytes = b"", status: int = 200, *, encoding: str = "") -> Handler:
    async def serve(_: web.Request) -> web.Response:
        headers = {"Location": "/", **({"Content-Encoding": encoding} if encoding else {})}
        return web.Response(body=body, status=status, headers=headers)

    return serve


def chunked(body: bytes) -> Handler:
    """Answer without a length."""

    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(body)
        return response

    return serve


async def failed(downloader: Downloader, url: str, *, limit: int = LIMIT) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await downloader.fetch(url, nobody, limit=limit)
    assert downloader.in_flight.used == 0
    return caught.value


@pytest.mark.parametrize("make", [answer, chunked], ids=["length", "chunked"])
async def test_a_picture_of_exactly_the_limit_is_taken(
    downloader: Downloader, tmp_path: Path, make: Callable[[bytes], Handler]
) -> None:
    (path := tmp_path / "saved").touch()
    async with Origin(make(bytes(LIMIT))) as cdn:
        assert await downloader.fetch(cdn.url(), nobody, limit=LIMIT) == bytes(LIMIT)
        await downloader.save(cdn.url(), nobody, path, limit=LIMIT)
        assert path.read_bytes() == bytes(LIMIT)

        error = await failed(downloader, cdn.url(), limit=LIMIT - 1)
        with pytest.raises(ProviderError) as caught:
            await downloader.save(cdn.url(), nobody, path, limit=LIMIT - 1)
    for each in (error, caught.value):
        assert each.reason is Reason.MALFORMED
        assert f"a picture of more than {LIMIT - 1} bytes" in str(each.detail)


async def test_the_error_of_a_large_picture_does_not_hold_its_bytes(downloader: Downloader) -> None:
    async with Origin(answer(bytes(LIMIT))) as cdn:
        error = await failed(downloader, cdn.url(), limit=LIMIT - 1)

    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    held = [value for frame in frames for value in frame.f_locals.values()]
    assert sum(len(each) for each in held if isinstance(each, bytearray)) == 0


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART + 5])
async def test_a_picture_is_written_whole_whatever_its_parts(
    downloader: Downloader, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write takes a thread, so that there are few of them."""
    data, works = (b"abcdefg" * size)[:size], list[str]()
    in_thread = asyncio.to_thread

    async def counted(work: Callable[..., object], *given: object) -> object:
        works.append(work.__name__)
        return await in_thread(work, *given)

    (path := tmp_path / "saved").write_bytes(b"what an earlier attempt has written")
    async with Origin(answer(data)) as cdn:
        monkeypatch.setattr(asyncio, "to_thread", counted)
        await downloader.save(cdn.url(), nobody, path)

    assert path.read_bytes() == data
    assert works[0] == "truncate"
    assert len(works) <= 2 + size // PART


async def test_a_file_that_is_gone_is_not_made_again(
    downloader: Downloader, tmp_path: Path
) -> None:
    (path := tmp_path / "saved").touch()

    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * PART)
        async with asyncio.timeout(20):
            while not path.stat().st_size:
                await asyncio.sleep(0.005)
        path.unlink()
        await response.write(b"late")
        return response

    async with Origin(serve) as cdn:
        with pytest.raises(FileNotFoundError):
            await downloader.save(cdn.url(), nobody, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *((status, Reason.UNAVAILABLE) for status in (429, 500, 502, 503, 504)),
        *((status, Reason.NOT_FOUND) for status in (201, 204, 206, 300, 304, 305)),
        *((status, Reason.NOT_FOUND) for status in (400, 401, 403, 404, 410, 428, 430, 501, 505)),
    ],
)
async def test_only_some_failures_are_tried_again(
    downloader: Downloader, status: int, reason: Reason
) -> None:
    async with Origin(answer(b"", status)) as cdn:
        error = await failed(downloader, cdn.url())

        assert len(cdn.keys) == (3 if reason is Reason.UNAVAILABLE else 1)
    assert error.reason is reason
    assert f"returned {status}" in str(error.detail)


async def test_an_answer_that_does_not_come_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "REQUEST_TIMEOUT", 0.05)
    ends = asyncio.Event()

    async def stall(_: web.Request) -> web.Response:
        await ends.wait()
        return web.Response()

    async with Origin(stall) as cdn, Downloader(private_hosts=LOOPBACK) as downloader:
        with stamina.set_testing(True, attempts=2):
            error = await failed(downloader, cdn.url())
        with pytest.raises(ProviderError) as head:
            await downloader.fetch_head(cdn.url(), 10)
        ends.set()
    assert error.reason is Reason.TIMEOUT
    assert head.value.reason is Reason.UNAVAILABLE


async def test_an_error_of_the_network_shows_no_key(downloader: Downloader) -> None:
    with pytest.raises(ProviderError) as caught:
        await downloader.fetch("http://127.0.0.1:9/a", lambda _: KEY)

    assert caught.value.reason is Reason.UNAVAILABLE
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("location", ["/next", "next", "//{host}/next", "http://{host}/next"])
async def test_a_redirect_is_relative_to_its_own_address(
    downloader: Downloader, location: str
) -> None:
    async def serve(request: web.Request) -> web.Response:
        if request.path == "/next":
            return web.Response(body=b"there")
        host = location.format(host=request.host)
        return web.Response(status=302, headers={"Location": host})

    async with Origin(serve) as cdn:
        assert await downloader.fetch(cdn.url("/first"), nobody) == b"there"


async def test_five_redirects_are_followed(downloader: Downloader) -> None:
    async def serve(request: web.Request) -> web.Response:
        left = int(request.path[1:])
        if not left:
            return web.Response(body=b"there")
        return web.Response(status=301, headers={"Location": f"/{left - 1}"})

    async with Origin(serve) as cdn:
        assert await downloader.fetch(cdn.url("/5"), nobody) == b"there"
        assert "more than 5 redirects" in str((await failed(downloader, cdn.url("/6"))).detail)


@pytest.mark.parametrize(("limit", "expected"), [(1000, 1000), (PICTURE_BYTES, EXPECTED_BYTES)])
async def test_bytes_count_before_their_length_is_known(
    downloader: Downloader, limit: int, expected: int
) -> None:
    seen: list[int] = []

    async def serve(_: web.Request) -> web.Response:
        seen.append(downloader.in_flight.used)
        return web.Response(body=b"abc")

    async with Origin(serve) as cdn:
        await downloader.fetch(cdn.url(), nobody, limit=limit)

    assert seen == [expected]


@pytest.mark.parametrize(
    ("handler", "counted"),
    [
        (answer(bytes(1000)), 1000),
        (answer(gzip.compress(bytes(1000)), encoding="gzip"), LIMIT),
        (chunked(bytes(1000)), LIMIT),
    ],
    ids=["length", "encoded", "chunked"],
)
async def test_bytes_of_an_unknown_number_count_as_the_limit(
    downloader: Downloader, handler: Handler, counted: int
) -> None:
    async with (
        Origin(handler) as cdn,
        downloader.fetched(cdn.url(), nobody, limit=LIMIT) as data,
    ):
        assert (data, downloader.in_flight.used) == (bytes(1000), counted)
    assert downloader.in_flight.used == 0


@pytest.mark.parametrize("start", ["data:image/png;base64,", "DATA:,", "data:;BASE64,"])
async def test_a_data_address_holds_at_most_the_limit(downloader: Downloader, start: str) -> None:
    def url(size: int) -> str:
        data = b"a" * size
        return start + (base64.b64encode(data) if "64" in start else data).decode()

    async with downloader.fetched(url(1000), nobody, limit=1000) as data:
        assert data == b"a" * 1000
        assert downloader.in_flight.used == 1000
    async with downloader.fetched(url(30), nobody, limit=1000):
        assert downloader.in_flight.used == len(url(30))
    error = await failed(downloader, url(1001), limit=1000)
    assert error.reason is Reason.MALFORMED
    assert str(error.detail) == "a picture of more than 1000 bytes"


async def test_an_escaped_data_address_may_be_twice_as_long(downloader: Downloader) -> None:
    """Escapes need three characters for a byte; the bytes of a longer text are not even counted."""
    assert await downloader.fetch("data:," + "%41" * 20, nobody, limit=30) == b"A" * 20
    for wrong in ("data:," + "%41" * 20 + "%", "data:text/plain"):
        error = await failed(downloader, wrong, limit=30)
        assert str(error.detail) == "an unreadable data URI"


@pytest.mark.parametrize("size", [0, 9, 10, 11, 1_000_000])
@pytest.mark.parametrize("status", [200, 206])
async def test_the_first_bytes_are_those_that_are_asked_for(
    downloader: Downloader, size: int, status: int
) -> None:
    ranges: list[str | None] = []

    async def serve(request: web.Request) -> web.Response:
        ranges.append(request.headers.get("Range"))
        return web.Response(body=b"x" * size, status=status)

    async with Origin(serve) as cdn:
        assert await downloader.fetch_head(cdn.url(), 10) == b"x" * min(size, 10)
    assert ranges == ["bytes=0-9"]


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_the_first_bytes_are_not_asked_for_again(downloader: Downloader, status: int) -> None:
    async with Origin(answer(b"text", status)) as cdn:
        with pytest.raises(ProviderError):
            await downloader.fetch_head(cdn.url(), 10)
        assert len(cdn.keys) == 1


async def test_a_downloader_is_used_while_it_is_open() -> None:
    downloader = Downloader(private_hosts=LOOPBACK)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await downloader.fetch("http://127.0.0.1:9/a", nobody)
        with pytest.raises(RuntimeError):
            await downloader.fetch_head("http://127.0.0.1:9/a", 10)
        async with downloader:
            pass


async def test_a_picture_at_a_proxy_is_refused() -> None:
    proxies = Proxies(proxy_url("127.0.0.1:3128"))
    async with Downloader(private_hosts=LOOPBACK, proxies=proxies) as downloader:
        error = await failed(downloader, "http://127.0.0.1:3128/a")
        with pytest.raises(ProviderError, match="proxy"):
            await downloader.fetch_head("http://127.0.0.1:3128/a", 10)
    assert error.reason is Reason.MALFORMED
    assert "a picture at a proxy: 127.0.0.1" in str(error.detail)


async def test_one_member_leaves_room_for_the_largest_picture_of_another(
    downloader: Downloader,
) -> None:
    async with downloader.in_flight.take(1, 10**9) as share:
        assert share.units == 56 * 1024 * 1024
        async with downloader.in_flight.take(2, PICTURE_BYTES):
            pass
    async with downloader.saved_at_once.take(1, 100) as share:
        assert share.units == 4
