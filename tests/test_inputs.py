"""Input pictures without the bot: their bytes decide, if Discord reports nothing about them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.errors import ProviderError, Reason
from bot.jobs import Attachment, Picture, PictureKind
from bot.pictures import InputPictures, InputRefused
from bot.pictures import inputs as module
from bot.services import Services
from bot.store.database import Database
from tests.support.files import jpeg_with_metadata, picture, png_header
from tests.support.services import file_of, services_at_loopback

Serve = Callable[[bytes], Awaitable[Attachment]]


@pytest.fixture
async def services(database: Database, tmp_path: Path) -> AsyncIterator[Services]:
    async with services_at_loopback(database, tmp_path) as opened:
        yield opened


@pytest.fixture
def pictures(services: Services) -> InputPictures:
    return services.inputs


async def stored(pictures: InputPictures, attachment: Attachment) -> Picture:
    """Store a picture for a job that has no row, so that it is removed again."""
    async with pictures.place(1) as intake:
        return await intake.download(attachment)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve bytes as an attachment of which Discord reports nothing but the name."""
    servers: list[TestServer] = []

    async def start(data: bytes) -> Attachment:
        async def handle(_: web.Request) -> web.Response:
            return web.Response(body=data)

        app = web.Application()
        app.router.add_get("/cat.png", handle)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        return Attachment("cat.png", str(server.make_url("/cat.png")))

    yield start
    for server in servers:
        await server.close()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_is_taken_as_it_is(
    services: Services, pictures: InputPictures, serve: Serve, kind: str
) -> None:
    data = picture(kind)
    attachment = await serve(data)

    await pictures.check([attachment])
    async with pictures.place(1) as intake:
        kept = await intake.download(attachment)
        found = file_of(services, kept).read_bytes()

    assert kept.kind is PictureKind("jpg" if kind == "JPEG" else kind.lower())
    assert found == data
    assert not file_of(services, kept).exists()  # no job has it


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (png_header(20_000, 20_000), "20000x20000 pixels"),
        (picture()[:20], "is damaged"),
        (picture(size=(300, 300))[:-40], "is damaged"),
        (picture("JPEG", size=(300, 300))[:-400], "is damaged"),
        (picture("WEBP", size=(300, 300))[:-400], "is damaged"),
        (jpeg_with_metadata(90_000)[:80_000], "is damaged"),
        (picture().ljust(10 * 1024 * 1024 + 1, b"\0"), "cannot be read"),
        (b"", "is empty"),
        (b"MZ\x90", "is not a picture"),
    ],
    ids=range(9),
)
async def test_what_is_none_is_refused_and_not_kept(
    pictures: InputPictures, serve: Serve, tmp_path: Path, data: bytes, rule: str
) -> None:
    with pytest.raises(InputRefused, match=rule):
        await stored(pictures, await serve(data))

    assert not [path for path in (tmp_path / "pictures").rglob("*") if path.is_file()]


async def test_a_check_reads_the_first_bytes(pictures: InputPictures, serve: Serve) -> None:
    good, bad = await serve(picture()), await serve(picture("GIF", mode="P"))

    with pytest.raises(InputRefused, match=r"`cat\.png` is a GIF"):
        await pictures.check([good, bad])


def test_a_refusal_names_60_characters_of_a_file_at_most() -> None:
    long = Attachment("x" * 70 + ".png", "https://example.com/a.png")

    assert str(module.InputEmpty(long)).startswith(f"`{'x' * 60}` is empty.")


async def test_a_check_does_not_wait_for_a_slow_server(
    pictures: InputPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_TIMEOUT", 0.05)
    never = asyncio.Event()

    async def stall(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/cat.png", stall)
    async with TestServer(app) as server:
        url = str(server.make_url("/cat.png"))
        began = time.monotonic()
        await pictures.check([Attachment("cat.png", url)])
        assert time.monotonic() - began < 10
        never.set()


async def test_an_address_that_cannot_be_reached_is_tried_again_later(
    pictures: InputPictures,
) -> None:
    nowhere = Attachment("cat.png", "http://127.0.0.1:9/cat.png")

    await pictures.check([nowhere])
    with pytest.raises(ProviderError) as raised:
        await stored(pictures, nowhere)

    assert raised.value.reason is Reason.UNAVAILABLE


async def test_a_name_cannot_change_how_the_sentence_looks(pictures: InputPictures) -> None:
    sly = Attachment("`@everyone`\n# cat.png", "http://127.0.0.1:9/x", size=0)

    with pytest.raises(InputRefused) as refused:
        await pictures.check([sly])

    assert str(refused.value) == "`everyone cat.png` is empty. Attach a PNG, JPEG or WebP."
