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

MEMORY = 800 * 1024 * 1024  # bytes of address space; a WebP of 40 megapixels needs 650 MB
IDLE_SECONDS = 60.0  # without a request, after which the process ends
READABLE = ("PNG", "JPEG", "WEBP")

UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def check(request: dict[str, Any]) -> dict[str, str]:
    """Read a file to the end: a PNG by its checksums, other kinds by decoding."""
    with Image.open(request["path"], formats=READABLE) as picture:
        _refuse_large(picture, request["pixels"])
        if picture.format == "PNG":
            picture.verify()
        else:
            picture.draft("RGB", (1, 1))  # decodes a JPEG at an eighth of the size
            picture.load()
    return {}


def shrink(request: dict[str, Any]) -> dict[str, str]:
    """Re-encode a picture to at most `limit` bytes: with less quality, then at half the size."""
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
                image.save(out, name, quality=quality)
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
