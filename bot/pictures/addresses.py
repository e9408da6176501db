"""Addresses of pictures: which ones may be reached, and how they are sent.

A private network is refused when a name is resolved, for every connection and redirect, so that a
name with changing addresses does not get around the check.
"""

import re
import socket
import string
from collections.abc import Container
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bot.errors import ProviderError, Reason

HostPort = tuple[str, int]

# Attachments; their proxy, which resizes; and the copies of foreign pictures (discord.md, Limits).
MEDIA_HOSTS = re.compile(
    r"cdn\.discordapp\.com|media\.discordapp\.net|images-ext-[0-9]+\.discordapp\.net"
)
VISIBLE = string.punctuation  # besides letters and digits
# Beside `is_global`, whose list is that of the Python version: older ones lack these.
NOT_PUBLIC = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
)


def checked(url: str, private_hosts: Container[HostPort]) -> URL:
    """Return a parsed address. Raises ProviderError(MALFORMED) if Easel may not connect there.

    A host that is a number is checked here, because no resolver sees it.
    """
    address = exact_url(url)
    if address is None:
        raise ProviderError(Reason.MALFORMED, "not an address of a picture")
    host = address.host or ""
    try:
        number = ip_address(host)
    except ValueError:
        # A name that ends in a number is an address to some resolvers: `127.1` is 127.0.0.1.
        if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rstrip(".").rpartition(".")[2], re.I):
            raise ProviderError(Reason.MALFORMED, f"not a host name: {host}") from None
        return address
    if (host, address.port) not in private_hosts and not is_public(number):
        raise ProviderError(Reason.MALFORMED, f"a picture in a private network: {host}")
    return address


class DiscordMedia:
    """The addresses at which Discord serves files, and copies of foreign pictures.

    Every other address is the choice of a member, who could learn the bot's address by it, or let
    the bot reach a private network.
    """

    def __init__(self, own: HostPort | None = None) -> None:
        """`own` is the host of a configured DISCORD_API_URL, which serves the files too."""
        self._own = own

    def __contains__(self, url: object) -> bool:
        address = exact_url(url) if isinstance(url, str) else None
        if address is None or address.host is None:
            return False
        if (address.host, address.port) == self._own:
            return True
        is_usual = address.scheme == "https" and address.port == 443
        return is_usual and MEDIA_HOSTS.fullmatch(address.host) is not None


DISCORD_MEDIA = DiscordMedia()
LINE_BREAKS = re.compile(r"[\t\r\n]")  # which every parser of addresses drops


def exact_url(url: str) -> URL | None:
    """Return an http(s) address whose path and query are sent as they are written.

    yarl would decode escapes such as `%3A`, and the signature of the address would not fit any
    more. None for any other text, and for an address with a user name.
    """
    try:
        parsed = URL(url)
        if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.user is not None:
            return None
        # Cut out of the text: to join the parts again would alter some, such as `//a` or `a?`.
        after_host = re.sub(r"^[^:]*://[^/?#]*", "", LINE_BREAKS.sub("", url.strip()))
        target = after_host.partition("#")[0]
        # Only what may not be in a request line is escaped, such as a space.
        path = quote(target if target.startswith("/") else f"/{target}", safe=VISIBLE)
        return URL(f"{parsed.origin()}{path}", encoded=True)
    except (ValueError, IndexError):  # IndexError: of yarl 1.25, for `http://@[::1]:8@/`
        return None


def ends_before(url: str, moment: datetime) -> bool:
    """Return whether a signed address at Discord expires before a moment.

    The parameter `ex` is the Unix time of the end, in hexadecimal digits; an address without one
    does not tell.
    """
    try:
        return int(URL(url).query["ex"], 16) < moment.timestamp()
    except (KeyError, ValueError):
        return False


class PublicResolver(AbstractResolver):
    """A resolver that refuses names with none but private addresses.

    For a request through a proxy, only the proxy's own name comes here: the proxy resolves the
    other one.
    """

    def __init__(
        self, private_hosts: Container[HostPort], proxies: Container[HostPort] = ()
    ) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._private_hosts = private_hosts
        self._proxies = proxies

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if (host, port) in self._private_hosts or (host, port) in self._proxies:
            return found
        allowed = [each for each in found if is_public(ip_address(each["host"].partition("%")[0]))]
        if not allowed:
            raise ProviderError(Reason.MALFORMED, f"a picture in a private network: {host}")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return true for an address of the open internet, also in an IPv6 form of an IPv4 address.

    The list is that of IANA's registries of special-purpose addresses.
    """
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if address in ip_network("64:ff9b::/96"):  # NAT64
            wrapped = IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(wrapped)
        if address not in ip_network("2000::/3"):  # all of the open internet so far
            return False
    if any(address in network for network in NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast
