"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY: which requests go through a proxy."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from yarl import URL

HostPort = tuple[str, int]
SECURE = frozenset({"https", "wss"})


def proxy_url(value: str) -> URL:
    """Return the address of a proxy, with a scheme. ValueError, without the value, if unusable."""
    text = value.strip()
    text = text if "://" in text else f"http://{text}"
    try:
        url = URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and bool(url.port)
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in text):
        raise ValueError("not the address of an HTTP proxy, such as http://10.0.0.1:3128")
    return url


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies by the scheme of a request's address; `exempt` is the text of NO_PROXY.

    Loopback addresses are never sent through a proxy, which would connect to its own machine.
    """

    plain: URL | None = None
    secure: URL | None = None
    exempt: str = field(default="")

    def of(self, url: str | URL) -> URL | None:
        """Return the proxy for a request; None for a direct connection."""
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
        proxy = self.of(url)
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
