"""XMP in PNG: an iTXt chunk after the header (PNG, 11.3.3.4; XMP Specification Part 3, 1.1.5)."""

import struct
import zlib
from collections.abc import Sequence

from bot.pictures.header import Data
from bot.pictures.marks.mark import Unmarkable
from bot.pictures.marks.parts import (
    MAX_PACKETS,
    MAX_PARTS,
    Edit,
    Packet,
    Scan,
    removed,
)
from bot.pictures.marks.xmp import MAX_PACKET

SIGNATURE_LENGTH = 8
HEADER_END = 33  # of IHDR, which comes first
KEYWORD = b"XML:com.adobe.xmp\0"
NO_COMPRESSION = b"\0\0"
NO_LANGUAGE = b"\0\0"  # nor a translated keyword
FRAME = 12  # bytes of a chunk around its content
SPARE = 1024  # for a language and a translated keyword


class Png:
    longest = MAX_PACKET

    def scan(self, data: Data) -> Scan:
        if data[8:16] != b"\0\0\0\x0dIHDR":
            raise Unmarkable("a PNG without a header")
        packets, has_c2pa, has_pixels = list[Packet](), False, False
        at = SIGNATURE_LENGTH
        for _ in range(MAX_PARTS):
            head = data[at : at + 8]
            length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
            end = at + FRAME + length
            if not kind or end > len(data):
                raise Unmarkable("a PNG that ends early")
            if kind == b"iTXt" and data[at + 8 : at + 8 + len(KEYWORD)] == KEYWORD:
                packets.append(Packet(at, end, _text(data, at + 8 + len(KEYWORD), end - 4)))
            has_c2pa |= kind == b"caBX"  # C2PA Specification, Embedding manifests into PNG
            has_pixels |= kind == b"IDAT"
            if kind == b"IEND" or len(packets) > MAX_PACKETS:
                break
            at = end
        else:
            raise Unmarkable(f"a PNG of more than {MAX_PARTS} chunks")
        if not has_pixels or len(packets) > MAX_PACKETS:
            raise Unmarkable("a PNG without pixels, or of many XMP packets")
        return Scan(HEADER_END, tuple(packets), has_c2pa)

    def edits(self, data: Data, scan: Scan, packets: Sequence[bytes]) -> Sequence[Edit]:
        chunks = b"".join(_chunk(each) for each in packets)
        return [Edit(scan.at, scan.at, chunks), *removed(scan)]


def _chunk(packet: bytes) -> bytes:
    body = b"iTXt" + KEYWORD + NO_COMPRESSION + NO_LANGUAGE + packet
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _text(data: Data, start: int, end: int) -> bytes:
    """Return the text of a chunk after its keyword; empty if that cannot be read."""
    if end - start > MAX_PACKET + SPARE:
        raise Unmarkable(f"an XMP chunk of {end - start} bytes")
    flags, rest = data[start : start + 2], data[start + 2 : end]
    _, _, rest = rest.partition(b"\0")  # the language
    _, _, text = rest.partition(b"\0")  # the translated keyword
    if flags[:1] == b"\0":
        return text
    return _decompressed(text) if flags == b"\1\0" else b""


def _decompressed(data: bytes) -> bytes:
    """Return the data decompressed; XMP should not be compressed, and a bomb might be."""
    try:
        text = zlib.decompressobj().decompress(data, MAX_PACKET + 1)
    except zlib.error:
        return b""
    if len(text) > MAX_PACKET:
        raise Unmarkable("a compressed XMP packet that is too large")
    return text
