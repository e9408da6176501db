"""Download of pictures from addresses that an API or Discord sent, with limits.

Time and size are limited, and bot.pictures.addresses limits the hosts, for every redirect.
"""

import asyncio
import base64
import binascii
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import unquote_to_bytes, urljoin

import aiohttp
import stamina
from yarl import URL

from bot.errors import ProviderError, Reason
from bot.http_client import open_session
from bot.pictures.addresses import DISCORD_MEDIA, HostPort, PublicResolver, checked
from bot.pictures.turns import FairLimit, Share
from bot.proxies import DIRECT, Proxies

log = logging.getLogger(__name__)

HeadersFor = Callable[[str], Mapping[str, str]]
T = TypeVar("T")
P = ParamSpec("P")
Take = Callable[[aiohttp.ClientResponse], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class _Redirect:
    url: str


class _NotWritten(Exception):
    """The disk has refused a part of a download: no error of the address."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


REQUEST_TIMEOUT = 20.0  # seconds, for each redirect
MAX_REDIRECTS = 5
ATTEMPTS = 3
PICTURE_BYTES = 40 * 1024 * 1024
BYTES_IN_FLIGHT = 96 * 1024 * 1024  # of all downloads together
SAVED_AT_ONCE = 8  # results on their way to the disk, half of them of one member
PART = 1024 * 1024  # bytes of such a result that are in memory
EXPECTED_BYTES = 12 * 1024 * 1024  # of one, before its answer gives the length


class Downloader:
    """An async context manager with a connection pool of its own.

    `private_hosts`, hosts with their ports, are reached although they are private: those of the
    configured APIs, such as stand-ins on loopback. `media` holds the addresses of input pictures.
    """

    def __init__(
        self,
        *,
        private_hosts: Container[HostPort] = (),
        media: Container[str] = DISCORD_MEDIA,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._private_hosts = private_hosts
        self.media = media
        self._proxies = proxies
        self._session: aiohttp.ClientSession | None = None
        # A member leaves room for the largest picture of another.
        self.in_flight = FairLimit(BYTES_IN_FLIGHT, each=BYTES_IN_FLIGHT - PICTURE_BYTES)
        # Taken around `save` and what follows, so that parts of no more pictures are in memory.
        self.saved_at_once = FairLimit(SAVED_AT_ONCE, each=SAVED_AT_ONCE // 2)

    async def __aenter__(self) -> "Downloader":
        connector = aiohttp.TCPConnector(
            resolver=PublicResolver(self._private_hosts, self._proxies.places)
        )
        self._session = open_session(connector=connector, timeout=REQUEST_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def fetched(
        self,
        url: str,
        headers_for: Callable[[str], Mapping[str, str]],
        *,
        limit: int = PICTURE_BYTES,
        member: int = 0,
    ) -> AsyncIterator[bytes]:
        """Yield the bytes at an `https:`, `http:` or `data:` address, at most `limit`.

        The bytes count as in flight until the end of the block, and members wait in turns while
        there are too many. `headers_for` is called for every redirect, so that a key is sent to
        its own origin only. Transient errors are retried. Raises ProviderError; NOT_FOUND and
        MALFORMED are permanent.
        """
        async with self.in_flight.take(member, min(limit, EXPECTED_BYTES)) as share:
            if url.lower().startswith("data:"):
                await self.in_flight.resize(share, min(len(url), limit))
                yield await asyncio.to_thread(_decode_data, url, limit)
            else:
                take = partial(self._read_counted, limit=limit, share=share)
                yield await self._fetch(url, headers_for, take)

    async def fetch(
        self,
        url: str,
        headers_for: Callable[[str], Mapping[str, str]],
        *,
        limit: int = PICTURE_BYTES,
    ) -> bytes:
        """Return what `fetched` yields, for bytes that nobody counts any longer."""
        async with self.fetched(url, headers_for, limit=limit) as data:
            return data

    async def save(
        self,
        url: str,
        headers_for: HeadersFor,
        path: Path,
        *,
        limit: int = PICTURE_BYTES,
        member: int = 0,
    ) -> None:
        """Write the bytes at an address to an existing file, as they arrive. Raises as `fetched`.

        An error of the disk is an OSError.
        """
        try:
            if url.lower().startswith("data:"):
                async with self.fetched(url, headers_for, limit=limit, member=member) as data:
                    await asyncio.to_thread(path.write_bytes, data)
            else:
                await self._fetch(url, headers_for, partial(_save, path=path, limit=limit))
        except _NotWritten as error:
            raise error.error from None

    async def _fetch(self, url: str, headers_for: HeadersFor, take: Take[T]) -> T:
        async for attempt in stamina.retry_context(
            on=_is_transient,
            attempts=ATTEMPTS,
            timeout=REQUEST_TIMEOUT * ATTEMPTS,
            wait_initial=0.2,
        ):
            with attempt:
                return await self._follow(url, headers_for, take)
        raise AssertionError("stamina returns or raises")

    async def fetch_head(self, url: str, length: int) -> bytes:
        """Return the first `length` bytes or fewer, without a retry. Raises ProviderError."""
        if self._session is None:
            raise RuntimeError("the downloader is not open")
        headers = {"Range": f"bytes=0-{length - 1}"}
        address = self._checked(url)
        try:
            async with self._session.get(
                address,
                headers=headers,
                allow_redirects=False,
                **self._proxies.options(address),
            ) as response:
                if response.status != HTTPStatus.PARTIAL_CONTENT:
                    _check_status(response.status)
                try:
                    return await response.content.readexactly(length)
                except asyncio.IncompleteReadError as whole:
                    return whole.partial
                finally:
                    response.close()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderError(Reason.UNAVAILABLE, type(error).__name__) from None

    async def _follow(self, url: str, headers_for: HeadersFor, take: Take[T]) -> T:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._request(url, headers_for(url), take)
            if not isinstance(answer, _Redirect):
                return answer
            url = answer.url
        raise ProviderError(Reason.MALFORMED, f"more than {MAX_REDIRECTS} redirects")

    def _checked(self, url: str) -> URL:
        """Return an address that may be reached. A proxy's own address is refused."""
        address = checked(url, self._private_hosts)
        if (address.host, address.port) in self._proxies.places:
            raise ProviderError(Reason.MALFORMED, f"a picture at a proxy: {address.host}")
        return address

    async def _request(self, url: str, headers: Mapping[str, str], take: Take[T]) -> T | _Redirect:
        """Return what `take` makes of the answer, or the address of a redirect."""
        address = self._checked(url)
        if self._session is None:
            raise RuntimeError("the downloader is not open")
        try:
            async with self._session.get(
                address,
                headers=headers,
                allow_redirects=False,
                **self._proxies.options(address),
            ) as response:
                if response.status in {301, 302, 303, 307, 308}:
                    return _Redirect(urljoin(url, response.headers.get("Location", "")))
                _check_status(response.status)
                return await take(response)
        except TimeoutError as error:
            raise ProviderError(Reason.TIMEOUT, "download timed out") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The cause is dropped, because aiohttp's errors hold the request with its key.
            raise ProviderError(Reason.UNAVAILABLE, f"{type(error).__name__}: {error}") from None

    async def _read_counted(
        self, response: aiohttp.ClientResponse, *, limit: int, share: Share
    ) -> bytes:
        # Nothing is read meanwhile. An encoded body may be longer than its length says.
        length = None if "Content-Encoding" in response.headers else response.content_length
        await self.in_flight.resize(share, min(length or limit, limit))
        return await _read(response, limit)


def _check_status(status: int) -> None:
    if status == HTTPStatus.OK:
        return
    if status in {429, 500, 502, 503, 504}:
        raise ProviderError(Reason.UNAVAILABLE, f"the picture's address returned {status}")
    raise ProviderError(Reason.NOT_FOUND, f"the picture's address returned {status}")


async def _save(response: aiohttp.ClientResponse, *, path: Path, limit: int) -> None:
    """Write a body to a file, in parts of PART bytes. Raises _NotWritten for an error there."""
    await _written(os.truncate, path, 0)  # what an earlier attempt has written
    size, part = 0, bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        size += len(chunk)
        if size > limit:
            response.close()
            raise ProviderError(Reason.MALFORMED, f"a picture of more than {limit} bytes")
        part += chunk
        if len(part) >= PART:
            await _written(_append, path, part)
            part = bytearray()
    await _written(_append, path, part)


async def _written(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Run work on the disk in a thread. Raises _NotWritten."""
    try:
        return await asyncio.to_thread(work, *args, **named)
    except OSError as error:
        raise _NotWritten(error) from error


def _append(path: Path, data: bytearray) -> None:
    """Write to the end of a file that exists: not after a cancel, which has removed it."""
    with path.open("r+b", buffering=0) as file:
        file.seek(0, os.SEEK_END)
        left = memoryview(data)
        while left:  # one write may take a part
            left = left[file.write(left) :]


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > limit:
                response.close()
                raise ProviderError(Reason.MALFORMED, f"a picture of more than {limit} bytes")
        return bytes(body)
    finally:
        body.clear()  # the traceback of an error would keep it for a long time


def _decode_data(url: str, limit: int) -> bytes:
    head, comma, tail = url.partition(",")
    if not comma or len(tail) > limit * 2:
        raise ProviderError(Reason.MALFORMED, "an unreadable data URI")
    try:
        data = unquote_to_bytes(tail)
        if head.lower().endswith(";base64"):
            data = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: also half a surrogate pair
        raise ProviderError(Reason.MALFORMED, "an unreadable data URI") from error
    if len(data) > limit:
        raise ProviderError(Reason.MALFORMED, f"a picture of more than {limit} bytes")
    return data


def _is_transient(error: Exception) -> bool:
    return isinstance(error, ProviderError) and error.reason in {
        Reason.UNAVAILABLE,
        Reason.TIMEOUT,
    }
