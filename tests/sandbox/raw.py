"""A raw HTTP client for the image APIs' stand-ins."""

import base64
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import aiohttp
from PIL import Image

from bot.sandbox.drawing.draw import draw
from bot.sandbox.http.service import Service

EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    raw: bytes
    body: Any = None  # decoded, if the content is JSON


@dataclass(frozen=True)
class Raw:
    """A client with the right key unless `key` says otherwise (None: without a key)."""

    service: Service
    url: str
    session: aiohttp.ClientSession

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "",
        data: bytes | Mapping[str, object] | None = None,
        headers: Mapping[str, str] = EMPTY,
    ) -> Answered:
        headers = dict(headers)
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.service.key}"
        url = path if path.startswith("http") else self.url + path
        async with self.session.request(
            method, url, json=body, data=data, headers=headers, allow_redirects=False
        ) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json"
            decoded = await response.json() if is_json else None
            return Answered(response.status, dict(response.headers), raw, decoded)

    async def get(self, path: str, *, key: str | None = "") -> Answered:
        return await self.ask("GET", path, key=key)

    async def post(
        self, path: str, body: object, *, headers: Mapping[str, str] = EMPTY
    ) -> Answered:
        return await self.ask("POST", path, body, headers=headers)


@asynccontextmanager
async def raw_client(service: Service, url: str) -> AsyncIterator[Raw]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield Raw(service, url, session)


def picture(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        return opened


def data_uri(prompt: str = "a cat", size: tuple[int, int] = (96, 64)) -> str:
    return "data:image/png;base64," + base64.b64encode(draw(prompt, 1, *size)).decode()
