"""Copies that fit an upload limit; the stored original stays unchanged."""

import asyncio
import io
import warnings

from PIL import Image

from bot.errors import ProviderError, Reason
from bot.jobs import PictureKind
from bot.pictures.header import MAX_PIXELS


async def shrink(data: bytes, limit: int) -> tuple[bytes, PictureKind]:
    """Re-encode a picture to at most `limit` bytes: with less quality, then at half the size.

    Raises ProviderError(MALFORMED) if the picture cannot be decoded or made small enough.
    """
    return await asyncio.to_thread(_shrink, data, limit)


def _shrink(data: bytes, limit: int) -> tuple[bytes, PictureKind]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise ProviderError(Reason.MALFORMED, "a picture of too many pixels")
                image = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError,
            Image.DecompressionBombWarning) as error:  # fmt: skip
        raise ProviderError(Reason.MALFORMED, f"a picture that cannot be read: {error}") from error
    # JPEG has no transparency, and every Discord client shows WebP.
    name, kind = ("WEBP", PictureKind.WEBP) if image.mode == "RGBA" else ("JPEG", PictureKind.JPEG)
    while max(image.size) >= 64:
        for quality in (92, 80, 65):
            out = io.BytesIO()
            image.save(out, name, quality=quality)
            if out.tell() <= limit:
                return out.getvalue(), kind
        image = image.reduce(2)
    raise ProviderError(Reason.MALFORMED, f"a picture that does not fit into {limit} bytes")
