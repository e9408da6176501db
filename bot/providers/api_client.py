"""The HTTP client of the image APIs: timeouts, limits, retries, and errors with a Reason."""

import asyncio
import json as jsonlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass

import aiohttp
import stamina
from pydantic_core import from_json
from yarl import URL

from bot.errors import ProviderError, Reason, Taken
from bot.http_client import cause_of
from bot.http_headers import USER_AGENT, parse_retry_after
from bot.providers.base import Http
from bot.providers.byte_stream import ByteStream
from bot.providers.error_mapping import classify, detail_of, has_own_error, one_line
from bot.settings import ProviderSettings

TIMEOUT = 20.0  # seconds for one attempt
CONNECT_TIMEOUT = 10.0
LIMIT = 1024 * 1024  # bytes of an answer
DATA_LIMIT = 48 * 1024 * 1024  # bytes of an answer with pictures as data URIs
# Values in an answer of more than LIMIT bytes, which has to consist of a few long ones: decoded,
# an empty list of three bytes takes 90.
MOST_VALUES = 50_000
ERROR_LIMIT = 64 * 1024  # bytes that are read of an error's body
CHUNK = 64 * 1024

TRANSIENT = {Reason.RATE_LIMITED, Reason.UNAVAILABLE, Reason.TIMEOUT}
# A definite refusal of a creating request, with a readable body or not (apis.md, Tolerance).
REFUSALS = {400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 413, 414, 415, 416, 422, 431, 451}
NOT_SERVED = {404, 405, 406}
EVENT_STREAM = "text/event-stream"


class NotServed(ProviderError):
    """The address, its method or its format does not exist: HTTP 404, 405 or 406."""


@dataclass(frozen=True, slots=True)
class _Call:
    """An attempt at a request. `timeout` is in seconds, `limit` in bytes of the answer.

    With `silence`, an event stream is requested too; that is its longest pause in seconds.
    """

    method: str
    path: str
    json: Mapping[str, object] | None
    params: Mapping[str, str] | None
    timeout: float
    limit: int
    silence: float | None = None

    @property
    def client_timeout(self) -> aiohttp.ClientTimeout:
        """The timeouts for aiohttp; the time of an event stream is limited by the caller."""
        total = self.timeout if self.silence is None else None
        return aiohttp.ClientTimeout(
            total=total, sock_connect=CONNECT_TIMEOUT, sock_read=self.silence
        )


class Api:
    """An API with an address and a key. No other code sends the key anywhere."""

    def __init__(self, name: str, settings: ProviderSettings, http: Http) -> None:
        """Check the key: StartupError if there is none. `name` is the provider's, for metrics."""
        self._name = name
        self._http = http
        self._base = settings.api_url
        self._origin = _origin(self._base)
        self._proxy = http.proxies.options(self._base)
        self._key = settings.key
        # Answers of over LIMIT bytes, one at a time: decoded, each takes several times its bytes.
        self._large = asyncio.Semaphore(1)

    def headers_for(self, url: str) -> Mapping[str, str]:
        """Return the key for an address with the API's scheme, host and port, else no header."""
        if self._origin is None or _origin(url) != self._origin:
            return {}
        return {"Authorization": f"Bearer {self._key.get_secret_value()}"}

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        limit: int = LIMIT,
    ) -> object:
        """Return the decoded JSON of a 2xx answer; ProviderError for any other.

        `path` is quoted already. `timeout` is in seconds for one attempt, `limit` in bytes. GET
        and DELETE are repeated after a transient error. POST never is, because it creates.
        """
        call = _Call(method, path, json, params, timeout, limit)
        if method == "POST":
            return await self._observed(call)
        async for attempt in stamina.retry_context(
            on=_retried,
            attempts=3,
            timeout=45.0,  # seconds after which no other attempt starts
            wait_initial=0.3,
            wait_max=2.0,
            wait_jitter=0.3,
        ):
            with attempt:
                return await self._observed(call)
        raise AssertionError("retry_context ends by a return or by an error")

    async def stream(self, path: str, *, silence: float) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of an event stream, and before them none, when the stream is open.

        `silence` is the longest pause in seconds.
        Always ends by a ProviderError, because an event stream has no regular end.
        """
        call = _Call("GET", path, None, None, TIMEOUT, 0, silence)
        try:
            async with self._ask(call) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                if response.content_type != EVENT_STREAM:
                    raise ProviderError(Reason.MALFORMED, f"a stream of {response.content_type}")
                yield b""
                stream = ByteStream(response, self._broken)
                while piece := await stream.read():
                    yield piece
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._broken(error) from None
        raise ProviderError(Reason.UNAVAILABLE, "the stream ended")

    async def create(
        self, path: str, *, json: Mapping[str, object], timeout: float, limit: int, silence: float
    ) -> object:
        """Send a creating request once, and return the ByteStream of the answer, which is open.

        An answer in another format is returned decoded, as by `request`. ProviderError for an
        answer that is not a 2xx: NotServed if the API has no such stream. The caller limits the
        time, and observes the request (`observing`): `timeout` is only for a place to decode a
        large answer. `silence` is the longest pause of the stream in seconds.
        """
        return await self._send(_Call("POST", path, json, None, timeout, limit, silence))

    def observing(self, method: str) -> AbstractContextManager[None]:
        """Observe one request, which is sent within the block."""
        return self._http.observer.asking(self._name, method)

    def safe(self, text: str) -> str:
        """Return a text of the API's fit for the log: one line, without the key."""
        return one_line(text.replace(self._key.get_secret_value(), "[key]"))

    def refused(self, body: object) -> ProviderError:
        """Return the error in an answer that was sent with a status of success."""
        return ProviderError(classify(body), self.safe(detail_of(body)), Taken.REFUSED)

    async def _observed(self, call: _Call) -> object:
        with self.observing(call.method):
            return await self._send(call)

    async def _send(self, call: _Call) -> object:
        body = bytearray()
        async with AsyncExitStack() as large:
            try:
                if stream := await self._receive(call, body, large):
                    return stream
                return await self._decode(body)
            finally:
                body.clear()  # the traceback of an error would keep it for a long time

    async def _receive(
        self, call: _Call, body: bytearray, large: AsyncExitStack
    ) -> ByteStream | None:
        """Send a request, and fill `body` with that of a 2xx answer, or return its event stream.

        With more than LIMIT bytes it holds the only place of large answers, by `large`.
        """
        try:
            async with AsyncExitStack() as stack:
                response = await stack.enter_async_context(self._ask(call))
                if not 200 <= response.status < 300:
                    raise await self._refusal(response)
                if call.silence is not None and response.content_type == EVENT_STREAM:
                    stack.pop_all()
                    return ByteStream(response, self._broken)
                await self._read(response, call, body, large)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not chained: aiohttp's errors carry the request's headers, and so the key.
            raise self._broken(error) from None
        return None

    def _ask(self, call: _Call) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._http.session.request(
            call.method,
            self._base + call.path,
            json=call.json,
            params=call.params,
            headers=self._headers() | ({} if call.silence is None else {"Accept": EVENT_STREAM}),
            timeout=call.client_timeout,
            allow_redirects=False,
            **self._proxy,
        )

    async def _read(
        self,
        response: aiohttp.ClientResponse,
        call: _Call,
        body: bytearray,
        large: AsyncExitStack,
    ) -> None:
        async for chunk in response.content.iter_chunked(CHUNK):
            body += chunk
            if len(body) > call.limit:
                detail = f"an answer of over {call.limit} bytes"
                raise ProviderError(Reason.MALFORMED, detail, Taken.DOUBTFUL)
            if len(body) - len(chunk) <= LIMIT < len(body):
                async with asyncio.timeout(call.timeout):
                    await large.enter_async_context(self._large)

    def _headers(self) -> dict[str, str]:
        return {"User-Agent": USER_AGENT, **self.headers_for(self._base)}

    async def _decode(self, body: bytearray) -> object:
        try:
            if len(body) > LIMIT and _count_values(body) > MOST_VALUES:
                raise ValueError("too many values")
            if len(body) > 256 * 1024:  # long enough to delay other tasks
                return await asyncio.to_thread(_loads_long, body)
            return _loads(body)
        except (ValueError, RecursionError):
            start = body[:ERROR_LIMIT].decode("utf-8", "replace")
            detail = self.safe(f"not JSON: {start}") if body else "an empty answer"
            raise ProviderError(Reason.MALFORMED, detail, Taken.DOUBTFUL) from None

    async def _refusal(self, response: aiohttp.ClientResponse) -> ProviderError:
        """Return the error of an answer that is not a 2xx, also if its body cannot be read."""
        text = (await _read_start(response)).decode("utf-8", "replace")
        try:
            body = _loads(text)
        except (ValueError, RecursionError):
            body = text
        taken = Taken.DOUBTFUL
        if response.status == 429 or (response.status == 503 and has_own_error(body)):
            taken = Taken.NO
        elif response.status in REFUSALS:
            taken = Taken.REFUSED
        kind = NotServed if response.status in NOT_SERVED else ProviderError
        return kind(
            classify(body, response.status),
            self.safe(f"HTTP {response.status} {detail_of(body)}"),
            taken,
            parse_retry_after(
                response.headers.get("Retry-After"), date=response.headers.get("Date")
            ),
        )

    def _broken(self, error: Exception) -> ProviderError:
        """Return the error of a connection that failed."""
        timed_out = isinstance(error, TimeoutError)
        reason = Reason.TIMEOUT if timed_out else Reason.UNAVAILABLE
        # All of these mean that there was no connection yet, so that nothing can have been sent.
        unsent = (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.InvalidURL,
            aiohttp.ClientHttpProxyError,  # the proxy has made no connection
        )
        taken = Taken.NO if isinstance(error, unsent) else Taken.DOUBTFUL
        return ProviderError(reason, self.safe(cause_of(error)), taken)


def _retried(error: Exception) -> bool | float:
    """Tell stamina whether to retry, or after how many seconds if the API has said so."""
    if not isinstance(error, ProviderError) or error.reason not in TRANSIENT:
        return False
    if error.retry_after is None:
        return True
    # The caller has the patience for a longer wait.
    return error.retry_after if error.retry_after <= 10.0 else False


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port
    except (ValueError, IndexError):  # IndexError: of yarl 1.25, for `http://@[::1]:8@/`
        return None
    return (parsed.scheme, host, port) if host and port else None


def _loads(body: bytearray | str) -> object:
    decoded: object = jsonlib.loads(body)
    return decoded


def _loads_long(body: bytearray) -> object:
    """Decode a long answer, string by string: one emoji makes Python's text four times as long."""
    if body.isascii():  # may have half a surrogate pair, escaped, which from_json refuses
        return _loads(body)
    decoded: object = from_json(body)
    return decoded


def _count_values(body: bytearray) -> int:
    """Count what separates values in JSON. Text in quotes is counted too, as too many at most."""
    return sum(body.count(mark) for mark in (b",", b"[", b"{"))


async def _read_start(response: aiohttp.ClientResponse) -> bytes:
    """Return the start of an error's body, or as much as arrived: the status counts alone, too."""
    found = bytearray()
    try:
        async for chunk in response.content.iter_chunked(CHUNK):
            found += chunk
            if len(found) >= ERROR_LIMIT:
                break
    except (aiohttp.ClientError, OSError):
        pass
    return bytes(found[:ERROR_LIMIT])
