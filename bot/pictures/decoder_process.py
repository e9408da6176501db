"""The program that decodes pictures, started by bot.pictures.decoder and killed when too slow.

The file imports nothing of Easel: the process starts in a fraction of a second, holds 15 MB, and
knows no secret. Requests come from standard input and answers go to standard output, as JSON, one
per line. Pictures are read from files and written to files.
"""

import io
import json
import os
import resource
import select
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

MIB = 1024 * 1024
MEMORY = 800 * MIB  # of address space: to shrink a picture of 40 megapixels takes 650 MB
CHECK_MEMORY = 64 * MIB  # to decode a picture for a check; one that takes more is not decoded
WEBP_PIXEL = 16  # bytes: the decoder has two canvases, and the result is copied once
JPEG_COEFFICIENT = 2  # bytes: a file of several scans is decoded from all its coefficients
IDLE_SECONDS = 60.0  # without a request, after which the process ends
READABLE = ("PNG", "JPEG", "WEBP")

UNREADABLE = (
    OSError,
    ValueError,
    ArithmeticError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def check(request: dict[str, Any]) -> dict[str, str]:
    """Read a file to the end: a PNG by its checksums, other kinds by decoding.

    A file that takes much memory to decode is checked for its end alone. A decoder would hardly
    find more: no checksum protects the data of a JPEG or a WebP.
    """
    with Image.open(request["path"], formats=READABLE) as picture:
        _refuse_large(picture, request["pixels"])
        if picture.format == "PNG":
            picture.verify()
        elif _memory(picture) > CHECK_MEMORY:
            _check_end(picture, Path(request["path"]).read_bytes())
        else:
            picture.draft("RGB", (1, 1))  # decodes a JPEG at an eighth of the size
            picture.load()
    return {}


def _memory(picture: Image.Image) -> float:
    """Return the bytes that decoding takes at most, beside those of the file."""
    pixels = picture.width * picture.height
    if not isinstance(picture, JpegImageFile):
        return pixels * WEBP_PIXEL
    factors = [(across, down) for _, across, down, _ in picture.layer]
    largest = max(across for across, _ in factors) * max(down for _, down in factors)
    samples = sum(across * down for across, down in factors) / largest  # of all colours, per pixel
    return pixels * samples * JPEG_COEFFICIENT


def _check_end(picture: Image.Image, data: bytes) -> None:
    if isinstance(picture, JpegImageFile):  # Pillow has read up to the first scan
        is_complete = picture.fp is not None and b"\xff\xd9" in data[picture.fp.tell() :]
    else:
        is_complete = 8 + int.from_bytes(data[4:8], "little") <= len(data)
    if not is_complete:
        raise ValueError("the file ends early")


def shrink(request: dict[str, Any]) -> dict[str, str]:
    """Re-encode a picture to at most `limit` bytes: with less quality, then at half the size.

    The copy has the XMP packet `xmp` and no other metadata.
    """
    xmp = request["xmp"].encode()
    with Image.open(request["path"]) as opened:
        _refuse_large(opened, request["pixels"])
        mode = "RGBA" if opened.has_transparency_data else "RGB"
        opened.load()
        image = opened if opened.mode == mode else opened.convert(mode)
        # JPEG has no transparency, and every Discord client shows WebP.
        name, kind = ("WEBP", "webp") if mode == "RGBA" else ("JPEG", "jpg")
        while max(image.size) >= 64:
            for quality in (92, 80, 65):
                out = io.BytesIO()
                image.save(out, name, quality=quality, xmp=xmp)
                if out.tell() <= request["limit"]:
                    Path(request["target"]).write_bytes(out.getvalue())
                    return {"kind": kind}
            image = image.reduce(2)
    return {"error": f"does not fit into {request['limit']} bytes"}


WORK = {"check": check, "shrink": shrink}


def answer(request: dict[str, Any]) -> dict[str, str]:
    # The system kills the process then, also inside a library and without its parent.
    signal.setitimer(signal.ITIMER_REAL, request["seconds"] + 1)
    try:
        return WORK[request["work"]](request)
    except UNREADABLE as error:
        return {"error": str(error) or type(error).__name__}
    except MemoryError:
        return {"error": "needs too much memory"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    _limit()
    while select.select([sys.stdin.buffer], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.buffer.readline()
        if not line:
            return
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def _refuse_large(picture: Image.Image, pixels: int) -> None:
    """Refuse a size that the checked header did not have, as in a file of two headers."""
    if picture.width * picture.height > pixels:
        raise ValueError("too many pixels")


def _limit() -> None:
    """Bound the memory, and leave signals to the parent.

    A service manager sends SIGTERM to all processes of a service: the parent decides then. Each
    limit is left out where the system does not allow it.
    """
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux: if memory runs out, this process goes before the bot
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(OSError):
        os.nice(5)


if __name__ == "__main__":
    main()
