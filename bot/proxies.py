"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY: which requests go through a proxy."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TypedDict

from aiohttp import BasicAuth
from yarl import URL

HostPort = tuple[str, int]
SECURE = frozenset({"https", "wss"})
SHORTEST_PASSWORD = 4  # characters; the log without every "x" could not be read


def proxy_url(value: str) -> URL:
    """Return the address of a proxy, with a scheme. ValueError, without the value, if unusable."""
    text = value.strip()
    text = text if "://" in text else f"http://{text}"
    try:
        url = URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and bool(url.port)
        if auth := BasicAuth.from_url(url):
            auth.encode()  # not every character is possible
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in text):
        raise ValueError("not the address of an HTTP proxy, such as http://10.0.0.1:3128")
    return url


def secrets_of(value: str) -> list[str]:
    """Return the texts by which the log would show a proxy's password: longer ones first.

    Libraries write the address otherwise than it was given, and some errors hold the header.
    """
    url = proxy_url(value)
    auth = BasicAuth.from_url(url)
    if auth is None:
        return [value]
    # A user without a password may be a token.
    passwords = (url.raw_password, url.password) if url.password else (url.raw_user, url.user)
    return [
        value,
        str(url),
        f"{url.raw_user or ''}:{url.raw_password or ''}@",
        auth.encode().removeprefix("Basic "),
        *(each for each in passwords if each and len(each) >= SHORTEST_PASSWORD),
    ]


class ProxyOptions(TypedDict):
    """The arguments of a request. The address has no password: aiohttp's errors show it."""

    proxy: URL | None
    proxy_auth: BasicAuth | None


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies by the scheme of a request's address; `exempt` is the text of NO_PROXY.

    Loopback addresses are never sent through a proxy, which would connect to its own machine.
    """

    plain: URL | None = None
    secure: URL | None = None
    exempt: str = field(default="")

    def options(self, url: str | URL) -> ProxyOptions:
        """Return the proxy for a request, with None for a direct connection."""
        proxy = self._of(url)
        if proxy is None:
            return {"proxy": None, "proxy_auth": None}
        return {"proxy": proxy.with_user(None), "proxy_auth": BasicAuth.from_url(proxy)}

    def _of(self, url: str | URL) -> URL | None:
        address = URL(url) if isinstance(url, str) else url
        proxy = self.secure if address.scheme in SECURE else self.plain
        host = address.host or ""
        if proxy is None or is_loopback(host) or self._is_exempt(host, address.port):
            return None
        return proxy

    @property
    def places(self) -> frozenset[HostPort]:
        """The hosts of the proxies, with their ports."""
        given = (self.plain, self.secure)
        return frozenset((each.host or "", each.port or 0) for each in given if each is not None)

    def describe(self, url: str) -> str:
        """Return the route of a request in words, without a password."""
        proxy = self._of(url)
        return "directly" if proxy is None else f"through the proxy {shown(proxy)}"

    def _is_exempt(self, host: str, port: int | None) -> bool:
        entries = re.split(r"[,\s]+", self.exempt.strip().lower())
        return any(_covers(entry, host.lower(), port) for entry in entries if entry)


DIRECT = Proxies()


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Return whether an entry of NO_PROXY fits: `*`, a name with all below it, or a network."""
    if entry == "*":
        return True
    name, separator, digits = entry.rpartition(":")
    if separator and digits.isdigit() and ":" not in name:  # no IPv6 address
        if int(digits) != port:
            return False
        entry = name
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # not both are numbers
        name = entry.removeprefix("*").lstrip(".")
        return host == name or host.endswith(f".{name}")


def shown(proxy: URL) -> str:
    """Return a proxy's address without user and password."""
    return str(proxy.with_user(None).origin())


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
