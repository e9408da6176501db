import base64
import io
import os
import struct
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.backoff import utc_now
from bot.delivery import NotDelivered
from bot.errors import ProviderError, Reason
from bot.jobs import PictureKind
from bot.pictures import Downloader, FileStore, NotAPicture, measure, sniff
from bot.services import Services
from bot.store.database import Database
from cogs.delivery.messages import Messages
from tests.support.decoders import decoders
from tests.support.files import jpeg_with_metadata, jpeg_with_tables_first, picture, webp_extended
from tests.support.loopback import ADDRESSES, LOOPBACK
from tests.support.origin import KEY, Origin, nobody
from tests.support.rows import one
from tests.support.services import file_of, fitted, services_on, shrunk


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (picture("PNG"), PictureKind.PNG),
        (picture("JPEG"), PictureKind.JPEG),
        (picture("WEBP"), PictureKind.WEBP),
        (picture("WEBP", mode="RGBA"), PictureKind.WEBP),
        (picture("GIF", mode="P"), PictureKind.GIF),
        (jpeg_with_metadata(90_000), PictureKind.JPEG),
        (jpeg_with_tables_first(), PictureKind.JPEG),
    ],
)
def test_kind_and_size_are_told_by_the_bytes(data: bytes, kind: PictureKind) -> None:
    assert sniff(data) is kind
    assert measure(data) == (48, 32)


def test_a_lossless_webp_is_measured() -> None:
    out = io.BytesIO()
    Image.new("RGB", (301, 7)).save(out, "WEBP", lossless=True)

    assert measure(out.getvalue()) == (301, 7)


@pytest.mark.parametrize("size", [(1, 1), (301, 7), (7, 301), (256, 257), (16_384, 65_536)])
def test_an_extended_webp_is_measured(size: tuple[int, int]) -> None:
    data = webp_extended(*size)

    assert measure(data) == size
    with pytest.raises(NotAPicture):
        measure(data[:-1])


def test_an_extended_webp_of_a_library_is_measured() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (301, 7), (1, 2, 3, 4)).save(out, "WEBP", exif=b"Exif\0\0")

    assert b"VP8X" in out.getvalue()
    assert measure(out.getvalue()) == (301, 7)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", picture("PNG")[:20], picture("JPEG")[:10], picture("WEBP")[:22], b"%PDF-1.7"],
)
def test_what_ends_early_or_is_none_is_no_picture(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        measure(data)


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\xfe\0\2", b"\xff\x01"])
def test_a_jpeg_of_nothing_but_segments_is_refused_soon(filling: bytes) -> None:
    data = b"\xff\xd8\xff" + filling * (10_000_000 // len(filling))

    began = time.process_time()
    with pytest.raises(NotAPicture):
        measure(data)
    assert time.process_time() - began < 0.25


HEADS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8", b"GIF89a"]


@given(st.sampled_from(HEADS), st.binary(max_size=200))
def test_any_bytes_are_measured_or_refused(head: bytes, tail: bytes) -> None:
    try:
        width, height = measure(head + tail)
    except NotAPicture:
        return
    assert width > 0
    assert height > 0


async def test_bytes_are_kept_once_under_their_hash(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    data = picture()

    kept, again = await store.store(data), await store.store(data)

    assert kept == again
    assert (kept.kind, kept.size, kept.width, kept.height) == ("png", len(data), 48, 32)
    assert await store.read(kept) == data
    assert [path.name for path in tmp_path.rglob("*.*")] == [f"{kept.sha256}.png"]


async def test_a_stored_picture_survives_a_power_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the bytes and the name of the file are on the disk before the store returns."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    store = FileStore(tmp_path)

    stored = store.path(await store.store(picture()))

    assert synced == [stored.stat().st_ino, stored.parent.stat().st_ino]


@pytest.mark.parametrize(
    "data", [b"<html>no</html>", picture()[:18], picture("PNG", (2, 2))[:8] + b"\0" * 40]
)
async def test_what_is_no_picture_is_not_kept(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        await FileStore(tmp_path).store(data)

    assert caught.value.reason is Reason.MALFORMED
    assert list(tmp_path.iterdir()) == []


async def test_a_decompression_bomb_is_not_kept(tmp_path: Path) -> None:
    bomb = picture()[:16] + struct.pack(">II", 20_000, 20_000) + picture()[24:]

    with pytest.raises(ProviderError, match="20000x20000"):
        await FileStore(tmp_path).store(bomb)


@pytest.fixture
async def services(database: Database, tmp_path: Path) -> AsyncIterator[Services]:
    opened = services_on(database, tmp_path / "pictures", utc_now)
    async with opened.decoder:
        yield opened


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
async def test_a_copy_is_shrunk_until_it_fits(services: Services, mode: str) -> None:
    path = await shrunk(services, picture("PNG", (600, 400), mode), 20_000)

    small = path.read_bytes()
    assert len(small) <= 20_000
    kind = sniff(small)
    assert kind is not None
    assert path.suffix == f".{kind}"
    width, height = measure(small)
    assert abs(width / height - 1.5) < 0.02


async def test_a_copy_is_made_once_and_goes_with_its_original(services: Services) -> None:
    made = await services.pictures.store(picture("PNG", (600, 400)))
    copies = [await fitted(services, made, 20_000) for _ in range(2)]
    written = file_of(services, made).stat().st_ino
    again = await services.pictures.store(file_of(services, made).read_bytes())
    assert file_of(services, made).stat().st_ino == written  # it was not written again

    assert copies[0] == copies[1]
    assert copies[0].stat().st_mtime_ns == copies[1].stat().st_mtime_ns
    assert again == made
    assert len(await services.pictures.files()) == 2
    await services.retention.remove_unused([made.sha256])
    assert await services.pictures.files() == []
    with pytest.raises(FileNotFoundError):
        await fitted(services, made, 20_000)


async def test_a_copy_is_no_part_of_a_backup(services: Services, tmp_path: Path) -> None:
    await shrunk(services, picture("PNG", (600, 400)), 20_000)

    assert await services.pictures.copy_to(tmp_path / "backup") == 1


async def test_what_cannot_be_decoded_cannot_be_shrunk(services: Services) -> None:
    with pytest.raises(ProviderError) as caught:
        await shrunk(services, picture()[:60], 10)

    assert caught.value.reason is Reason.MALFORMED
    assert len(await services.pictures.files()) == 1


@pytest.fixture
async def downloader() -> AsyncIterator[Downloader]:
    async with Downloader(private_hosts=LOOPBACK, media=ADDRESSES) as opened:
        yield opened


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_and_a_key_never_crosses_to_another_origin(
    downloader: Downloader, status: int
) -> None:
    data = picture()

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=data)

    async with Origin(serve) as cdn:

        async def redirect(_: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": cdn.url()})

        async with Origin(redirect) as api:
            fetched = await downloader.fetch(
                api.url(), lambda url: KEY if url.startswith(api.url("")) else {}
            )

            assert fetched == data
            assert api.keys == ["Bearer secret"]
            assert cdn.keys == [None]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a.png",
        "http://localhost:1/a.png",
        "http://10.0.0.1/a.png",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:1/a.png",
        "http://0.0.0.0/",
        "http://[::ffff:10.0.0.1]/a.png",
        "http://[64:ff9b::7f00:1]/a.png",
        "http://[2002:7f00:1::]/a.png",
        "http://224.0.0.1/a.png",
        "http://127.1/a.png",
        "http://2130706433/a.png",
        "http://0x7f.1./a.png",
        "http://0x7f000001/a.png",
        "ftp://example.com/a.png",
        "file:///etc/passwd",
        "hello",
        "",
    ],
)
async def test_private_and_strange_addresses_are_refused(url: str) -> None:
    async with Downloader() as strict:
        with pytest.raises(ProviderError) as caught:
            await strict.fetch(url, nobody)

    assert caught.value.reason is Reason.MALFORMED


async def test_a_redirect_into_a_private_network_is_refused(downloader: Downloader) -> None:
    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://10.1.2.3/a.png")

    async with Origin(redirect) as api:
        with pytest.raises(ProviderError, match="private network"):
            await downloader.fetch(api.url(), nobody)


async def test_redirects_in_a_circle_end(downloader: Downloader) -> None:
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound(request.path)

    async with Origin(redirect) as api:
        with pytest.raises(ProviderError, match="more than 5 redirects"):
            await downloader.fetch(api.url(), nobody)

        assert len(api.keys) == 6


async def test_a_picture_without_an_end_is_cut_off(downloader: Downloader) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"x" * 10_000)
        return response

    async with Origin(endless) as api:
        with pytest.raises(ProviderError, match="more than 50000 bytes"):
            await downloader.fetch(api.url(), nobody, limit=50_000)


async def test_a_passing_failure_is_tried_again(downloader: Downloader) -> None:
    statuses = iter([503, 502])

    async def serve(_: web.Request) -> web.Response:
        return web.Response(status=next(statuses, 200), body=b"picture")

    async with Origin(serve) as api:
        assert await downloader.fetch(api.url(), nobody) == b"picture"


async def test_an_expired_address_is_told_at_once(downloader: Downloader) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(status=403)

    async with Origin(serve) as api:
        with pytest.raises(ProviderError) as caught:
            await downloader.fetch(api.url(), nobody)

        assert caught.value.reason is Reason.NOT_FOUND
        assert len(api.keys) == 1


async def test_data_addresses_are_decoded(downloader: Downloader) -> None:
    data = picture()
    url = "data:image/png;base64," + base64.b64encode(data).decode()

    assert await downloader.fetch(url, nobody) == data
    for wrong in ("data:image/png;base64,***", "data:image/png"):
        with pytest.raises(ProviderError):
            await downloader.fetch(wrong, nobody)


async def test_inputs_that_are_too_large_for_a_copy_are_not_shrunk_first(
    services: Services,
) -> None:
    job = await one(services.database)
    stored = await services.pictures.store(picture("PNG", (600, 400)))
    large = replace(stored, size=7 * 1024 * 1024)
    messages = Messages(services.catalog, services.reduced, services.health)

    with pytest.raises(NotDelivered, match="too large"):
        await messages.input_copies(job, [large] * 4, 10 * 1024 * 1024, AsyncExitStack())
    assert decoders() == []


async def test_the_bytes_of_a_download_count_by_the_length_of_the_answer(
    downloader: Downloader,
) -> None:
    sizes = iter([20_000_000, 100])

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=bytes(next(sizes)))

    async with Origin(serve) as cdn:
        for size in (20_000_000, 100):
            async with downloader.fetched(cdn.url(), nobody, member=1) as data:
                assert (len(data), downloader.in_flight.used) == (size, size)
    assert downloader.in_flight.used == 0
