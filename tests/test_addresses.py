"""Addresses from outside: which may be reached, and that they are sent as they are written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from bot.errors import ProviderError, Reason
from bot.pictures import Downloader
from bot.pictures.addresses import PublicResolver, checked, ends_before, exact_url, is_public
from tests.support.loopback import LOOPBACK

SIGNED = [
    "/external/abc/https%3A%2F%2Fexample.com%2Fa.png",
    "/a%3Db%2Bc%20d/%7Euser.png?ex=6%3A5&hm=a%2Fb%3D&q=a+b&empty=&",
    "/a/../b//c.png?x='!*();@&=+$,[]",
    "/lower%3a%2f.png?signature=%2bA%3d%3D",
    "/?a=%25%33%44",
    "/a.png?",
]


@asynccontextmanager
async def server(answer: str) -> AsyncIterator[tuple[str, list[str]]]:
    """Yield the origin of a server that records the targets of requests, byte for byte.

    `answer` is the response to the first request, all others get a picture.
    """
    targets: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        targets.append(head.split(" ")[1])
        body = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        writer.write((answer if len(targets) == 1 else body).encode())
        await writer.drain()
        writer.close()

    serving = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with serving:
        yield f"http://127.0.0.1:{serving.sockets[0].getsockname()[1]}", targets


OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.mark.parametrize("target", [*SIGNED, "//a//b?x=%3A"])
async def test_an_address_is_sent_as_it_is_written(target: str) -> None:
    async with server(OK) as (origin, targets), Downloader(private_hosts=LOOPBACK) as downloader:
        assert await downloader.fetch(f"{origin}{target}#part", lambda _: {}) == b"ok"
        assert (await downloader.fetch_head(f"{origin}{target}", 2)) == b"ok"

    assert [each.rstrip("?") for each in targets] == [target.rstrip("?")] * 2


@pytest.mark.parametrize("target", SIGNED)
async def test_an_address_of_a_redirect_is_sent_as_it_is_written(target: str) -> None:
    redirect = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
    async with (
        server(redirect) as (origin, targets),
        Downloader(private_hosts=LOOPBACK) as downloader,
    ):
        assert await downloader.fetch(f"{origin}/first/a.png", lambda _: {}) == b"ok"

    normal = target.replace("/a/../b", "/b")  # a relative path is resolved (RFC 3986, 5.2)
    assert targets[1].rstrip("?") in {target.rstrip("?"), normal}


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://example.com/a b\r\nX-Key: 1\tü", "/a%20bX-Key:%201%C3%BC"),
        ("http://example.com", "/"),
        ("http://example.com?a=b c", "/?a=b%20c"),
        ("http://example.com/%", "/%"),
        ("http://example.com/\x00\x7f", "/%00%7F"),
    ],
)
def test_no_address_breaks_the_line_of_a_request(url: str, target: str) -> None:
    address = exact_url(url)

    assert address is not None
    assert str(address) == f"http://example.com{target}"


@pytest.mark.parametrize(
    "url",
    [
        *("http://name:word@example.com/a.png", "http://name@example.com/", "//example.com/a.png"),
        *("http:///a.png", "https://", "http://[::1/a.png", "ftp://example.com/", "a.png", ""),
        *("http://example.com:99999/a.png", "https://@[::1]:8@/a.png", "http://[x]:80@/"),
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    assert exact_url(url) is None


@pytest.mark.parametrize(
    "url", ["http://exämple.com/a%3A", "http://EXAMPLE.com/a%3A", "http://[2606:4700::1]/a%3A"]
)
def test_the_host_is_that_of_the_address(url: str) -> None:
    address = exact_url(url)

    assert address is not None
    assert address.host in {"exämple.com", "xn--exmple-cua.com", "example.com", "2606:4700::1"}
    assert address.raw_path == "/a%3A"


# IANA's registries of special-purpose addresses, one address of each block.
SPECIAL = (
    "0.0.0.1 10.0.0.1 100.64.0.1 127.0.0.1 169.254.1.1 172.16.0.1 192.0.0.1 192.0.0.192 192.0.2.1 "
    "192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 "
    "255.255.255.255 ::1 :: ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 "
    "100:0:0:1::1 2001::1 2001:2::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fd12::1 "
    "fe80::1 fec0::1 ff02::1"
    " ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 200::1 4000::1 64:ff9b:2::1 e000::1"
)
PUBLIC = "1.1.1.1 8.8.8.8 192.0.1.1 198.20.0.1 2606:4700::1 2a00:1450::1 64:ff9b::808:808"


def test_special_addresses_are_not_public_with_any_python() -> None:
    assert [each for each in SPECIAL.split() if is_public(ip_address(each))] == []
    assert [each for each in PUBLIC.split() if not is_public(ip_address(each))] == []


def test_a_private_host_is_reached_at_its_port_alone() -> None:
    private = {("127.0.0.1", 8000)}

    assert checked("http://127.0.0.1:8000/a.png", private)
    for port in (8001, 80, 22):
        with pytest.raises(ProviderError) as caught:
            checked(f"http://127.0.0.1:{port}/a.png", private)
        assert caught.value.reason is Reason.MALFORMED


async def test_a_private_name_is_resolved_at_its_port_alone() -> None:
    resolver = PublicResolver({("localhost", 8000)})

    assert await resolver.resolve("localhost", 8000)
    with pytest.raises(ProviderError, match="private network"):
        await resolver.resolve("localhost", 8001)


@pytest.mark.parametrize(
    ("host", "is_name"),
    [
        *(("example.com", True), ("1a.example", True), ("2.example", True), ("a.0xg", True)),
        *(("0x7f.1.", False), ("a.1", False), ("a.0x1F", False), ("a.0x", False)),
    ],
)
def test_a_name_that_ends_in_a_number_is_an_address_to_some(host: str, is_name: bool) -> None:
    if is_name:
        assert checked(f"https://{host}/a.png", ()).host == host
        return
    with pytest.raises(ProviderError) as caught:
        checked(f"https://{host}/a.png", {(host, 443)})
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1]"])
def test_an_address_of_the_open_internet_is_reached(host: str) -> None:
    assert str(checked(f"http://{host}:81/a.png", ())) == f"http://{host}:81/a.png"


async def test_the_private_addresses_of_a_name_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ["10.0.0.1", "8.8.8.8", "fe80::1%eth0", "2606:4700::1%1"]

    async def resolve(*_: object, **__: object) -> list[dict[str, object]]:
        return [{"host": each} for each in found]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    resolver = PublicResolver({("private", 80)}, {("proxy", 3128)})

    async def hosts(name: str, port: int) -> list[str]:
        return [each["host"] for each in await resolver.resolve(name, port)]

    assert await hosts("example.com", 80) == ["8.8.8.8", "2606:4700::1%1"]
    assert await hosts("proxy", 80) == await hosts("private", 3128) == found[1::2]
    assert await hosts("proxy", 3128) == await hosts("private", 80) == found
    found = ["10.0.0.1"]
    with pytest.raises(ProviderError, match=r"private network: example\.com"):
        await resolver.resolve("example.com", 80)


def test_an_address_expires_at_the_time_that_it_names() -> None:
    end = datetime(2026, 11, 21, 12, tzinfo=UTC)
    url = f"https://cdn.discordapp.com/a.png?is=1&ex={int(end.timestamp()):x}&hm=0"

    assert not ends_before(url, end)
    assert ends_before(url, end + timedelta(microseconds=1))
    for other in ("https://cdn.discordapp.com/a.png", url.replace("ex=", "ex=x"), "http://[::1"):
        assert ends_before(other, end + timedelta(days=999)) is False


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *(("0.255.255.255", False), ("1.0.0.0", True), ("100.63.255.255", True)),
        *(("100.127.255.255", False), ("100.128.0.0", True), ("223.255.255.255", True)),
        *(("1fff:ffff::1", False), ("2000::1", True), ("3fff:1000::1", True)),
        *(("2002:808:808::1", True), ("2002:a00:1::1", False), ("::ffff:8.8.8.8", True)),
        *(("64:ff9b::a00:1", False), ("64:ff9b::1:808:808", False)),
    ],
)
def test_the_ends_of_networks_are_told_apart(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public
