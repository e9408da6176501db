"""Files that members attach: pictures, and files that only look like pictures."""

import io
import re
import struct
import zlib

from PIL import Image


def picture(kind: str = "PNG", size: tuple[int, int] = (48, 32), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 80).convert(mode).save(out, kind)
    return out.getvalue()


def jpeg_with_metadata(length: int) -> bytes:
    """Return a valid JPEG whose frame header follows `length` bytes of metadata."""
    plain = picture("JPEG")
    segments = b""
    while length > 0:
        part = min(length, 65_000)
        segments += b"\xff\xe1" + struct.pack(">H", part + 2) + b"x" * part
        length -= part
    return plain[:2] + segments + plain[2:]


def jpeg_with_tables_first() -> bytes:
    """Return a JPEG whose Huffman tables come before the frame header, which the standard allows.

    The first numbers of a table would make a size of their own.
    """
    plain = picture("JPEG")
    frame = plain.index(b"\xff\xc0")
    table = b"\xff\xc4" + struct.pack(">H", 22) + bytes([0x00, 3, 7, 3, 7]) + bytes(15)
    return plain[:frame] + table + plain[frame:]


def webp_extended(width: int, height: int) -> bytes:
    """Return the header of a WebP in the extended format, as pictures with transparency have."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + size
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def png_header(width: int, height: int) -> bytes:
    """Return a PNG header with this size and almost no data, like a decompression bomb."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def jpeg_of_scans(scans: int, size: tuple[int, int] = (48, 32)) -> bytes:
    """Return a progressive JPEG whose first scan is repeated, so that it has this many scans."""
    out = io.BytesIO()
    Image.new("RGB", size, "#806040").save(out, "JPEG", progressive=True)
    plain = out.getvalue()
    first = plain.index(b"\xff\xda")
    end = re.compile(rb"\xff[^\x00\xd0-\xd7]").search(plain, first + 2)
    assert end is not None
    scan = plain[first : end.start()]
    return plain[:first] + scan * (scans - plain.count(b"\xff\xda")) + plain[first:]


def frames(kind: str, number: int) -> bytes:
    """Return an animation."""
    out = io.BytesIO()
    first, *rest = [
        Image.new("RGB", (8, 8), (n * 89 % 256, n * 37 % 256, 0)) for n in range(number)
    ]
    first.save(out, kind, save_all=True, append_images=rest, duration=10)
    return out.getvalue()
