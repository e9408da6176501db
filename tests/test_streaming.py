"""Results go from the service to the disk in parts, and from there to Discord."""

import asyncio
import hashlib
import re
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.errors import ProviderError, Reason
from bot.pictures import Downloader, FileStore, pieces_of
from bot.pictures.download import PART, SAVED_AT_ONCE
from bot.sandbox.http.faults import HoldBefore
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.loopback import LOOPBACK
from tests.support.origin import Origin, nobody

MIB = 1024 * 1024
RESULT = r"/api/repos/.+"


@pytest.fixture
async def downloader() -> AsyncIterator[Downloader]:
    async with Downloader(private_hosts=LOOPBACK) as made:
        yield made


def served(data: bytes) -> web.Response:
    return web.Response(body=data)


async def test_a_large_picture_is_never_in_memory(downloader: Downloader, tmp_path: Path) -> None:
    data = picture().ljust(40 * MIB, b"\1")
    path, store = tmp_path / "arrived", FileStore(tmp_path / "pictures")
    path.touch()

    async def serve(_: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(_)
        for at in range(0, len(data), PART):
            await response.write(data[at : at + PART])
        return response

    async with Origin(serve) as cdn:
        tracemalloc.start()
        await downloader.save(cdn.url(), nobody, path)
        staged = await asyncio.to_thread(store.write_copy, path, pieces_of(path))
        kept = await store.keep(staged)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 12 * MIB  # also of the server here
    assert kept.sha256 == hashlib.sha256(data).hexdigest()
    assert await store.read(kept) == data
    assert (kept.size, kept.width, kept.height) == (len(data), 48, 32)


async def test_a_picture_that_is_too_large_is_refused(
    downloader: Downloader, tmp_path: Path
) -> None:
    (tmp_path / "large").touch()

    async def serve(_: web.Request) -> web.Response:
        return served(bytes(3 * MIB))

    async with Origin(serve) as cdn:
        with pytest.raises(ProviderError) as refused:
            await downloader.save(cdn.url(), nobody, tmp_path / "large", limit=2 * MIB)
    assert refused.value.reason is Reason.MALFORMED


async def test_a_repeated_download_begins_the_file_anew(
    downloader: Downloader, tmp_path: Path
) -> None:
    answers = iter([web.Response(status=503), served(b"abc" * MIB)])
    path = tmp_path / "again"
    path.write_bytes(bytes(8 * MIB))

    async def serve(_: web.Request) -> web.Response:
        return next(answers)

    async with Origin(serve) as cdn:
        await downloader.save(cdn.url(), nobody, path)
    assert path.read_bytes() == b"abc" * MIB


async def test_a_data_address_is_written_too(downloader: Downloader, tmp_path: Path) -> None:
    await downloader.save("data:text/plain;base64,aGVsbG8=", nobody, tmp_path / "small")

    assert (tmp_path / "small").read_bytes() == b"hello"


async def test_an_error_of_the_disk_is_none_of_the_service(
    downloader: Downloader, tmp_path: Path
) -> None:
    requests = 0

    async def serve(_: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        return served(b"abc")

    async with Origin(serve) as cdn:
        with pytest.raises(FileNotFoundError):
            await downloader.save(cdn.url(), nobody, tmp_path / "no folder" / "file")
    assert requests == 1


async def test_a_start_removes_what_was_on_its_way(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    async with store.arriving() as path:
        await asyncio.to_thread(path.write_bytes, picture())
        staged = store.write_copy(path, pieces_of(path))
        assert path.exists()
        await store.prepare()  # as after a kill
        assert not path.exists()
        assert not staged.path.exists()


@pytest.mark.long
async def test_few_results_are_downloaded_at_once(at: Stage) -> None:
    held = at.oxen.faults.add("GET", RESULT, HoldBefore(), times=None)
    async with at.easel() as app:
        for by in (at.ada, at.ben, at.ada):
            await at.imagine("a fox", by=by, count=4, model="oxen")
        await at.imagine("a hen", count=4, model="oxen")
        await held.reached(hits=SAVED_AT_ONCE)
        await asyncio.sleep(0.5)  # none follows
        assert held.hits == SAVED_AT_ONCE
        assert app.services.downloader.saved_at_once.used == SAVED_AT_ONCE
        held.remove()
        await at.settled(3)

    shown = [each for each in at.discord.channel_messages(at.channel) if each.pictures()]
    assert [len(each.pictures()) for each in shown] == [4] * 4


async def test_no_temporary_file_is_left(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", count=2, model="oxen")
        await at.settled()

    left = [each for each in at.folder.rglob("*") if re.match("arriving|copy", each.name)]
    assert left == []
