"""Sizes of pictures, and the download of input pictures by an image API."""

import asyncio
import base64
import binascii
import io
from typing import Final

import aiohttp
from PIL import Image, ImageOps
from yarl import URL

Size = tuple[int, int]

LONG_SIDE: Final = 1024  # in pixels; the real models make up to 2048
LARGEST_SIDE: Final = 2048
LARGEST_INPUT: Final = 20 * 1024 * 1024  # bytes
FETCH_SECONDS: Final = 10.0
KINDS: Final = ("PNG", "JPEG", "WEBP")
DECODED_PIXELS: Final = 5_000_000


class UnusableInput(Exception):
    """The address cannot be fetched, or the file is not a picture. The text is the API's."""


def size_of_ratio(ratio: str, *, long_side: int = LONG_SIDE) -> Size:
    """Return the size in pixels of a ratio such as `16:9`; `long_side` is the longer side."""
    wide, tall = (int(part) for part in ratio.split(":"))
    longest = max(wide, tall)
    return (round(long_side * wide / longest), round(long_side * tall / longest))


def size_of_input(data: bytes) -> Size:
    """Return the displayed size (after EXIF's orientation), scaled down to the models' limit."""
    with Image.open(io.BytesIO(data)) as opened:
        wide, tall = opened.size
        if opened.getexif().get(0x0112) in (5, 6, 7, 8):  # rotated by 90 degrees
            wide, tall = tall, wide
    scale = min(1.0, LARGEST_SIDE / max(wide, tall))
    return (max(1, round(wide * scale)), max(1, round(tall * scale)))


async def fetch_input(session: aiohttp.ClientSession, address: str) -> bytes:
    """Return the picture at an http(s) address or in a data URI.

    The download has no credentials, as at the real services. Raise UnusableInput.
    """
    if address.startswith("data:"):
        data = _from_data_uri(address)
    else:
        data = await _download(session, address)
    await asyncio.to_thread(_check, data)
    return data


def _from_data_uri(address: str) -> bytes:
    head, comma, payload = address.partition(",")
    if not comma or not head.endswith(";base64"):
        raise UnusableInput("Invalid image format ''")
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error:
        raise UnusableInput("Invalid image format ''") from None


async def _download(session: aiohttp.ClientSession, address: str) -> bytes:
    try:
        async with (
            asyncio.timeout(FETCH_SECONDS),
            session.get(URL(address, encoded=True)) as response,
        ):
            if response.status >= 400:
                kind = "Client" if response.status < 500 else "Server"
                raise UnusableInput(
                    f"Failed to download image: {response.status} {kind} Error: "
                    f"{response.reason} for url: {address}"
                )
            return await response.content.readexactly(LARGEST_INPUT)
    except asyncio.IncompleteReadError as whole:  # the picture is smaller
        return whole.partial
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise UnusableInput(f"Failed to download image from {address}") from error


def _check(data: bytes) -> None:
    """Decode the picture once, so that a broken file is refused here and not while drawing.

    A very large one is not decoded: this program would be too busy to answer in time.
    """
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.format not in KINDS:
                raise UnusableInput(f"Invalid image format '{opened.format}'")
            if opened.width * opened.height <= DECODED_PIXELS:
                ImageOps.exif_transpose(opened)
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):
        raise UnusableInput("Invalid image format ''") from None
