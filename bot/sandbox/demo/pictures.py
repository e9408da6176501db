"""Download the pictures of a message as a member's client would."""

import asyncio
import io
import re
from dataclasses import dataclass
from typing import Final

import aiohttp
from PIL import Image

from bot.sandbox.discord import Message
from bot.sandbox.discord.components import walk

FETCH_SECONDS: Final = 5.0
# The property of IPTC's standard, and its values for pictures made by a model.
SOURCE: Final = re.compile(rb"<Iptc4xmpExt:DigitalSourceType>([^<]*)<")
CODES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
AI_SOURCES: Final = {
    f"{CODES}trainedAlgorithmicMedia",
    f"{CODES}compositeWithTrainedAlgorithmicMedia",
}


@dataclass(frozen=True)
class Shown:
    """A picture that could be decoded completely.

    `source` is the address by which its XMP says how the picture was made; empty without one.
    """

    kind: str
    width: int
    height: int
    source: str


async def fetch_pictures(message: Message) -> list[Shown]:
    """Download and decode every picture. Raise if one fails."""
    return [await asyncio.to_thread(_decode, data) for data in await download(message)]


async def download(message: Message) -> list[bytes]:
    """Return the bytes of every picture. Raise if one cannot be downloaded."""
    limit = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with aiohttp.ClientSession(timeout=limit, raise_for_status=True) as http:
        found: list[bytes] = []
        for url in message.pictures():
            async with http.get(url) as answer:
                found.append(await answer.read())
        return found


def _decode(data: bytes) -> Shown:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        source = SOURCE.search(picture.info.get("xmp", b""))
        return Shown(
            picture.format or "",
            picture.width,
            picture.height,
            source[1].decode() if source else "",
        )


def alt_texts(message: Message) -> list[str]:
    """Return the alternative text of each picture, in order."""
    return [
        item["description"] or ""
        for component in walk(message.components)
        for item in component.get("items", [])
    ]
