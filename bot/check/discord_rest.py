"""Requests to Discord for a check: without discord.py, which repeats and logs on its own."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import aiohttp
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from bot import package_version
from bot.clock import parse_date
from bot.errors import EaselError
from bot.http_client import cause_of
from bot.proxies import DIRECT, Proxies

TIMEOUT = aiohttp.ClientTimeout(total=20.0, sock_connect=10.0)
LONGEST_WAIT = 5.0  # seconds that a rate limit may delay a request
USER_AGENT = f"DiscordBot (Easel, {package_version('easel')})"  # the form that Discord requires
T = TypeVar("T")


class RequestFailed(EaselError):
    """A request without a usable answer; `status` is None if there was no answer at all.

    `untrusted` is true if the certificate was the reason.
    """

    def __init__(self, text: str, status: int | None = None, *, untrusted: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.untrusted = untrusted


class Application(BaseModel):
    id: int
    name: str
    flags: int = 0
    bot_public: bool = True
    bot_require_code_grant: bool = False
    interactions_endpoint_url: str | None = None
    privacy_policy_url: str | None = None
    terms_of_service_url: str | None = None


class _RateLimit(BaseModel):
    retry_after: float = LONGEST_WAIT


class Rest:
    """`clock_ahead` is the time by which this machine's clock is ahead of Discord's."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        token: SecretStr,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._session = session
        self._proxy = proxies.options(url)
        self._url = url
        self._token = token
        self.clock_ahead: timedelta | None = None

    async def get(self, path: str, kind: type[T], **params: str) -> T:
        """Return the parsed answer. RequestFailed otherwise, whose text never has the token."""
        body = await self._repeated("GET", path, params)
        try:
            return TypeAdapter(kind).validate_json(body)
        except ValidationError:
            raise RequestFailed(f"GET {path} sent an answer that cannot be read", 200) from None

    async def put(self, path: str, body: object) -> None:
        """Send `body` as JSON. RequestFailed unless Discord accepts it."""
        await self._repeated("PUT", path, {}, body)

    async def _repeated(
        self, method: str, path: str, params: dict[str, str], sent: object = None
    ) -> bytes:
        """Return the body of a 200, after one short rate limit at most."""
        status, body = await self._request(method, path, params, sent)
        if status == 429 and (wait := _wait_of(body)) <= LONGEST_WAIT:
            await asyncio.sleep(wait)
            status, body = await self._request(method, path, params, sent)
        if status != 200:
            raise RequestFailed(f"{method} {path} answers {status}{_refusal(body)}", status)
        return body

    async def _request(
        self, method: str, path: str, params: dict[str, str], body: object
    ) -> tuple[int, bytes]:
        headers = {
            "Authorization": f"Bot {self._token.get_secret_value()}",
            "User-Agent": USER_AGENT,
        }
        sent = datetime.now(UTC)
        try:
            async with self._session.request(
                method,
                self._url + path,
                headers=headers,
                params=params,
                json=body,
                timeout=TIMEOUT,
                allow_redirects=False,
                **self._proxy,
            ) as response:
                self._compare(sent, response.headers.get("Date", ""))
                return response.status, await response.read()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not chained: aiohttp's errors carry the request's headers, and so the token.
            known = (
                aiohttp.ClientConnectorCertificateError,
                aiohttp.ClientProxyConnectionError,
                aiohttp.ClientHttpProxyError,
            )
            cause = cause_of(error) if isinstance(error, known) else type(error).__name__
            untrusted = isinstance(error, aiohttp.ClientConnectorCertificateError)
            raise RequestFailed(f"{method} {path}: {cause}", untrusted=untrusted) from None

    def _compare(self, sent: datetime, date: str) -> None:
        """Set `clock_ahead` by the Date header."""
        theirs = parse_date(date)
        if theirs is not None:
            self.clock_ahead = sent + (datetime.now(UTC) - sent) / 2 - theirs


class _Refusal(BaseModel):
    code: int
    message: str


def _refusal(body: bytes) -> str:
    """Return Discord's own words about a refusal, for the end of a sentence."""
    try:
        found = _Refusal.model_validate_json(body)
    except ValidationError:
        return ""
    return f" (code {found.code}: {found.message[:200]})" if found.code else ""


def _wait_of(body: bytes) -> float:
    try:
        return _RateLimit.model_validate_json(body).retry_after
    except ValidationError:
        return LONGEST_WAIT
