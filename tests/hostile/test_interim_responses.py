"""A server that sends interim responses without an end, instead of an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import ClientError

from bot.errors import ProviderError, Taken
from bot.http_client import MAX_INTERIM, open_session
from bot.jobs import GenerationRequest
from bot.pictures import Downloader
from tests.hostile.bounds import bounded
from tests.providers.clients import MEMBER, oxen_at
from tests.support.loopback import LOOPBACK

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


@asynccontextmanager
async def server(*answers: bytes, forever: bytes = b"") -> AsyncIterator[str]:
    """Serve the answers to each connection, then the last one as fast as possible."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"".join(answers))
            while forever:
                writer.write(forever * 1000)
                await writer.drain()
        writer.close()

    serving = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with serving:
        yield f"http://127.0.0.1:{serving.sockets[0].getsockname()[1]}"


async def request(origin: str) -> None:
    async with open_session() as session:
        await oxen_at(session, origin).fetch("g1")


async def create(origin: str) -> None:
    async with open_session() as session:
        await oxen_at(session, origin).submit(GenerationRequest("oxen", "a fox"), MEMBER)


async def stream(origin: str) -> None:
    async with open_session() as session:
        async for _ in oxen_at(session, origin).events():
            pass


async def download(origin: str) -> None:
    async with Downloader(private_hosts=LOOPBACK) as downloader:
        await downloader.fetch(f"{origin}/a.png", lambda _: {})


async def download_head(origin: str) -> None:
    async with Downloader(private_hosts=LOOPBACK) as downloader:
        await downloader.fetch_head(f"{origin}/a.png", 64)


REQUESTS = [request, create, stream, download, download_head]


@pytest.mark.long
@pytest.mark.parametrize("forever", [INTERIM, HINTS], ids=["continue", "hints"])
@pytest.mark.parametrize("send", REQUESTS)
async def test_interim_responses_without_an_end_are_refused(
    send: Callable[[str], Awaitable[None]], forever: bytes
) -> None:
    async with server(forever=forever) as origin, bounded(seconds=6):
        with pytest.raises(ProviderError) as caught:
            await send(origin)

    # The request was sent: what the service did with it is not known.
    assert caught.value.taken is (Taken.DOUBTFUL if send is create else caught.value.taken)


async def test_a_few_interim_responses_are_skipped() -> None:
    async with server(*[INTERIM] * MAX_INTERIM, FINAL) as origin, open_session() as session:
        for _ in range(2):
            async with session.get(origin) as response:
                assert await response.text() == "[]"


async def test_one_more_is_refused() -> None:
    async with server(*[HINTS] * (MAX_INTERIM + 1), FINAL) as origin, open_session() as session:
        with pytest.raises(ClientError, match="interim"):
            await session.get(origin)
