"""Pictures from an API's address, which may lead anywhere: with limits on where, how long, how big.

An address or a redirect into a private network is refused where its name is resolved, for every
connection anew, so that a name which resolves differently the second time is no way around it.
"""

import asyncio
import base64
import binascii
import logging
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote_to_bytes

import aiohttp
import stamina
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bot.errors import ProviderError, Reason

log = logging.getLogger(__name__)

HOP_SECONDS = 20.0
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)  # as the end of a name: an address
REDIRECTS = 5
TRIES = 3
PICTURE_BYTES = 40 * 1024 * 1024
PASSING = {429, 500, 502, 503, 504}


class Downloader:
    """Use it with `async with`: it has a connection pool of its own.

    `private_hosts` may be reached although they are private: those where an API itself is
    configured, such as a stand-in on loopback.
    """

    def __init__(self, *, private_hosts: Iterable[str] = ()) -> None:
        self._private_hosts = frozenset(private_hosts)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Downloader":
        connector = aiohttp.TCPConnector(resolver=PublicResolver(self._private_hosts))
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=HOP_SECONDS)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(
        self,
        url: str,
        headers_for: Callable[[str], Mapping[str, str]],
        *,
        limit: int = PICTURE_BYTES,
    ) -> bytes:
        """The bytes behind an `https:`, `http:` or `data:` address.

        `headers_for` is asked anew for every hop, so that a key stays with its own origin.
        Raises ProviderError: MALFORMED for what never will be a picture, else to be tried again.
        """
        if url.lower().startswith("data:"):
            return await asyncio.to_thread(_decode_data, url, limit)
        async for attempt in stamina.retry_context(
            on=_is_passing, attempts=TRIES, timeout=HOP_SECONDS * TRIES, wait_initial=0.2
        ):
            with attempt:
                return await self._follow(url, headers_for, limit)
        raise AssertionError("stamina returns or raises")

    async def fetch_head(self, url: str, length: int) -> bytes:
        """The first bytes only, asked for once. Raises ProviderError."""
        if self._session is None:
            raise RuntimeError("the downloader is not open")
        headers = {"Range": f"bytes=0-{length - 1}"}
        try:
            async with self._session.get(
                self._checked(url), headers=headers, allow_redirects=False
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

    async def _follow(
        self, url: str, headers_for: Callable[[str], Mapping[str, str]], limit: int
    ) -> bytes:
        for _ in range(REDIRECTS + 1):
            found = await self._hop(url, headers_for(url), limit)
            if isinstance(found, bytes):
                return found
            url = found
        raise ProviderError(Reason.MALFORMED, f"more than {REDIRECTS} redirects")

    async def _hop(self, url: str, headers: Mapping[str, str], limit: int) -> bytes | str:
        """The bytes, or the next address."""
        address = self._checked(url)
        if self._session is None:
            raise RuntimeError("the downloader is not open")
        try:
            async with self._session.get(
                address, headers=headers, allow_redirects=False
            ) as response:
                if response.status in {301, 302, 303, 307, 308}:
                    return str(address.join(URL(response.headers.get("Location", ""))))
                _check_status(response.status)
                return await _read(response, limit)
        except TimeoutError as error:
            raise ProviderError(Reason.TIMEOUT, "the picture did not come in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # aiohttp's errors carry the request with its key: they end here.
            raise ProviderError(Reason.UNAVAILABLE, f"{type(error).__name__}: {error}") from None

    def _checked(self, url: str) -> URL:
        """An address whose host is a number is not resolved, so it is looked at here."""
        try:
            address = URL(url)
            host = address.host or ""
        except ValueError:
            host = ""
        if not host or address.scheme not in {"http", "https"}:
            raise ProviderError(Reason.MALFORMED, "a picture's address that is none")
        try:
            number = ip_address(host)
        except ValueError:
            if NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):  # `127.1` is 127.0.0.1
                raise ProviderError(Reason.MALFORMED, f"no address of a host: {host}") from None
            return address
        if host not in self._private_hosts and not is_public(number):
            raise ProviderError(Reason.MALFORMED, f"a picture in a private network: {host}")
        return address


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses those that lead into a private network."""

    def __init__(self, private_hosts: frozenset[str]) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._private_hosts = private_hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if host in self._private_hosts:
            return found
        allowed = [each for each in found if is_public(ip_address(each["host"].partition("%")[0]))]
        if not allowed:
            raise ProviderError(Reason.MALFORMED, f"a picture in a private network: {host}")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


NAT64 = ip_network("64:ff9b::/96")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it leads to the open internet, also where it wraps an IPv4 address."""
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            wrapped = IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(wrapped)
    return address.is_global and not address.is_multicast


def _check_status(status: int) -> None:
    if status == HTTPStatus.OK:
        return
    if status in PASSING:
        raise ProviderError(Reason.UNAVAILABLE, f"the picture's address answers {status}")
    raise ProviderError(Reason.NOT_FOUND, f"the picture's address answers {status}")


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > limit:
            response.close()
            raise ProviderError(Reason.MALFORMED, f"a picture of more than {limit} bytes")
    return bytes(body)


def _decode_data(url: str, limit: int) -> bytes:
    head, comma, tail = url.partition(",")
    if not comma or len(tail) > limit * 2:
        raise ProviderError(Reason.MALFORMED, "a data address that cannot be read")
    try:
        if head.lower().endswith(";base64"):
            return base64.b64decode(unquote_to_bytes(tail), validate=True)
        return unquote_to_bytes(tail)
    except (binascii.Error, ValueError) as error:  # also for half a surrogate pair
        raise ProviderError(Reason.MALFORMED, "a data address that cannot be read") from error


def _is_passing(error: Exception) -> bool:
    passing = {Reason.UNAVAILABLE, Reason.TIMEOUT}
    return isinstance(error, ProviderError) and error.reason in passing
