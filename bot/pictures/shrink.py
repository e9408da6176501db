"""A copy that fits an upload limit; the original is kept as it is."""

import asyncio
import io
import warnings

from PIL import Image

from bot.errors import ProviderError, Reason
from bot.jobs import PictureKind

QUALITIES = (92, 80, 65)
SMALLEST = 64  # pixels of the longer side, below which it is given up
MAX_PIXELS = 40_000_000


async def shrink(data: bytes, limit: int) -> tuple[bytes, PictureKind]:
    """Re-encode `data` to at most `limit` bytes: less quality first, then half the size again.

    ProviderError(MALFORMED) where it cannot be decoded.
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
    # JPEG has no transparency, and WebP is shown everywhere that Discord is.
    name, kind = ("WEBP", PictureKind.WEBP) if image.mode == "RGBA" else ("JPEG", PictureKind.JPEG)
    while max(image.size) >= SMALLEST:
        for quality in QUALITIES:
            out = io.BytesIO()
            image.save(out, name, quality=quality)
            if out.tell() <= limit:
                return out.getvalue(), kind
        image = image.reduce(2)
    raise ProviderError(Reason.MALFORMED, f"a picture that does not fit into {limit} bytes")
