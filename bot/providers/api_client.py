"""The one way out to both image APIs: time-outs, limits, retries, and errors with a Reason."""

import asyncio
import json as jsonlib
import re
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version

import aiohttp
import stamina
from pydantic import SecretStr
from yarl import URL

from bot.errors import ProviderError, Reason, Taken
from bot.observability.metrics import Metrics
from bot.providers.error_mapping import classify, detail_of, has_own_error, one_line

TIMEOUT = 20.0  # seconds for one try
CONNECT = 10.0
TRIES = 3
TRYING = 45.0  # seconds after which no other try is begun
LONGEST_WAIT = 10.0  # what an API may make a repeated request wait here; longer is the caller's
LONGEST_RETRY_AFTER = 3600.0
LIMIT = 8 * 1024 * 1024  # bytes of an answer
DATA_LIMIT = 48 * 1024 * 1024  # ... that may carry pictures as data URIs
ERROR_LIMIT = 64 * 1024  # bytes of an error's body that are looked at
THREAD_FROM = 256 * 1024  # bytes: decoding more than this would hold up everything else
CHUNK = 64 * 1024

PASSING = {Reason.RATE_LIMITED, Reason.UNAVAILABLE, Reason.TIMEOUT}
# A definite "no" to a creating request, readable or not (apis.md, A6 and B1).
REFUSALS = {400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 413, 414, 415, 416, 422, 431, 451}


def _user_agent() -> str:
    try:
        return f"Easel/{version('easel')}"
    except PackageNotFoundError:  # run from a folder, never installed
        return "Easel/0"


USER_AGENT = _user_agent()


class Api:
    """One API: its address, its key, and the only code that sends the key anywhere."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        key: SecretStr,
        *,
        name: str,
        metrics: Metrics,
    ) -> None:
        """`name` is the provider's, as the metrics show it."""
        self._name = name
        self._metrics = metrics
        self._session = session
        self._base = base_url.rstrip("/")
        self._origin = _origin(self._base)
        self._key = key

    def headers_for(self, url: str) -> Mapping[str, str]:
        """The key, where the address has the API's own scheme, host and port; else nothing."""
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
        """The decoded JSON of a 2xx answer; ProviderError for everything else.

        `path` is quoted already. `timeout` is in seconds for one try, `limit` in bytes. GET and
        DELETE are repeated where that may help, POST never is: it creates (design.md, step 5).
        """
        if method == "POST":
            return await self._once(method, path, json, params, timeout, limit)
        async for attempt in stamina.retry_context(
            on=_again,
            attempts=TRIES,
            timeout=TRYING,
            wait_initial=0.3,
            wait_max=2.0,
            wait_jitter=0.3,
        ):
            with attempt:
                return await self._once(method, path, json, params, timeout, limit)
        raise AssertionError("retry_context ends by a return or by an error")

    async def stream(self, path: str, *, silence: float) -> AsyncGenerator[bytes, None]:
        """The bytes of an event stream as they come; `silence` is the longest pause in seconds.

        Raises ProviderError in any case: a stream that ends has failed, too.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=silence)
        headers = self._headers() | {"Accept": "text/event-stream"}
        try:
            async with self._session.get(
                self._base + path, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                if response.content_type != "text/event-stream":
                    raise ProviderError(Reason.MALFORMED, f"a stream of {response.content_type}")
                async for chunk in response.content.iter_any():
                    yield chunk
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._broken(error) from None
        raise ProviderError(Reason.UNAVAILABLE, "the stream ended")

    def safe(self, text: str) -> str:
        """For the log: without the key, also where the API has repeated it to us."""
        return one_line(text.replace(self._key.get_secret_value(), "[key]"))

    async def _once(
        self,
        method: str,
        path: str,
        json: Mapping[str, object] | None,
        params: Mapping[str, str] | None,
        timeout: float,
        limit: int,
    ) -> object:
        with self._metrics.asking(self._name, method):
            return await self._send(method, path, json, params, timeout, limit)

    async def _send(
        self,
        method: str,
        path: str,
        json: Mapping[str, object] | None,
        params: Mapping[str, str] | None,
        timeout: float,
        limit: int,
    ) -> object:
        try:
            async with self._session.request(
                method,
                self._base + path,
                json=json,
                params=params,
                headers=self._headers(),
                timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT),
                allow_redirects=False,
            ) as response:
                if not 200 <= response.status < 300:
                    raise await self._refusal(response)
                body = await _read(response, limit)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not chained: aiohttp's errors carry the request with its headers, and so the key.
            raise self._broken(error) from None
        return await self._decode(body)

    def _headers(self) -> dict[str, str]:
        return {"User-Agent": USER_AGENT, **self.headers_for(self._base)}

    async def _decode(self, body: bytes) -> object:
        try:
            if len(body) > THREAD_FROM:
                return await asyncio.to_thread(_loads, body)
            return _loads(body)
        except (ValueError, RecursionError):
            start = body[:ERROR_LIMIT].decode("utf-8", "replace")
            detail = self.safe(f"not JSON: {start}") if body else "an empty answer"
            raise ProviderError(Reason.MALFORMED, detail, Taken.DOUBTFUL) from None

    async def _refusal(self, response: aiohttp.ClientResponse) -> ProviderError:
        """The error behind an answer that is not a 2xx, whether its body can be read or not."""
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
        return ProviderError(
            classify(body, response.status),
            self.safe(f"HTTP {response.status} {detail_of(body)}"),
            taken,
            retry_after(response.headers.get("Retry-After")),
        )

    def _broken(self, error: Exception) -> ProviderError:
        """The error behind a connection that failed."""
        timed_out = isinstance(error, TimeoutError)
        reason = Reason.TIMEOUT if timed_out else Reason.UNAVAILABLE
        # All three mean that there was no connection yet, so nothing can have been sent.
        unsent = (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.InvalidURL,
        )
        taken = Taken.NO if isinstance(error, unsent) else Taken.DOUBTFUL
        return ProviderError(reason, self.safe(f"{type(error).__name__}: {error}"), taken)


def _again(error: Exception) -> bool | float:
    """Whether stamina is to try again, or after how many seconds, where the API has said so."""
    if not isinstance(error, ProviderError) or error.reason not in PASSING:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= LONGEST_WAIT else False


def retry_after(value: str | None) -> float | None:
    """Seconds, from either form of the header; None where there is none that can be read."""
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port
    except ValueError:
        return None
    return (parsed.scheme, host, port) if host and port else None


def _loads(body: bytes | str) -> object:
    decoded: object = jsonlib.loads(body)
    return decoded


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        found += chunk
        if len(found) > limit:
            detail = f"an answer of over {limit} bytes"
            raise ProviderError(Reason.MALFORMED, detail, Taken.DOUBTFUL)
    return bytes(found)


async def _read_start(response: aiohttp.ClientResponse) -> bytes:
    """What there is of an error's body: the status counts also where the body breaks off."""
    found = bytearray()
    try:
        async for chunk in response.content.iter_chunked(CHUNK):
            found += chunk
            if len(found) >= ERROR_LIMIT:
                break
    except (aiohttp.ClientError, OSError):
        pass
    return bytes(found[:ERROR_LIMIT])
