"""The kind and size of a picture by its first bytes. Nothing is decoded: a decompression bomb is
recognised without harm."""

import mmap
import re
import struct

from bot.errors import EaselError
from bot.jobs import PictureKind

MAX_PIXELS = 40_000_000  # a larger picture is never decoded
MAX_PASSES = 100  # scans of a JPEG, frames of an animation: each may cost a whole picture
MAX_SEGMENTS = 10_000  # of a JPEG; a real one has some hundred


Data = bytes | mmap.mmap


class NotAPicture(EaselError):
    """The bytes are not of a known kind of picture, or end before the size."""


def sniff(data: bytes) -> PictureKind | None:
    """Return the kind of a picture, or None if the kind is unknown."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PictureKind.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return PictureKind.JPEG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return PictureKind.WEBP
    if data.startswith((b"GIF87a", b"GIF89a")):
        return PictureKind.GIF
    return None


BRANDS = {  # of the container that HEIC and AVIF share (ISO/IEC 14496-12)
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}


def foreign_kind(data: bytes) -> str | None:
    """Return the name of a kind of picture that no model accepts; None for all else."""
    return BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None


def measure(data: Data) -> tuple[int, int]:
    """Return width and height in pixels by the header. Raises NotAPicture."""
    try:
        match sniff(data[:16]):
            case PictureKind.PNG:
                size = _png(data)
            case PictureKind.JPEG:
                size = _jpeg(data)
            case PictureKind.WEBP:
                size = _webp(data)
            case PictureKind.GIF:
                size = struct.unpack_from("<HH", data, 6)
            case None:
                raise NotAPicture("unknown kind")
    except struct.error:
        raise NotAPicture("the data end before the size") from None
    width, height = size
    if not width or not height:
        raise NotAPicture("a width or height of zero")
    return width, height


def has_too_many_passes(data: bytes) -> bool:
    """Return true for a JPEG of more than MAX_PASSES scans, or an animation of more frames.

    A decoder does the work of a whole picture for each of them: a progressive JPEG of 1 MiB can
    hold 18,000 scans, which take a minute. Nothing is decoded here.
    """
    match sniff(data):
        case PictureKind.JPEG:
            # In compressed data 0xFF is always escaped, so this counts too many at most.
            return _count(data, b"\xff\xda") > MAX_PASSES and _scans(data) > MAX_PASSES
        case PictureKind.WEBP:
            return _count(data, b"ANMF") > MAX_PASSES
        case PictureKind.PNG:
            return _count(data, b"fcTL") > MAX_PASSES
        case _:
            return False


def _count(data: bytes, mark: bytes) -> int:
    """Count in parts, between which other threads can run."""
    step, overlap = 64 * 1024, len(mark) - 1
    return sum(data.count(mark, at, at + step + overlap) for at in range(0, len(data), step))


def _scans(data: bytes) -> int:
    """Count the scans of a JPEG without the pictures that its metadata may embed."""
    scans, at = 0, 2
    for _ in range(MAX_SEGMENTS):
        found = JPEG_MARKER.search(data, at)
        if found is None or found[0] == b"\xff\xd9":
            return scans
        scans += found[0] == b"\xff\xda"
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return MAX_PASSES + 1


def _png(data: Data) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise NotAPicture("a PNG without a header")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


# Frame headers are SOF0 to SOF15, without the markers of tables and arithmetic coding.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length
JPEG_SEGMENT = re.compile(rb"\xff++(.)", re.DOTALL)  # after any number of fill bytes
JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # with a length, or the end


def _jpeg(data: Data) -> tuple[int, int]:
    """Walk the segments: the frame header may follow metadata of any length."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = JPEG_SEGMENT.match(data, at)
        if found is None:
            raise NotAPicture("a JPEG whose segments cannot be followed, or end before the size")
        marker, at = found[1][0], found.end()
        if marker in JPEG_BARE:
            continue
        if marker in {0xD9, 0xDA}:
            raise NotAPicture("a JPEG without a frame header")
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            raise NotAPicture("a JPEG whose segments cannot be followed")
        at += length
    raise NotAPicture("a JPEG of too many segments")


def _webp(data: Data) -> tuple[int, int]:
    match data[12:16]:
        case b"VP8X":
            low, high = data[24:27], data[27:30]
            if len(high) < 3:
                raise NotAPicture("the data end before the size")
            return int.from_bytes(low, "little") + 1, int.from_bytes(high, "little") + 1
        case b"VP8L":
            signature, bits = struct.unpack_from("<BI", data, 20)
            if signature != 0x2F:
                raise NotAPicture("a WebP without a header")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            if data[23:26] != b"\x9d\x01\x2a":
                raise NotAPicture("a WebP without a header")
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            raise NotAPicture("a WebP without a header")
