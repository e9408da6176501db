"""Discord's REST API as a check needs it: a few questions, each with a time-out."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import aiohttp
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from bot.errors import EaselError
from bot.providers.api_client import USER_AGENT

TIMEOUT = aiohttp.ClientTimeout(total=10.0, sock_connect=5.0)
LONGEST_WAIT = 5.0  # seconds that a rate limit may make one question wait
# Of the form that Discord demands.
DISCORD_AGENT = f"DiscordBot (Easel, {USER_AGENT.removeprefix('Easel/')})"
Told = TypeVar("Told")


class NotTold(EaselError):
    """Discord did not answer, or refused: `status` is None or the answer's."""

    def __init__(self, what: str, status: int | None = None) -> None:
        super().__init__(what)
        self.status = status


class User(BaseModel):
    id: int
    username: str


class Application(BaseModel):
    id: int
    name: str
    flags: int = 0
    bot_public: bool = True
    bot_require_code_grant: bool = False
    interactions_endpoint_url: str | None = None


class Server(BaseModel):
    """As in the list of the bot's servers: `permissions` are those of its roles together."""

    id: int
    name: str
    permissions: int


class ServerDetails(BaseModel):
    premium_tier: int = 0


class _RateLimit(BaseModel):
    retry_after: float = LONGEST_WAIT


class Rest:
    def __init__(self, session: aiohttp.ClientSession, url: str, token: SecretStr) -> None:
        self._session = session
        self._url = url
        self._token = token
        self.ahead: timedelta | None = None  # by how much our clock is ahead of Discord's

    async def get(self, path: str, kind: type[Told], **params: str) -> Told:
        """Raises NotTold, whose text never has the token in it."""
        status, body = await self._ask(path, params)
        if status == 429 and (wait := _wait_of(body)) <= LONGEST_WAIT:
            await asyncio.sleep(wait)
            status, body = await self._ask(path, params)
        if status != 200:
            raise NotTold(f"GET {path} answers {status}", status)
        try:
            return TypeAdapter(kind).validate_json(body)
        except ValidationError:
            raise NotTold(f"GET {path} gives an answer that cannot be read", status) from None

    async def _ask(self, path: str, params: dict[str, str]) -> tuple[int, bytes]:
        headers = {
            "Authorization": f"Bot {self._token.get_secret_value()}",
            "User-Agent": DISCORD_AGENT,
        }
        asked = datetime.now(UTC)
        try:
            async with self._session.get(
                self._url + path,
                headers=headers,
                params=params,
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as response:
                self._compare(asked, response.headers.get("Date", ""))
                return response.status, await response.read()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not chained: aiohttp's errors carry the request's headers, and so the token.
            raise NotTold(f"GET {path}: {type(error).__name__}") from None

    def _compare(self, asked: datetime, date: str) -> None:
        """The header tells whole seconds: on average half a one has passed."""
        try:
            told = parsedate_to_datetime(date).replace(tzinfo=UTC) + timedelta(seconds=0.5)
        except (ValueError, TypeError):
            return
        self.ahead = asked + (datetime.now(UTC) - asked) / 2 - told


def _wait_of(body: bytes) -> float:
    try:
        return _RateLimit.model_validate_json(body).retry_after
    except ValidationError:
        return LONGEST_WAIT
