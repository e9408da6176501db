"""Pictures that cost the receiver more than the sender."""

import io
import os
import struct
import zlib

from PIL import Image

MARKER, START_OF_SCAN, END_OF_IMAGE, COMMENT = 0xFF, 0xDA, 0xD9, 0xFE


def jpeg_of_scans(scans: int, side: int = 2000) -> bytes:
    """Return a progressive JPEG with about `scans` scans, each of all blocks.

    The last scan of a plain picture has 14 bytes, and every repetition refines all blocks again.
    """
    out = io.BytesIO()
    Image.new("L", (side, side), 128).save(out, "JPEG", progressive=True)
    plain = out.getvalue()
    return plain[:-2] + _last_scan(plain) * scans + plain[-2:]


def _last_scan(jpeg: bytes) -> bytes:
    position, last = 2, b""
    while jpeg[position + 1] != END_OF_IMAGE:
        kind = jpeg[position + 1]
        end = position + 2 + struct.unpack_from(">H", jpeg, position + 2)[0]
        if kind == START_OF_SCAN:
            while jpeg[end] != MARKER or jpeg[end + 1] == 0:  # 0 continues the data
                end += 1
            last = jpeg[position:end]
        position = end
    return last


def webp_of_pixels(width: int = 8000, height: int = 5000) -> bytes:
    """Return a WebP of one colour: 40 megapixels, the most that is accepted, in 1.6 kB."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (9, 9, 9)).save(out, "WEBP", lossless=True)
    return out.getvalue()


def jpeg_of_segments(segments: int) -> bytes:
    """Return a small JPEG with `segments` empty comments before the picture, each of 4 bytes."""
    out = io.BytesIO()
    Image.new("RGB", (48, 32)).save(out, "JPEG")
    plain = out.getvalue()
    return plain[:2] + struct.pack(">BBH", MARKER, COMMENT, 2) * segments + plain[2:]


def png_of_chunks(chunks: int) -> bytes:
    """Return a small PNG with `chunks` empty chunks before the picture, each of 12 bytes."""
    out = io.BytesIO()
    Image.new("RGB", (48, 32)).save(out, "PNG")
    plain, name = out.getvalue(), b"abCd"  # of a kind that nobody has to know
    begin = plain.index(b"IDAT") - 4
    empty = struct.pack(">I", 0) + name + struct.pack(">I", zlib.crc32(name))
    return plain[:begin] + empty * chunks + plain[begin:]


def large_jpeg(side: int = 2050) -> bytes:
    """Return a baseline JPEG of noise, with 9.7 MiB nearly as large as is accepted."""
    out = io.BytesIO()
    noise(side, side).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def commented(jpeg: bytes, number: int) -> bytes:
    """Return the same picture in different bytes."""
    return jpeg[:2] + struct.pack(">BBHQ", MARKER, COMMENT, 10, number) + jpeg[2:]


def large_png(width: int = 1830, height: int = 1820) -> bytes:
    """Return a PNG of noise, with 10.0 MB nearly as large as is accepted."""
    out = io.BytesIO()
    noise(width, height).save(out, "PNG", compress_level=0)
    return out.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), os.urandom(width * height * 3))
