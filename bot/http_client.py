"""The HTTP session for everything outside but Discord: aiohttp's, with one more bound."""

import aiohttp
from aiohttp.connector import Connection

MAX_INTERIM = 10  # interim responses (status 1xx) before the final one; real servers send one


class BoundedResponse(aiohttp.ClientResponse):
    """A response after at most MAX_INTERIM interim ones.

    aiohttp skips any number of them without a pause: a server that sends nothing else stops the
    event loop, and no timeout is noticed meanwhile.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        protocol, left = connection.protocol, MAX_INTERIM + 1
        if protocol is None:
            return await super().start(connection)
        read_next = protocol.read

        async def read() -> object:
            nonlocal left
            left -= 1
            if left < 0:
                connection.close()
                raise aiohttp.ClientPayloadError("too many interim responses")
            return await read_next()

        vars(protocol)["read"] = read
        try:
            return await super().start(connection)
        finally:
            del vars(protocol)["read"]


def open_session(
    *, connector: aiohttp.BaseConnector | None = None, timeout: float = 60.0
) -> aiohttp.ClientSession:
    """Return a session, to be closed by the caller. `timeout` is in seconds, of a whole request.

    Without a connector there is no limit of connections: each kind of request has its own, and
    open event streams must not delay the others.
    """
    return aiohttp.ClientSession(
        connector=connector or aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=timeout),
        response_class=BoundedResponse,
        cookie_jar=aiohttp.DummyCookieJar(),  # no request needs what another answer has set
    )


UNTRUSTED = "certificate not trusted"
TRUST = (
    "If a proxy of yours replaces certificates, name the file with its certificate authority in "
    "SSL_CERT_FILE."
)


def cause_of(error: Exception) -> str:
    """Return the reason why a request failed, in words if that is a proxy or a certificate."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            problem = getattr(error.certificate_error, "verify_message", "")
            return f"{UNTRUSTED} for {error.host}: {problem or error.certificate_error}"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy {error.host}:{error.port} cannot be reached"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refuses the connection with status {error.status}"
        case _:
            return f"{type(error).__name__}: {error}"
